"""The core of channels against a dumb model that keeps plain lists and removes eagerly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from channel_waiters import Someone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wippy.core.channels import (
    NOTHING,
    TIMEOUT,
    ChannelCore,
    Closed,
)
from wippy.core.selecting import Case, select_now, wait_for_any

Outcome = tuple[int, Any, bool]


@dataclass
class Asked:
    """The model's idea of one operation."""

    outcome: Outcome | None = None
    ticket: int = 0
    channel: DumbChannel | None = None


@dataclass
class DumbChannel:
    size: int
    buffer: list[Any] = field(default_factory=list)
    returned: list[tuple[int, Any]] = field(default_factory=list)
    senders: list[tuple[Asked, int, Any]] = field(default_factory=list)
    receivers: list[tuple[Asked, int]] = field(default_factory=list)
    given: int = 0
    is_closed: bool = False

    def hand(self, ticket: int, value: Any) -> bool:
        if not self.receivers:
            return False
        asked, index = self.receivers[0]
        asked.outcome, asked.ticket, asked.channel = (index, value, True), ticket, self
        return True

    def send(self, value: Any) -> bool:
        if self.receivers:
            self.given += 1
            return self.hand(self.given, value)
        if len(self.buffer) < self.size:
            self.buffer.append(value)
            return True
        return False

    def receive(self) -> Any:
        if self.returned:
            return self.returned.pop(0)[1]
        values = [*self.buffer, *(value for _, _, value in self.senders[:1])]
        if not values:
            return NOTHING
        if self.senders:
            asked, index, value = self.senders[0]
            asked.outcome = (index, value, True)
        self.buffer = values[1:]
        return values[0]


