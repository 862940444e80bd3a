"""The core of channels: what is sent, received, given back and closed, in which order."""

from __future__ import annotations

import pytest
from channel_waiters import Someone, full, receiver, sender

from wippy.core.channels import (
    NOTHING,
    SWEEP_FROM,
    ChannelCore,
    Closed,
    Stage,
)


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
