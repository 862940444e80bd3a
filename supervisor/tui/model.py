"""How the live tree changes with what arrives: a view, facts, an answer, the end of a log, a size.
Each is a function from the model before to the model after; keys are in `press`, drawing is in
`render`. No clock, no socket, no terminal: time is passed in, monotonic."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from supervisor.core.facts import Fact
from supervisor.core.requests import Answer, Done, StopNode, Subscribe, ViewAnswer, Why, WhyAnswer
from supervisor.core.requests import Facts as FactsAnswer
from supervisor.core.view import NodeView, Row
from supervisor.tui.state import (
    STALE_S,
    Effect,
    Mode,
    Model,
    Pane,
    Post,
    Tone,
    change,
    say,
    selected_row,
)
from wippy.errors import Failure

FLASH_S = 2.0
"""How long a changed cell stands out: long enough for an eye that was elsewhere."""
RENEW_S = STALE_S / 2
"""So that a healthy but quiet root never looks stale."""
WHY_REFRESH_S = 0.5
MAX_FACTS = 1000
"""Facts kept for the event pane: some screens to scroll back; `events` has the rest."""
MAX_LOG_LINES = 2000
VIEW_INTERVAL_S = 0.1


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
        case Done(text=text) if post.label and not _is_told_an_error(model, now_s):
            return say(model, f"{post.label}: {text or 'done'}", now_s, tone=Tone.GOOD)
    return model


def _is_told_an_error(model: Model, now_s: float) -> bool:
    """One of several commands that fails must not be hidden by the next that succeeds."""
    told = model.message
    return told is not None and told.tone is Tone.ERROR and told.until_s > now_s


def log_came(model: Model, path: str, lines: tuple[str, ...], note: str = "") -> Model:
    """Take the end of a log file as it is now; `note` says why there are no lines."""
    back = 0 if path != model.log_path or model.is_following else model.pane_back
    return msgspec.structs.replace(
        model, log_path=path, log_lines=lines[-MAX_LOG_LINES:], log_note=note, pane_back=back
    )


def resized(model: Model, width: int, height: int) -> Model:
    """Take a new size; the selection stays and stays in sight."""
    return change(model, width=width, height=height)


def stopping(model: Model, now_s: float) -> tuple[Model, tuple[Effect, ...]]:
    """Ask the node to stop everything, once."""
    model = msgspec.structs.replace(model, mode=Mode.TREE, is_stopping=True)
    return say(model, "stopping everything …", now_s), (Post(StopNode(), "stop everything"),)


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