class ChannelsMachine(RuleBasedStateMachine):
    """Two channels; single operations and selects, cancelled at any point, closed at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.cores: list[ChannelCore] = []
        self.dumb: list[DumbChannel] = []
        self.pending: list[tuple[Someone, Asked, list[Case]]] = []
        self.next_value = 0
        self.accepted: set[int] = set()
        self.received: list[int] = []

    @precondition(lambda self: not self.cores)
    @rule(sizes=st.lists(st.integers(0, 2), min_size=2, max_size=2))
    def make(self, sizes: list[int]) -> None:
        self.cores = [ChannelCore(size) for size in sizes]
        self.dumb = [DumbChannel(size) for size in sizes]

    @precondition(lambda self: self.cores)
    @rule(which=st.integers(0, 1))
    def send(self, which: int) -> None:
        value = self._new_value()
        core, dumb = self.cores[which], self.dumb[which]
        if dumb.is_closed:
            with pytest.raises(Closed):
                core.send(value)
            return
        is_sent = core.send(value)
        assert is_sent == dumb.send(value)
        self._forget_settled()
        if is_sent:
            self.accepted.add(value)
        else:
            self._wait([Case(core, True, value)], [(dumb, True, value)])

    @precondition(lambda self: self.cores)
    @rule(which=st.integers(0, 1))
    def receive(self, which: int) -> None:
        core, dumb = self.cores[which], self.dumb[which]
        expected = dumb.receive()
        if expected is NOTHING and dumb.is_closed:
            with pytest.raises(Closed):
                core.receive()
            return
        value = core.receive()
        assert value == expected
        self._forget_settled()
        if value is NOTHING:
            self._wait([Case(core, False)], [(dumb, False, None)])
        else:
            self.received.append(value)

    @precondition(lambda self: self.cores)
    @rule(shape=st.lists(st.tuples(st.integers(0, 1), st.booleans()), min_size=1, max_size=4))
    def select(self, shape: list[tuple[int, bool]]) -> None:
        plan = [
            (self.cores[which], self.dumb[which], is_send, self._new_value() if is_send else None)
            for which, is_send in shape
            if not (is_send and self.dumb[which].is_closed)
        ]
        if not plan:
            return
        cases = [Case(core, is_send, value) for core, _, is_send, value in plan]
        chosen = select_now(cases)
        if chosen is None:
            dumb_cases = [(dumb, is_send, value) for _, dumb, is_send, value in plan]
            assert not any(self._is_ready(dumb, is_send) for dumb, is_send, _ in dumb_cases)
            self._wait(cases, dumb_cases)
            return
        index, value, ok = chosen
        _, dumb, is_send, offered = plan[index]
        if is_send:
            assert (value, ok) == (offered, True)
            assert dumb.send(value)
            self.accepted.add(value)
        else:
            expected = dumb.receive()
            assert ok == (expected is not NOTHING)
            if ok:
                assert value == expected
                self.received.append(value)
        self._forget_settled()

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """Somebody who was settled goes on with the outcome."""
        settled = [it for it in self.pending if it[1].outcome is not None]
        if not settled:
            return
        chosen = data.draw(st.sampled_from(settled))
        self.pending.remove(chosen)
        waiter, asked, cases = chosen
        assert asked.outcome is not None
        index, value, ok = asked.outcome
        assert waiter.finish() == value
        if ok and index >= 0 and not cases[index].is_send:
            self.received.append(value)

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Somebody leaves, before or after it was settled."""
        chosen = data.draw(st.sampled_from(self.pending))
        self.pending.remove(chosen)
        waiter, asked, cases = chosen
        waiter.is_gone = True
        index = max(0, waiter.index)
        cases[index].core.withdraw(waiter)
        self._leave(asked)
        if asked.channel is not None and asked.outcome is not None:
            self._dumb_give_back(asked.channel, asked.ticket, asked.outcome[1])

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        waiter, asked, _ = data.draw(st.sampled_from(self.pending))
        assert waiter.settle(TIMEOUT, None, ok=False) == (asked.outcome is None)
        if asked.outcome is None:
            asked.outcome = (TIMEOUT, None, False)
            self._leave(asked)

    @precondition(lambda self: self.cores)
    @rule(which=st.integers(0, 1))
    def close(self, which: int) -> None:
        self.cores[which].close()
        dumb = self.dumb[which]
        dumb.is_closed = True
        for asked, index, *_ in [*dumb.senders, *dumb.receivers]:
            if asked.outcome is None:
                asked.outcome = (index, None, False)
        self._forget_settled()

    @invariant()
    def everybody_is_where_the_model_says(self) -> None:
        for waiter, asked, _ in self.pending:
            assert waiter.outcome() == asked.outcome
            assert waiter.wakes == (asked.outcome is not None)
        for core, dumb in zip(self.cores, self.dumb, strict=True):
            assert len(core) == len(dumb.buffer) + len(dumb.returned)
            assert len(dumb.buffer) <= dumb.size
            assert core.waiting == (len(dumb.senders), len(dumb.receivers))

    @invariant()
    def nothing_is_lost_and_nothing_comes_twice(self) -> None:
        assert len(set(self.received)) == len(self.received)
        in_hand = [
            asked.outcome[1]
            for _, asked, cases in self.pending
            if asked.outcome and asked.outcome[2] and not cases[asked.outcome[0]].is_send
        ]
        inside = [
            value
            for dumb in self.dumb
            for value in [*dumb.buffer, *(value for _, value in dumb.returned)]
        ]
        assert sorted([*self.received, *in_hand, *inside]) == sorted(self.accepted)

    def _new_value(self) -> int:
        self.next_value += 1
        return self.next_value

    def _wait(self, cases: list[Case], dumb: list[tuple[DumbChannel, bool, Any]]) -> None:
        waiter, asked = Someone(tuple(case.value for case in cases)), Asked()
        wait_for_any(cases, waiter)
        for index, (channel, is_send, value) in enumerate(dumb):
            if is_send:
                channel.senders.append((asked, index, value))
            else:
                channel.receivers.append((asked, index))
        self.pending.append((waiter, asked, cases))

    def _is_ready(self, dumb: DumbChannel, is_send: bool) -> bool:
        if dumb.is_closed:
            return True
        if is_send:
            return len(dumb.buffer) < dumb.size or bool(dumb.receivers)
        return bool(dumb.buffer or dumb.returned or dumb.senders)

    def _forget_settled(self) -> None:
        for dumb in self.dumb:
            for asked, _, value in dumb.senders:
                if asked.outcome is not None and asked.outcome[1] == value:
                    self.accepted.add(value)
            dumb.senders = [it for it in dumb.senders if it[0].outcome is None]
            dumb.receivers = [it for it in dumb.receivers if it[0].outcome is None]

    def _leave(self, asked: Asked) -> None:
        for dumb in self.dumb:
            dumb.senders = [it for it in dumb.senders if it[0] is not asked]
            dumb.receivers = [it for it in dumb.receivers if it[0] is not asked]

    def _dumb_give_back(self, dumb: DumbChannel, ticket: int, value: Any) -> None:
        if dumb.hand(ticket, value):
            self._forget_settled()
        else:
            dumb.returned = sorted([*dumb.returned, (ticket, value)])


ChannelsMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
TestChannels = ChannelsMachine.TestCase
