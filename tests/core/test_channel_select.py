"""Select over channels: which case happens, and that only one does."""

from __future__ import annotations

from typing import Any

import pytest
from channel_waiters import Someone, full, receiver

from wippy.core.channels import (
    TIMEOUT,
    ChannelCore,
    Closed,
    Waiter,
)
from wippy.core.selecting import Case, note_choice, select_now, wait_for_any


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
