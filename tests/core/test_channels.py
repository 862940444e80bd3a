"""The core of channels against a dumb model that keeps plain lists and removes eagerly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wippy.core.channels import (
    NOTHING,
    SWEEP_FROM,
    TIMEOUT,
    ChannelCore,
    Closed,
    Stage,
    Waiter,
)
from wippy.core.selecting import Case, note_choice, select_now, wait_for_any


class Someone(Waiter):
    """A waiter that is woken by nobody; `is_gone` is what a cancelled future is."""

    is_gone = False
    wakes = 0

    def is_there(self) -> bool:
        return not self.is_gone

    def wake(self) -> bool:
        self.wakes += 1
        return True

    def outcome(self) -> tuple[int, Any, bool] | None:
        return (self.index, self.value, self.ok) if self.stage is Stage.SETTLED else None


def receiver(core: ChannelCore) -> Someone:
    waiter = Someone()
    core.wait_to_receive(waiter)
    return waiter


def sender(core: ChannelCore, value: Any) -> Someone:
    waiter = Someone((value,))
    core.wait_to_send(waiter)
    return waiter


def full(size: int) -> ChannelCore:
    core = ChannelCore(size)
    assert all(core.send(number) for number in range(size))
    return core


# --- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 3])
def test_sends_fit_up_to_the_size_and_come_out_in_order(size: int) -> None:
    core = full(size)
    assert not core.send("one too many")
    assert len(core) == size
    assert [core.receive() for _ in range(size)] == list(range(size))
    assert core.receive() is NOTHING


@pytest.mark.parametrize("size", [0, 1, 3])
def test_waiting_senders_are_served_in_order_after_the_buffer(size: int) -> None:
    core = full(size)
    waiting = [sender(core, size + number) for number in range(3)]
    assert [core.receive() for _ in range(size + 3)] == list(range(size + 3))
    assert [waiter.outcome() for waiter in waiting] == [(0, size + n, True) for n in range(3)]


@pytest.mark.parametrize("size", [0, 1, 3])
def test_waiting_receivers_are_served_in_order_and_fill_no_buffer(size: int) -> None:
    core = ChannelCore(size)
    waiting = [receiver(core) for _ in range(3)]
    assert all(core.send(number) for number in range(3))
    assert [waiter.value for waiter in waiting] == [0, 1, 2]
    assert len(core) == 0


@pytest.mark.parametrize("size", [0, 1, 3])
def test_close_keeps_the_buffer_and_wakes_all_who_wait(size: int) -> None:
    core = full(size)
    waiting = [sender(core, "late") for _ in range(2)]
    core.close()
    core.close()
    assert [waiter.ok for waiter in waiting] == [False, False]
    assert [core.receive() for _ in range(size)] == list(range(size))
    with pytest.raises(Closed, match="all that was sent on it has been received"):
        core.receive()
    with pytest.raises(Closed, match="nothing can be sent"):
        core.send("more")


def test_close_tells_waiting_receivers() -> None:
    core = ChannelCore(1)
    waiting = [receiver(core) for _ in range(2)]
    core.close()
    assert [waiter.outcome() for waiter in waiting] == [(0, None, False)] * 2


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_gone_waiter_is_skipped(size: int) -> None:
    core = ChannelCore(size)
    gone, there = receiver(core), receiver(core)
    gone.is_gone = True
    assert core.send("value")
    assert (gone.stage, there.value) == (Stage.WAITING, "value")


@pytest.mark.parametrize("size", [0, 1, 3])
def test_the_value_of_a_sender_that_left_is_never_received(size: int) -> None:
    core = full(size)
    left, there = sender(core, "left"), sender(core, "there")
    core.withdraw(left)
    assert [core.receive() for _ in range(size + 1)] == [*range(size), "there"]
    assert there.outcome() is not None


def test_a_value_given_back_goes_to_the_next_receiver_in_line() -> None:
    core = ChannelCore()
    first, second = receiver(core), receiver(core)
    core.send("value")
    core.withdraw(first)
    assert second.outcome() == (0, "value", True)


def test_values_given_back_come_before_the_buffer_in_the_order_in_which_they_were_sent() -> None:
    core = ChannelCore(2)
    handed = [receiver(core) for _ in range(3)]
    for value in range(5):
        assert core.send(value)
    for waiter in reversed(handed):
        core.withdraw(waiter)
    assert len(core) == 5
    assert [core.receive() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_value_that_is_handed_on_keeps_its_place() -> None:
    core = ChannelCore()
    first, second, third = receiver(core), receiver(core), receiver(core)
    core.send(1)
    core.send(2)
    core.withdraw(first)
    assert third.value == 1
    core.withdraw(second)
    core.withdraw(third)
    assert [core.receive(), core.receive()] == [1, 2]


def test_a_value_given_back_to_a_closed_channel_can_still_be_received() -> None:
    core = ChannelCore()
    waiter = receiver(core)
    core.send("last")
    core.close()
    core.withdraw(waiter)
    assert core.receive() == "last"
    with pytest.raises(Closed):
        core.receive()


def test_what_was_told_to_be_closed_gives_nothing_back() -> None:
    core = ChannelCore()
    waiter = receiver(core)
    core.close()
    core.withdraw(waiter)
    assert len(core) == 0


def test_none_is_a_value() -> None:
    core = ChannelCore(1)
    assert core.send(None)
    assert core.receive() is None


def test_stale_places_are_swept_and_hold_no_values() -> None:
    core = ChannelCore()
    other = ChannelCore()
    for number in range(10 * SWEEP_FROM):
        waiter = Someone((None, f"value {number}"))
        core.wait_to_receive(waiter, 0)
        other.wait_to_send(waiter, 1)
        assert core.send(number)
        assert waiter.finish() == number
    assert len(other._senders) <= SWEEP_FROM
    assert all(waiter.offers == () and waiter.value is None for waiter, _ in other._senders)
    assert other.waiting == (0, 0)


def test_long_lines_are_swept_seldom() -> None:
    core = ChannelCore()
    waiting = [receiver(core) for _ in range(1000)]
    assert core.waiting == (0, 1000)
    for waiter in waiting:
        core.withdraw(waiter)
    receiver(core)
    assert core.waiting == (0, 1)


# --- select --------------------------------------------------------------------------------------


def receives(*cores: ChannelCore) -> list[Case]:
    return [Case(core, False) for core in cores]


def test_select_takes_ready_cases_in_turn() -> None:
    a, b, c = full(6), full(6), full(6)
    taken = [select_now(receives(a, b, c)) for _ in range(6)]
    assert [it[0] for it in taken if it] == [0, 1, 2, 0, 1, 2]


def test_a_case_that_becomes_ready_is_next() -> None:
    a, b = full(5), ChannelCore(5)
    for _ in range(3):
        assert select_now(receives(a, b)) is not None
    b.send("rare")
    assert select_now(receives(a, b)) == (1, "rare", True)


def test_the_choice_is_a_function_of_the_state() -> None:
    def run() -> list[Any]:
        a, b = full(4), ChannelCore(2)
        cases = [*receives(a, b), Case(b, True, "sent")]
        return [select_now(cases) for _ in range(8)]

    assert run() == run()


def test_sending_and_receiving_on_one_channel_take_turns() -> None:
    core = ChannelCore(2)
    core.send("first")
    cases = [Case(core, False), Case(core, True, "sent")]
    assert [it[0] for _ in range(4) if (it := select_now(cases))] == [0, 1, 0, 1]


def test_a_select_does_not_meet_itself() -> None:
    core = ChannelCore()
    waiter = Someone((None, "mine"))
    cases = [Case(core, False), Case(core, True, "mine")]
    assert select_now(cases) is None
    wait_for_any(cases, waiter)
    assert waiter.is_waiting()
    other = Someone((None, "theirs"))
    assert select_now([Case(core, False), Case(core, True, "theirs")]) == (0, "mine", True)
    assert waiter.outcome() == (1, "mine", True)
    assert other.is_waiting()


def test_exactly_one_case_of_a_waiting_select_happens() -> None:
    a, b = ChannelCore(), ChannelCore()
    waiter = Someone((None, None))
    wait_for_any(receives(a, b), waiter)
    assert b.send("b")
    assert not a.send("a")
    assert (waiter.outcome(), waiter.wakes) == ((1, "b", True), 1)


def test_the_choice_of_a_waiting_select_counts_as_a_turn() -> None:
    a, b = ChannelCore(2), ChannelCore(2)
    note_choice(receives(a, b), 0)
    a.send("a")
    b.send("b")
    assert select_now(receives(a, b)) == (1, "b", True)


def test_closed_channels_are_ready() -> None:
    core = ChannelCore(1)
    core.send("last")
    core.close()
    assert select_now(receives(core)) == (0, "last", True)
    assert select_now(receives(core)) == (0, None, False)
    with pytest.raises(Closed):
        select_now([Case(core, True, "more")])


def test_a_timeout_settles_once_and_loses_to_what_was_first() -> None:
    core = ChannelCore()
    late, early = receiver(core), receiver(core)
    assert late.settle(TIMEOUT, None, ok=False)
    assert core.send("value")
    assert early.value == "value"
    assert not early.settle(TIMEOUT, None, ok=False)
    assert (late.wakes, early.wakes) == (1, 1)


def test_a_waiter_whose_loop_closes_while_it_is_woken_takes_nothing() -> None:
    class Deaf(Someone):
        def wake(self) -> bool:
            return False

    core = ChannelCore()
    core.wait_to_receive(Deaf())
    core.wait_to_receive(there := Someone())
    assert core.send("value")
    assert there.value == "value"
    core.wait_to_send(Deaf(("deaf",)))
    core.wait_to_send(Someone(("heard",)))
    assert core.receive() == "heard"


def test_whatever_keeps_the_promises_of_a_channel_can_be_selected() -> None:
    class Mailbox:
        """Receives only; what arrives goes to whoever waits, else it stays."""

        sent_turn = received_turn = 0

        def __init__(self) -> None:
            self.messages: list[str] = []
            self.waiting: list[tuple[Waiter, int]] = []

        def arrive(self, message: str) -> None:
            while self.waiting:
                waiter, index = self.waiting.pop(0)
                if waiter.settle(index, message, ok=True, ticket=1):
                    return
            self.messages.append(message)

        def can_receive(self) -> bool:
            return bool(self.messages)

        def receive(self) -> Any:
            return self.messages.pop(0)

        def wait_to_receive(self, waiter: Waiter, index: int = 0) -> None:
            self.waiting.append((waiter, index))

        def withdraw(self, waiter: Waiter) -> None:
            self.messages.insert(0, waiter.leave())

        def send(self, value: Any) -> bool:
            raise AssertionError("nobody asks")

        def can_send(self) -> bool:
            raise AssertionError("nobody asks")

        def wait_to_send(self, waiter: Waiter, index: int = 0) -> None:
            raise AssertionError("nobody asks")

    mailbox, core = Mailbox(), ChannelCore(1)
    cases = [Case(core, False), Case(mailbox, False)]
    waiter = Someone((None, None))
    assert select_now(cases) is None
    wait_for_any(cases, waiter)
    mailbox.arrive("message")
    assert waiter.outcome() == (1, "message", True)
    cases[waiter.index].core.withdraw(waiter)
    assert select_now(cases) == (1, "message", True)


# --- against the model ---------------------------------------------------------------------------

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
