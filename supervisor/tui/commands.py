"""The keys that touch the node: signal, restart, stop, start."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from supervisor.core.requests import Verb
from supervisor.core.view import Row, RowKind
from supervisor.tui.state import Effect, Message, Mode, Model, Post, Tone, change, say, selected_row

Step = tuple[Model, tuple[Effect, ...]]


def signal_menu(model: Model, now_s: float) -> Step:
    """`K`: open the menu of signals. Whom they are for is decided now: a row that goes away while
    the menu is open must not let its neighbour take the signal."""
    if model.is_read_only:
        return _refused(model, now_s), ()
    row = selected_row(model)
    if row is None:
        return model, ()
    if not model.tagged and not row.os_pid:
        text = f"{row.id} has no process of its own to signal; pick one below it"
        return say(model, text, now_s, tone=Tone.ERROR), ()
    return change(model, mode=Mode.SIGNAL, signal_at=0, signal_for=tuple(targets(model))), ()


def asks(word: str, verb: Callable[[str], Verb]) -> Callable[[Model, float], Step]:
    """Return what a key does that sends `verb`, called `word`."""

    def asked(model: Model, now_s: float) -> Step:
        return command(model, word, verb, now_s)

    return asked


def command(model: Model, word: str, verb: Callable[[str], Verb], now_s: float) -> Step:
    """Send `verb` for the tagged rows, or the selected one; ask first if it touches many."""
    if model.is_read_only:
        return _refused(model, now_s), ()
    ids = targets(model)
    if not ids:
        return model, ()
    posts = tuple(Post(verb(id), f"{word} {id}") for id in ids)
    below = _below(model, ids)
    if word in {"stop", "restart"} and (len(ids) > 1 or below):
        what = f"{len(ids)} rows" if len(ids) > 1 else ids[0]
        also = f" and the {below} below" if below else ""
        question = f"{word} {what}{also}?"
        return change(model, mode=Mode.CONFIRM, confirm=posts, question=question), ()
    return change(model, tagged=frozenset()), posts


def targets(model: Model) -> list[str]:
    """Return the ids a command is for: the tagged ones in tree order, or the selected one."""
    rows = model.view.rows if model.view else ()
    if model.tagged:
        return [row.id for row in rows if row.id in model.tagged]
    row = selected_row(model)
    return [row.id] if row else []


def _below(model: Model, ids: list[str]) -> int:
    """Count the children, all the way down, of `ids`; actors of a worker are not its children."""
    rows = model.view.rows if model.view else ()
    reached = set(ids)
    found: list[Row] = []
    for row in rows:  # depth first, so a parent is met before its children
        if row.parent in reached and row.id not in reached:
            reached.add(row.id)
            found.append(row)
    return sum(row.kind is not RowKind.POOL_ACTOR for row in found)


def _refused(model: Model, now_s: float) -> Model:
    text = "read only: commands are switched off"
    return msgspec.structs.replace(model, message=Message(text, Tone.ERROR, now_s + 3))
