"""What a key does: `press(model, key, now_s)` returns the model after it, and the effects that the
shell must perform. Every key is in one of the tables at the end, or belongs to a mode."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from supervisor.core.requests import Kill, Restart, Start, Stop
from supervisor.tui import outline
from supervisor.tui.commands import Step, asks, signal_menu
from supervisor.tui.model import shown, stopping
from supervisor.tui.moves import MOVES, SCROLLS, move, next_match, scroll, select
from supervisor.tui.signals import SIGNALS
from supervisor.tui.state import (
    Leave,
    Mode,
    Model,
    Pane,
    Post,
    Redraw,
    Suspend,
    Tone,
    change,
    say,
    selected_row,
)

MAX_PATTERN_LENGTH = 200


def press(model: Model, key: str, now_s: float) -> Step:
    """Return `model` after `key`, and what is to be done."""
    if key == "ctrl-z":
        return model, (Suspend(),)
    if key == "ctrl-l":
        return model, (Redraw(),)
    if model.message is not None:
        model = msgspec.structs.replace(model, message=None)
    return _BY_MODE[model.mode](model, key, now_s)


def leave_now(model: Model, now_s: float) -> Step:
    """`q`: leave the viewer; where it is the node's own foreground, ask what that means."""
    if model.owns_node:
        return change(model, mode=Mode.QUIT), ()
    return model, (Leave(),)


def _in_tree(model: Model, key: str, now_s: float) -> Step:
    if model.is_focused and key in SCROLLS:
        return scroll(model, SCROLLS[key](model)), ()
    if key in MOVES:
        return move(model, MOVES[key](model)), ()
    action = _ACTIONS.get(key)
    return action(model, now_s) if action else (model, ())


def _in_filter(model: Model, key: str, now_s: float) -> Step:
    match key:
        case "enter":
            return change(model, mode=Mode.TREE), ()
        case "esc" | "ctrl-c":
            return _filtered(change(model, mode=Mode.TREE), ""), ()
        case "backspace" | "alt-backspace" | "ctrl-w" | "ctrl-u":
            kept = model.typed[:-1] if key == "backspace" else ""
            return _filtered(model, kept), ()
        case "up" | "down":
            return move(model, -1 if key == "up" else 1), ()
    char = " " if key == "space" else key
    if len(char) != 1:
        return model, ()
    return _filtered(model, (model.typed + char)[:MAX_PATTERN_LENGTH]), ()


def _filtered(model: Model, pattern: str) -> Model:
    if model.is_focused:
        return change(model, typed=pattern, pane_pattern=pattern, pane_back=0)
    return _outlined(msgspec.structs.replace(model, typed=pattern), pattern=pattern)


def _in_signal(model: Model, key: str, now_s: float) -> Step:
    count = len(SIGNALS)
    match key:
        case "up" | "k":
            return change(model, signal_at=(model.signal_at - 1) % count), ()
        case "down" | "j":
            return change(model, signal_at=(model.signal_at + 1) % count), ()
        case "enter":
            name, number, _ = SIGNALS[model.signal_at]
            posts = [Post(Kill(id, number), f"SIG{name} to {id}") for id in model.signal_for]
            return change(model, mode=Mode.TREE, tagged=frozenset()), tuple(posts)
        case _ if key.isdigit() and 1 <= int(key) <= count:
            return change(model, signal_at=int(key) - 1), ()
        case "esc" | "q" | "ctrl-c" | "K":
            return change(model, mode=Mode.TREE), ()
    return model, ()


def _in_confirm(model: Model, key: str, now_s: float) -> Step:
    if key in {"y", "Y", "enter"}:
        posts = model.confirm
        return change(model, mode=Mode.TREE, confirm=(), tagged=frozenset()), posts
    if key in {"n", "N", "esc", "c", "q", "ctrl-c"}:
        model = change(model, mode=Mode.TREE, confirm=())
        return say(model, "nothing done", now_s), ()
    return model, ()


def _in_quit(model: Model, key: str, now_s: float) -> Step:
    match key:
        case "s" if model.is_read_only:
            model = change(model, mode=Mode.TREE)
            return say(model, "read only: nothing is stopped from here", now_s, tone=Tone.ERROR), ()
        case "s":
            return stopping(change(model, mode=Mode.TREE), now_s)
        case "d":
            return change(model, mode=Mode.TREE), (Leave(is_detached=True),)
        case "c" | "esc" | "q" | "n":
            return change(model, mode=Mode.TREE), ()
    return model, ()


_BY_MODE: dict[Mode, Callable[[Model, str, float], Step]] = {
    Mode.TREE: _in_tree,
    Mode.FILTER: _in_filter,
    Mode.SIGNAL: _in_signal,
    Mode.CONFIRM: _in_confirm,
    Mode.QUIT: _in_quit,
}


# Folding, order, filter


def _outlined(model: Model, **fields: object) -> Model:
    return change(model, shape=msgspec.structs.replace(model.shape, **fields))


def _unfold(model: Model, now_s: float) -> Step:
    row = selected_row(model)
    if row is None:
        return model, ()
    folded = model.shape.folded - {row.id}
    return _outlined(model, folded=folded, opened=model.shape.opened | {row.id}), ()


