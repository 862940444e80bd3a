"""Moving the cursor in the tree, and the text in the pane."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from supervisor.core.view import is_settled_well
from supervisor.tui import outline
from supervisor.tui.commands import Step
from supervisor.tui.look import Look
from supervisor.tui.panes import AT_END, body
from supervisor.tui.state import Model, Pane, change, say


def move(model: Model, by: int) -> Model:
    """Move the cursor by rows, as far as there are any."""
    if not model.items:
        return model
    place = max(0, min(model.place + by, len(model.items) - 1))
    return select(model, place)


def select(model: Model, place: int) -> Model:
    """Put the cursor on the row at `place`."""
    chosen = model.items[place].row.id
    # Another row's log or reason begins at its own end.
    back = model.pane_back if model.pane in {Pane.EVENTS, Pane.HELP} else 0
    return change(model, selected=chosen, place=place, pane_back=back)


def scroll(model: Model, lines: int) -> Model:
    """Scroll the pane down by `lines` (up if negative), never beyond its text."""
    is_at_end = model.pane in AT_END
    text = len(body(model, Look()))
    most = max(0, text - (model.layout.pane - 1))
    back = max(0, min(most, model.pane_back + (-lines if is_at_end else lines)))
    follows = back == 0 if model.pane is Pane.LOG else model.is_following
    return msgspec.structs.replace(model, pane_back=back, is_following=follows)


def _page(model: Model) -> int:
    return max(1, model.layout.pane - 2)


_FAR = 10**6
SCROLLS: dict[str, Callable[[Model], int]] = {
    "up": lambda model: -1,
    "k": lambda model: -1,
    "down": lambda model: 1,
    "j": lambda model: 1,
    "pgup": lambda model: -_page(model),
    "pgdn": _page,
    "ctrl-b": lambda model: -_page(model),
    "ctrl-f": _page,
    "home": lambda model: -_FAR,
    "g": lambda model: -_FAR,
    "end": lambda model: _FAR,
    "G": lambda model: _FAR,
}
MOVES: dict[str, Callable[[Model], int]] = {
    "up": lambda model: -1,
    "k": lambda model: -1,
    "down": lambda model: 1,
    "j": lambda model: 1,
    "pgup": lambda model: -max(1, model.layout.tree - 1),
    "pgdn": lambda model: max(1, model.layout.tree - 1),
    "ctrl-b": lambda model: -max(1, model.layout.tree - 1),
    "ctrl-f": lambda model: max(1, model.layout.tree - 1),
    "home": lambda model: -len(model.items),
    "g": lambda model: -len(model.items),
    "end": lambda model: len(model.items),
    "G": lambda model: len(model.items),
}


def next_match(model: Model, step: int, now_s: float) -> Step:
    """`n N`: the next row that matches the filter; without one, the next that is not well."""
    is_wanted = _is_match if model.shape.pattern else _is_trouble
    count = len(model.items)
    for distance in range(1, count + 1):
        place = (model.place + step * distance) % count
        if is_wanted(model.items[place]):
            return select(model, place), ()
    text = "nothing matches" if model.shape.pattern else "every row is as it should be"
    return say(model, text, now_s), ()


def _is_match(item: outline.Item) -> bool:
    return item.is_match


def _is_trouble(item: outline.Item) -> bool:
    return not is_settled_well(item.row) or item.row.is_crash_loop or item.row.is_frozen
