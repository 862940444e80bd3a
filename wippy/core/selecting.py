"""Select: of several sends and receives on channels, exactly one happens.

Which of several that are ready is a function of the channels' state alone: the one that was chosen
longest ago, then the first. So none that stays ready starves, and a replay chooses alike. Each side
of a channel remembers its last choice as a number that only has an order: the chosen one gets one
more than any of the cases it was chosen from. Where none is ready, the first counterpart to come
decides (`wippy.core.channels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from wippy.core.channels import NOTHING, Closed, Waiter


class Selectable(Protocol):
    """What a case is about: a `ChannelCore`, or anything else that keeps its promises.

    A mailbox, for instance, gives its `case_receive()` with itself as `core`: `wait_to_receive`
    keeps the waiter, and an arriving message goes to `waiter.settle(index, message, ok=True,
    ticket=n)` first, n > 0 and growing; `withdraw` takes the message back to the front. All of it
    is called under the shell's lock, and `settle` must be.
    """

    sent_turn: int
    received_turn: int

    def send(self, value: Any) -> bool:
        """See `ChannelCore`, here and below."""

    def can_send(self) -> bool: ...
    def receive(self) -> Any: ...
    def can_receive(self) -> bool: ...
    def wait_to_send(self, waiter: Waiter, index: int = 0) -> None: ...
    def wait_to_receive(self, waiter: Waiter, index: int = 0) -> None: ...
    def withdraw(self, waiter: Waiter) -> None: ...


class Case(msgspec.Struct, frozen=True, eq=False):
    """One of several operations of which one is to happen.

    Attributes:
        core: On which channel.
        is_send: Whether it sends `value`; else it receives.
        value: What to send.
        channel: Whose core it is; only handed through.
    """

    core: Selectable
    is_send: bool
    value: Any = None
    channel: Any = None


def choose(cases: Sequence[Case]) -> int | None:
    """Return the index of the ready case that was chosen longest ago, or None if none is ready.

    Of these cases the chosen one is then the one chosen last.
    """
    chosen, oldest, newest = None, 0, 0
    for index, case in enumerate(cases):
        core = case.core
        if case.is_send:
            turn, is_ready = core.sent_turn, core.can_send()
        else:
            turn, is_ready = core.received_turn, core.can_receive()
        if is_ready and (chosen is None or turn < oldest):
            chosen, oldest = index, turn
        if turn > newest:
            newest = turn
    if chosen is not None:
        _set_turn(cases[chosen], newest + 1)
    return chosen


def note_choice(cases: Sequence[Case], index: int) -> None:
    """Remember that case `index` was chosen, by whoever settled the waiter of `cases`."""
    newest = max([c.core.sent_turn if c.is_send else c.core.received_turn for c in cases])
    _set_turn(cases[index], newest + 1)


def _set_turn(case: Case, turn: int) -> None:
    if case.is_send:
        case.core.sent_turn = turn
    else:
        case.core.received_turn = turn


def select_now(cases: Sequence[Case]) -> tuple[int, Any, bool] | None:
    """Let one ready case happen, if any is ready.

    Returns:
        Its index, the value received or sent, and False if its channel is closed and drained.

    Raises:
        Closed: The chosen case sends on a closed channel.
    """
    while (index := choose(cases)) is not None:
        case = cases[index]
        if case.is_send:
            if case.core.send(case.value):
                return index, case.value, True
        else:
            try:
                value = case.core.receive()
            except Closed:
                return index, None, False
            if value is not NOTHING:
                return index, value, True
        # The counterpart went away between the question and the deed: ask again.
    return None


def wait_for_any(cases: Sequence[Case], waiter: Waiter) -> None:
    """Let `waiter` wait for whichever of `cases` happens first; its offers are their values."""
    for index, case in enumerate(cases):
        if case.is_send:
            case.core.wait_to_send(waiter, index)
        else:
            case.core.wait_to_receive(waiter, index)
