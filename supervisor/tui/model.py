"""What the live tree knows and shows, as one value. Everything that arrives (a view, facts, an
answer, lines of a log, a size) is a function from the model before to the model after; keys are in
`press`, drawing is in `render`. No clock, no socket, no terminal: time is passed in, monotonic.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

import msgspec

from supervisor.core.facts import Fact
from supervisor.core.requests import (
    Answer,
    Done,
    StopNode,
    Subscribe,
    Verb,
    ViewAnswer,
    Why,
    WhyAnswer,
    WhyView,
)
from supervisor.core.requests import Facts as FactsAnswer
from supervisor.core.view import NodeView, Row
from supervisor.tui import outline
from supervisor.tui.layout import Layout, lay_out
from supervisor.tui.outline import Item, Outline
from wippy.errors import Failure

FLASH_S = 2.0
"""How long a changed cell stands out: long enough for an eye that was elsewhere."""
MESSAGE_S = 6.0
STALE_S = 2.0
"""Without a word from the root for longer, what is shown may be wrong, and the header says so."""
RENEW_S = 1.0
"""Half of `STALE_S`, so that a healthy but quiet root never looks stale."""
WHY_REFRESH_S = 0.5
MAX_FACTS = 1000
"""Facts kept for the event pane: some screens to scroll back; `events` has the rest."""
MAX_LOG_LINES = 2000
VIEW_INTERVAL_S = 0.1


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
        signal_at: Line of the signal menu.
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
        pane=str(model.pane),
        is_focused=model.is_focused or model.mode is Mode.SIGNAL,
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


def view_came(model: Model, view: NodeView, now_s: float) -> Model:
    """Take a fresh view; while paused it waits in `latest`."""
    model = _with_facts(heard(model, now_s), view.facts)
    if model.is_paused and model.view is not None:
        return msgspec.structs.replace(model, latest=view)
    return shown(model, view, now_s)


def shown(model: Model, view: NodeView, now_s: float) -> Model:
    """Show `view`, and let what has changed since the last one stand out."""
    flashes = {key: until_s for key, until_s in model.flashes.items() if until_s > now_s}
    if model.view is not None:
        flashes.update(dict.fromkeys(changes(model.view, view), now_s + FLASH_S))
    present = {row.id for row in view.rows}
    return change(
        model, view=view, view_at_s=now_s, latest=None, flashes=flashes,
        tagged=model.tagged & present,
    )  # fmt: skip


def facts_came(model: Model, facts: tuple[Fact, ...], now_s: float) -> Model:
    """Take new facts for the event pane."""
    return _with_facts(heard(model, now_s), facts)


def heard(model: Model, now_s: float) -> Model:
    """Note that the root lives."""
    return msgspec.structs.replace(model, heard_at_s=now_s)


def posted(model: Model, request_id: int, post: Post, now_s: float) -> Model:
    """Note that `post` is on its way as request `request_id`."""
    pending = {**model.pending, request_id: post}
    model = msgspec.structs.replace(model, pending=pending)
    return say(model, f"{post.label} …", now_s) if post.label else model


def answered(model: Model, request_id: int, answer: Answer, now_s: float) -> Model:
    """Take the answer to a request: a view, a `why`, or a line for the operator."""
    pending = dict(model.pending)
    post = pending.pop(request_id, Post(Subscribe()))
    model = heard(msgspec.structs.replace(model, pending=pending), now_s)
    match answer:
        case ViewAnswer(view=view):
            return view_came(model, view, now_s)
        case FactsAnswer(facts=facts):
            return _with_facts(model, facts)
        case WhyAnswer(why=why):
            return msgspec.structs.replace(model, why=why)
        case Failure(message=message):
            what = f"{post.label}: {message}" if post.label else message
            return say(model, what, now_s, tone=Tone.ERROR)
        case Done(text=text) if post.label:
            return say(model, f"{post.label}: {text or 'done'}", now_s, tone=Tone.GOOD)
    return model


def log_came(model: Model, path: str, lines: tuple[str, ...], note: str = "") -> Model:
    """Take the end of a log file as it is now; `note` says why there are no lines."""
    back = 0 if path != model.log_path or model.is_following else model.pane_back
    return msgspec.structs.replace(
        model, log_path=path, log_lines=lines[-MAX_LOG_LINES:], log_note=note, pane_back=back
    )


def resized(model: Model, width: int, height: int) -> Model:
    """Take a new size; the selection stays and stays in sight."""
    return change(model, width=width, height=height)


def say(model: Model, text: str, now_s: float, *, tone: Tone = Tone.INFO) -> Model:
    """Show a line to the operator."""
    return msgspec.structs.replace(model, message=Message(text, tone, now_s + MESSAGE_S))


def stopping(model: Model, now_s: float) -> tuple[Model, tuple[Effect, ...]]:
    """Ask the node to stop everything, once."""
    model = msgspec.structs.replace(model, mode=Mode.TREE, is_stopping=True)
    return say(model, "stopping everything …", now_s), (Post(StopNode(), "stop everything"),)


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


def wanted_log(model: Model) -> str | None:
    """Return the log file to be read: None if no log is shown, "" if the row has none.

    Someone who has scrolled back reads on undisturbed: the file is looked at again at its end.
    """
    row = selected_row(model)
    if model.pane is not Pane.LOG or row is None:
        return None
    is_same = row.log_path == model.log_path
    return None if is_same and not model.is_following else row.log_path


def wanted_posts(model: Model, now_s: float) -> tuple[Model, tuple[Post, ...]]:
    """Return what must be asked by itself: `Why` of the selected row while its pane is open."""
    if model.pane is not Pane.WHY or not model.selected:
        return model, ()
    is_other = model.why_asked != model.selected
    is_due = model.is_why_stale and now_s - model.why_at_s >= WHY_REFRESH_S
    if not is_other and not is_due:
        return model, ()
    model = msgspec.structs.replace(
        model, why_asked=model.selected, why_at_s=now_s, is_why_stale=False,
        why=None if is_other else model.why,
    )  # fmt: skip
    return model, (Post(Why(model.selected)),)


def next_change_s(model: Model, now_s: float) -> float:
    """Return when the picture changes although nothing arrives: a tick, a flash's end."""
    moments = [now_s + 1.0]
    moments += [until_s for until_s in model.flashes.values() if until_s > now_s]
    if model.message is not None and model.message.until_s > now_s:
        moments.append(model.message.until_s)
    if model.pane is Pane.WHY and model.is_why_stale:
        moments.append(model.why_at_s + WHY_REFRESH_S)
    return max(now_s, min(moments))


