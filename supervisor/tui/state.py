"""What the live tree knows and shows, as one value, and what follows from it."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from supervisor.core.facts import Fact
from supervisor.core.requests import Verb, WhyView
from supervisor.core.view import NodeView, Row
from supervisor.tui import outline
from supervisor.tui.layout import Layout, lay_out
from supervisor.tui.outline import Item, Outline

MESSAGE_S = 6.0
STALE_S = 2.0
"""Without a word from the root for longer, what is shown may be wrong, and the header says so."""


class Mode(enum.StrEnum):
    """Who gets the keys."""

    TREE = "tree"
    FILTER = "filter"  # typing a pattern
    SIGNAL = "signal"  # choosing a signal
    CONFIRM = "confirm"  # a command that touches more than one
    QUIT = "quit"  # stop, detach or cancel


class Pane(enum.StrEnum):
    """What is shown underneath the tree."""

    EVENTS = "events"
    LOG = "log"
    WHY = "why"
    DETAILS = "details"
    HELP = "help"


class Tone(enum.StrEnum):
    """How a message is meant."""

    INFO = "info"
    GOOD = "good"
    ERROR = "error"


class Message(msgspec.Struct, frozen=True):
    """A line to the operator, gone at `until_s`."""

    text: str
    tone: Tone
    until_s: float


class Post(msgspec.Struct, frozen=True):
    """Effect: send `verb`; `label` says in the message line what the answer is to."""

    verb: Verb
    label: str = ""


class Leave(msgspec.Struct, frozen=True):
    """Effect: leave the screen; `is_detached`: say that the node runs on."""

    is_detached: bool = False


class Suspend(msgspec.Struct, frozen=True):
    """Effect: give the terminal back and stop, as ^Z does."""


class Redraw(msgspec.Struct, frozen=True):
    """Effect: draw everything again."""


Effect = Post | Leave | Suspend | Redraw


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `items`, `name_width`, `layout` and `top` follow from the rest (see `settled`).

    Attributes:
        owns_node: Foreground `start`: leaving means stop or detach.
        is_read_only: Commands are refused.
        run_dir: For messages.
        width, height: Of the terminal, cells.
        view: What is shown; None until the first has come.
        latest: What has come while `is_paused`.
        view_at_s, heard_at_s: When `view` came, when the root last said anything.
        facts: Of the event pane, oldest first.
        shape, sort, is_inverted: What `t`, `+`, `-`, `/`, `s` asked for.
        selected, place: Id and last known index of the selected row.
        top: Index of the first row on the screen.
        tagged: Ids that the next command is for.
        flashes: Until when (id, column) stands out.
        pane, is_focused, pane_back: What is underneath, whether it has the keys, and how many lines
            it is scrolled back from its natural end.
        pane_pattern: Only lines of the pane that contain it.
        typed: The pattern while it is typed.
        signal_at, signal_for: Line of the signal menu, and whom the signal is for.
        confirm: What is sent when the question is answered with yes; `question` is its text.
        pending: Requests without an answer, by id.
        why, why_asked, why_at_s, is_why_stale: Answer shown, what was asked, when, and whether
            something has happened to it since.
        log_lines, log_path, log_note: Of the log pane.
        is_following: The log pane stays at the end.
        is_stopping: This viewer has asked for everything to be stopped.
    """

    owns_node: bool = False
    is_read_only: bool = False
    run_dir: str = ""
    width: int = 80
    height: int = 24
    view: NodeView | None = None
    latest: NodeView | None = None
    view_at_s: float = 0.0
    heard_at_s: float = 0.0
    facts: tuple[Fact, ...] = ()
    shape: Outline = Outline()
    sort: str = outline.SORTS[0]
    is_inverted: bool = False
    items: tuple[Item, ...] = ()
    name_width: int = 0
    layout: Layout = Layout()
    selected: str = ""
    place: int = 0
    top: int = 0
    tagged: frozenset[str] = frozenset()
    flashes: Mapping[tuple[str, str], float] = {}
    mode: Mode = Mode.TREE
    pane: Pane = Pane.EVENTS
    is_focused: bool = False
    pane_back: int = 0
    pane_pattern: str = ""
    typed: str = ""
    signal_at: int = 0
    signal_for: tuple[str, ...] = ()
    confirm: tuple[Post, ...] = ()
    question: str = ""
    message: Message | None = None
    pending: Mapping[int, Post] = {}
    why: WhyView | None = None
    why_asked: str = ""
    why_at_s: float = 0.0
    is_why_stale: bool = False
    log_lines: tuple[str, ...] = ()
    log_path: str = ""
    log_note: str = ""
    is_following: bool = True
    is_paused: bool = False
    is_stopping: bool = False


def change(model: Model, **fields: object) -> Model:
    """Return `model` with `fields` replaced, and with what follows from them put right."""
    return settled(msgspec.structs.replace(model, **fields))


def settled(model: Model) -> Model:
    """Return `model` with items, selection, layout and scroll position that fit the rest."""
    rows = model.view.rows if model.view else ()
    items = outline.items(rows, model.shape)
    place = _place(items, model)
    layout = lay_out(
        width=model.width,
        height=model.height,
        items=len(items),
        pane="signal" if model.mode is Mode.SIGNAL else str(model.pane),
        is_focused=model.is_focused,
    )
    return msgspec.structs.replace(
        model,
        items=items,
        place=place,
        selected=items[place].row.id if items else model.selected,
        name_width=max((_name_width(item) for item in items), default=0),
        layout=layout,
        top=_top(model.top, place, len(items), layout.tree),
    )


def say(model: Model, text: str, now_s: float, *, tone: Tone = Tone.INFO) -> Model:
    """Show a line to the operator."""
    return msgspec.structs.replace(model, message=Message(text, tone, now_s + MESSAGE_S))


def selected_row(model: Model) -> Row | None:
    """Return the row under the cursor."""
    return model.items[model.place].row if model.items else None


def stale_s(model: Model, now_s: float) -> float:
    """Return for how long the root has been silent, 0 while that is normal."""
    silent_s = now_s - model.heard_at_s
    return silent_s if silent_s > STALE_S else 0.0


def elapsed_s(model: Model, now_s: float) -> float:
    """Return how far uptimes have moved on since the view: not while it is stale or paused."""
    if model.is_paused:
        return 0.0
    until_s = model.heard_at_s if stale_s(model, now_s) else now_s
    return max(0.0, until_s - model.view_at_s)


def _name_width(item: Item) -> int:
    """Cells of the name of `item`: tag, guide, glyph, id; the summary of a folded row runs over its
    neighbours instead."""
    return len(item.guide) + 3 + len(item.row.id) + (2 if item.summary else 0)


def _place(items: tuple[Item, ...], model: Model) -> int:
    for index, item in enumerate(items):
        if item.row.id == model.selected:
            return index
    # A row that was folded away is found in the one that hides it.
    for index, item in enumerate(items):
        if model.selected in item.hidden:
            return index
    return max(0, min(model.place, len(items) - 1))


def _top(top: int, place: int, count: int, height: int) -> int:
    height = max(height, 1)
    if place < top:
        top = place
    elif place >= top + height:
        top = place - height + 1
    return max(0, min(top, count - height))