def _fold(model: Model, now_s: float) -> Step:
    """Fold the row; one that is folded, or has nothing to fold, takes its parent's place."""
    row = selected_row(model)
    if row is None or model.shape.is_flat:
        return model, ()
    item = model.items[model.place]
    if item.has_children and not item.summary:
        folded = model.shape.folded | {row.id}
        return _outlined(model, folded=folded, opened=model.shape.opened - {row.id}), ()
    for place, each in enumerate(model.items):
        if each.row.id == row.parent:
            return select(model, place), ()
    return model, ()


def _toggle_all(model: Model, now_s: float) -> Step:
    """`*`: fold everything below the top; open everything if that is already so."""
    rows = model.view.rows if model.view else ()
    parents = {row.parent for row in rows if row.depth > 1}
    if model.shape.folded >= parents and parents:
        return _outlined(model, folded=frozenset(), opened=frozenset(parents)), ()
    return _outlined(model, folded=frozenset(parents), opened=frozenset()), ()


def _toggle_flat(model: Model, now_s: float) -> Step:
    return _outlined(model, is_flat=not model.shape.is_flat), ()


def _sort(model: Model, now_s: float) -> Step:
    place = (outline.SORTS.index(model.sort) + 1) % len(outline.SORTS)
    return _sorted(model, outline.SORTS[place], model.is_inverted, now_s), ()


def _invert(model: Model, now_s: float) -> Step:
    return _sorted(model, model.sort, not model.is_inverted, now_s), ()


def _sorted(model: Model, sort: str, is_inverted: bool, now_s: float) -> Model:
    rows = model.view.rows if model.view else ()
    rank = outline.rank(rows, sort, is_inverted=is_inverted)
    model = msgspec.structs.replace(model, sort=sort, is_inverted=is_inverted)
    order = "the tree's order" if sort == outline.SORTS[0] else f"sorted by {sort}, as of now"
    return say(_outlined(model, rank=rank), order + ", inverted" * is_inverted, now_s)


def _filter(model: Model, now_s: float) -> Step:
    typed = model.pane_pattern if model.is_focused else model.shape.pattern
    return change(model, mode=Mode.FILTER, typed=typed), ()


# Panes


def _open(pane: Pane) -> Callable[[Model, float], Step]:
    def opened(model: Model, now_s: float) -> Step:
        if model.pane is pane:
            return _close(model, now_s)
        return change(
            model, pane=pane, pane_back=0, pane_pattern="", is_focused=pane is Pane.HELP
        ), ()

    return opened


def _close(model: Model, now_s: float) -> Step:
    """Back to the events; then, what a filter or tags hold is let go."""
    if model.pane is not Pane.EVENTS or model.is_focused or model.pane_pattern:
        return change(model, pane=Pane.EVENTS, pane_back=0, pane_pattern="", is_focused=False), ()
    if model.tagged:
        return change(model, tagged=frozenset()), ()
    return _outlined(model, pattern=""), ()


def _focus(model: Model, now_s: float) -> Step:
    return change(model, is_focused=not model.is_focused), ()


def _follow(model: Model, now_s: float) -> Step:
    if model.pane is not Pane.LOG:
        model, _ = _open(Pane.LOG)(model, now_s)
        return msgspec.structs.replace(model, is_following=True), ()
    follows = not model.is_following
    model = msgspec.structs.replace(
        model, is_following=follows, pane_back=0 if follows else model.pane_back
    )
    return say(model, "following" if follows else "not following", now_s), ()


def _pause(model: Model, now_s: float) -> Step:
    model = msgspec.structs.replace(model, is_paused=not model.is_paused)
    if not model.is_paused and model.latest is not None:
        model = shown(model, model.latest, now_s)
    return model, ()


def _tag(model: Model, now_s: float) -> Step:
    if not model.items:
        return model, ()
    tagged = model.tagged ^ {model.selected}
    return move(msgspec.structs.replace(model, tagged=tagged), 1), ()


_ACTIONS: dict[str, Callable[[Model, float], Step]] = {
    "q": leave_now,
    "ctrl-c": leave_now,
    "+": _unfold,
    "=": _unfold,  # the same key without shift
    "right": _unfold,
    "-": _fold,
    "left": _fold,
    "*": _toggle_all,
    "t": _toggle_flat,
    "s": _sort,
    "S": _invert,
    "/": _filter,
    "n": lambda model, now_s: next_match(model, 1, now_s),
    "N": lambda model, now_s: next_match(model, -1, now_s),
    "enter": _open(Pane.DETAILS),
    "l": _open(Pane.LOG),
    "w": _open(Pane.WHY),
    "e": lambda model, now_s: (
        change(model, pane=Pane.EVENTS, pane_back=0, pane_pattern="", is_focused=False),
        (),
    ),
    "?": _open(Pane.HELP),
    "f1": _open(Pane.HELP),
    "f": _follow,
    "tab": _focus,
    "esc": _close,
    "p": _pause,
    "space": _tag,
    "K": signal_menu,
    "r": asks("restart", Restart),
    "x": asks("stop", Stop),
    "u": asks("start", Start),
}