def changes(before: NodeView, after: NodeView) -> list[tuple[str, str]]:
    """Return (id, column) of every cell worth a look: not the ones that always move."""
    old = {row.id: row for row in before.rows}
    found: list[tuple[str, str]] = []
    for row in after.rows:
        was = old.get(row.id)
        if was is None:
            found.append((row.id, "name"))
        elif was is not row:
            found += [(row.id, name) for name, read in _WATCHED.items() if read(was) != read(row)]
    return found


_WATCHED: dict[str, Callable[[Row], object]] = {
    "state": lambda row: (row.state, row.is_frozen, row.is_crash_loop, row.caused_by),
    "pid": lambda row: row.os_pid,
    "gen": lambda row: row.generation,
    "restarts": lambda row: row.restarts,
    "exit": lambda row: row.last_exit,
    "detail": lambda row: (row.caused_by, row.window_used),
}


def _with_facts(model: Model, facts: tuple[Fact, ...]) -> Model:
    """Add the facts that are new: they come by themselves and again within each view, and a new
    root counts from 1, so neither place nor number alone says which are."""
    if not facts or model.facts[-1:] == facts[-1:]:
        return model
    known = {(fact.seq, fact.at_s, fact.kind, fact.id) for fact in model.facts}
    new = tuple(fact for fact in facts if (fact.seq, fact.at_s, fact.kind, fact.id) not in known)
    if not new:
        return model
    is_stale = model.is_why_stale or any(fact.id == model.why_asked for fact in new)
    merged = (*model.facts, *new)[-MAX_FACTS:]
    scrolled = model.pane is Pane.EVENTS and model.pane_back > 0
    back = model.pane_back + len(new) if scrolled else model.pane_back
    return msgspec.structs.replace(model, facts=merged, is_why_stale=is_stale, pane_back=back)


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
