"""Channels between tasks: what waits, what is cancelled, what is closed."""

from __future__ import annotations

import asyncio
import copy
import gc
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest
from fake_clock import settle
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from wippy import channel
from wippy.errors import Invalid, WippyError


def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.ensure_future(work)


async def is_waiting(task: asyncio.Task[Any]) -> bool:
    await settle()
    return not task.done()


def test_what_needs_no_waiting_does_not_even_yield() -> None:
    async def main() -> list[int]:
        ch = channel.new(2)
        others: list[str] = []
        asyncio.get_running_loop().call_soon(others.append, "had a turn")
        await ch.send(1)
        await ch.send(2)
        got = [await ch.receive(), await ch.receive()]
        chosen = await channel.select(ch.case_receive(), default="none")
        assert (chosen.index, chosen.value) == (channel.DEFAULT, "none")
        assert others == []
        return got

    assert asyncio.run(main()) == [1, 2]


def test_an_unbuffered_send_waits_for_its_receiver() -> None:
    async def main() -> None:
        ch = channel.new()
        sending = start(ch.send("value"))
        assert await is_waiting(sending)
        assert await ch.receive() == "value"
        await sending

    asyncio.run(main())


def test_a_full_buffer_holds_the_sender_back() -> None:
    async def main() -> None:
        ch = channel.new(1)
        await ch.send(1)
        sending = start(ch.send(2))
        assert await is_waiting(sending)
        assert [await ch.receive(), await ch.receive()] == [1, 2]
        await sending

    asyncio.run(main())


def test_tasks_are_served_first_come_first_served() -> None:
    async def main() -> None:
        ch = channel.new()
        receiving = [start(ch.receive()) for _ in range(3)]
        await settle()
        for value in range(3):
            await ch.send(value)
        assert await asyncio.gather(*receiving) == [0, 1, 2]
        sending = [start(ch.send(value)) for value in range(3)]
        await settle()
        assert [await ch.receive() for _ in range(3)] == [0, 1, 2]
        await asyncio.gather(*sending)

    asyncio.run(main())


def test_iteration_ends_when_the_channel_is_closed_and_drained() -> None:
    async def main() -> list[int]:
        ch = channel.new(2)

        async def produce() -> None:
            for value in range(5):
                await ch.send(value)
            ch.close()

        producing = start(produce())
        values = [value async for value in ch]
        await producing
        return values

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]


def test_close_wakes_all_who_wait() -> None:
    async def main() -> None:
        empty, full = channel.new(), channel.new(1)
        await full.send("kept")
        waiting = [start(empty.receive()), start(full.send("late"))]
        selecting = start(channel.select(empty.case_receive(), full.case_send("late")))
        await settle()
        empty.close()
        full.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(it) for it in results] == [channel.Closed, channel.Closed]
        chosen = await selecting
        assert (chosen.index, chosen.channel, chosen.ok) == (0, empty, False)
        assert (full.is_closed, len(full), await full.receive()) == (True, 1, "kept")

    asyncio.run(main())


def test_a_select_that_waits_to_send_hears_of_the_close() -> None:
    async def main() -> None:
        ch = channel.new()
        selecting = start(channel.select(ch.case_send("value")))
        await settle()
        ch.close()
        with pytest.raises(channel.Closed, match="before anyone received"):
            await selecting

    asyncio.run(main())


def test_nowait_raises_where_it_would_wait() -> None:
    ch = channel.new(1)
    ch.send_nowait("value")
    with pytest.raises(channel.WouldBlock, match="1 of 1"):
        ch.send_nowait("more")
    assert ch.receive_nowait() == "value"
    with pytest.raises(channel.WouldBlock, match="0 of 1"):
        ch.receive_nowait()
    ch.close()
    with pytest.raises(channel.Closed):
        ch.send_nowait("more")
    with pytest.raises(channel.Closed):
        ch.receive_nowait()


def test_errors_of_channels_say_whether_to_try_again() -> None:
    assert channel.WouldBlock.retryable
    assert not channel.Closed.retryable
    assert issubclass(channel.Closed, WippyError)


@pytest.mark.parametrize("size", [-1, 1.5, True, "1", None])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    with pytest.raises(Invalid, match="whole number from 0"):
        channel.new(size)


def test_an_empty_channel_is_true() -> None:
    assert channel.new()


def test_a_channel_says_what_it_holds() -> None:
    ch = channel.new(3)
    ch.send_nowait(1)
    assert repr(ch) == "<Channel 1 of 3, waiting: 0 to send, 0 to receive>"
    ch.close()
    assert repr(ch).startswith("<Channel closed, ")


def test_a_channel_leaves_its_process_neither_pickled_nor_copied_nor_encoded() -> None:
    with pytest.raises(TypeError, match="send messages"):
        copy.deepcopy(channel.new())
    with pytest.raises(TypeError):
        msgspec.msgpack.encode(channel.new())


# --- cancellation --------------------------------------------------------------------------------


def test_a_cancelled_receive_takes_no_value() -> None:
    async def main() -> None:
        ch = channel.new()
        receiving = start(ch.receive())
        await settle()
        receiving.cancel()
        with pytest.raises(channel.WouldBlock):
            ch.send_nowait("before the task has had its turn")
        await settle()
        assert receiving.cancelled()
        with pytest.raises(channel.WouldBlock):
            ch.send_nowait("after it")

    asyncio.run(main())


def test_a_value_handed_to_a_cancelled_receiver_goes_to_the_next() -> None:
    async def main() -> None:
        ch = channel.new()
        first, second = start(ch.receive()), start(ch.receive())
        await settle()
        ch.send_nowait("value")
        first.cancel()
        assert await second == "value"
        assert first.cancelled()

    asyncio.run(main())


def test_values_handed_to_cancelled_receivers_come_back_in_order() -> None:
    async def main() -> None:
        ch = channel.new(1)
        receiving = [start(ch.receive()) for _ in range(3)]
        await settle()
        for value in range(4):
            ch.send_nowait(value)
        for task in reversed(receiving):
            task.cancel()
        await settle()
        assert len(ch) == 4
        assert [await ch.receive() for _ in range(4)] == [0, 1, 2, 3]

    asyncio.run(main())


def test_a_cancelled_select_gives_back_what_it_was_handed() -> None:
    async def main() -> None:
        a, b = channel.new(), channel.new()
        selecting = start(channel.select(a.case_receive(), b.case_receive()))
        await settle()
        b.send_nowait("value")
        selecting.cancel()
        await settle()
        assert selecting.cancelled()
        assert (len(a), len(b), b.receive_nowait()) == (0, 1, "value")

    asyncio.run(main())


def test_a_cancelled_select_that_waits_leaves_both_channels() -> None:
    async def main() -> None:
        a, b = channel.new(), channel.new()
        selecting = start(channel.select(a.case_receive(), b.case_send("value")))
        await settle()
        selecting.cancel()
        await settle()
        for would_block in (lambda: a.send_nowait(1), b.receive_nowait):
            with pytest.raises(channel.WouldBlock):
                would_block()

    asyncio.run(main())


def test_a_send_cancelled_before_anyone_took_it_has_not_happened() -> None:
    async def main() -> None:
        ch = channel.new()
        sending = start(ch.send("value"))
        await settle()
        sending.cancel()
        with pytest.raises(channel.WouldBlock):
            ch.receive_nowait()

    asyncio.run(main())


def test_a_send_cancelled_after_it_was_taken_has_happened_once() -> None:
    async def main() -> None:
        ch = channel.new()
        sending = start(ch.send("value"))
        await settle()
        assert ch.receive_nowait() == "value"
        sending.cancel()
        await settle()
        assert (sending.cancelled(), len(ch)) == (True, 0)

    asyncio.run(main())


def test_asyncio_timeouts_lose_nothing() -> None:
    async def main() -> None:
        ch = channel.new()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await ch.receive()
        sending = start(ch.send("value"))
        assert await ch.receive() == "value"
        await sending

    asyncio.run(main())


def test_a_task_that_is_collected_while_it_waits_gives_its_place_up() -> None:
    async def main() -> None:
        ch = channel.new()
        receiving = ch.receive()
        receiving.send(None)
        del receiving
        gc.collect()
        with pytest.raises(channel.WouldBlock):
            ch.send_nowait("value")

    asyncio.run(main())


def test_a_receiver_of_a_closed_loop_takes_no_value() -> None:
    ch = channel.new()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(ch.receive())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    with pytest.raises(channel.WouldBlock):
        ch.send_nowait("value")
    # It can be neither run nor cancelled any more; say so, or asyncio complains.
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]


# --- select --------------------------------------------------------------------------------------


def test_select_says_which_case_happened() -> None:
    async def main() -> None:
        a, b = channel.new(), channel.new(1)
        chosen = await channel.select(a.case_receive(), b.case_send("value"))
        assert (chosen.index, chosen.channel, chosen.value, chosen.ok) == (1, b, "value", True)
        chosen = await channel.select(a.case_receive(), b.case_receive())
        assert (chosen.index, chosen.channel, chosen.value, chosen.ok) == (1, b, "value", True)

    asyncio.run(main())


def test_two_selects_meet() -> None:
    async def main() -> None:
        a, b = channel.new(), channel.new()
        one = start(channel.select(a.case_send("from one"), b.case_receive()))
        two = start(channel.select(b.case_receive(), a.case_receive()))
        first, second = await asyncio.gather(one, two)
        assert (first.index, second.index, second.value) == (0, 1, "from one")

    asyncio.run(main())


def test_select_serves_busy_channels_in_turn() -> None:
    async def main() -> list[int]:
        channels = [channel.new(1) for _ in range(3)]
        cases = [ch.case_receive() for ch in channels]

        async def produce(ch: channel.Channel[Any]) -> None:
            for number in range(4):
                await ch.send(number)

        producing = [start(produce(ch)) for ch in channels]
        await settle()
        turns = [(await channel.select(*cases)).index for _ in range(12)]
        await asyncio.gather(*producing)
        return turns

    turns = asyncio.run(main())
    assert turns == [0, 1, 2] * 4


def test_select_of_what_is_no_case_says_how_to_write_one() -> None:
    async def main() -> None:
        ch = channel.new()
        with pytest.raises(Invalid, match=r"write ch\.case_receive\(\)"):
            await channel.select(ch)  # type: ignore[arg-type]
        with pytest.raises(Invalid, match="for ever"):
            await channel.select()
        with pytest.raises(Invalid, match="no use for a timeout"):
            await channel.select(ch.case_receive(), default=None, timeout=1)
        with pytest.raises(Invalid, match="no duration"):
            await channel.select(ch.case_receive(), timeout="soon")
        with pytest.raises(channel.WouldBlock):
            ch.send_nowait("none of them waits")

    asyncio.run(main())


def test_none_is_a_default() -> None:
    async def main() -> None:
        chosen = await channel.select(default=None)
        assert (chosen.index, chosen.channel, chosen.value) == (channel.DEFAULT, None, None)

    asyncio.run(main())


# --- all at once ---------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 1)),
        st.tuples(st.just("receive"), st.integers(0, 1)),
        st.tuples(st.just("select"), st.integers(0, 1)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("turn"), st.just(0)),
        st.tuples(st.just("close"), st.integers(0, 1)),
    ),
    max_size=40,
)


@given(steps=STEPS, sizes=st.tuples(st.integers(0, 2), st.integers(0, 2)))
@hypothesis_settings(max_examples=200, deadline=None)
def test_whatever_tasks_do_nothing_is_lost_and_nothing_comes_twice(
    steps: list[tuple[str, int]], sizes: tuple[int, int]
) -> None:
    asyncio.run(_do(steps, [channel.new(size) for size in sizes]))


async def _do(steps: list[tuple[str, int]], channels: list[channel.Channel[Any]]) -> None:
    tasks: list[asyncio.Task[Any]] = []
    sent: dict[int, asyncio.Task[Any]] = {}
    values = iter(range(1000))
    for verb, number in steps:
        match verb:
            case "send":
                value = next(values)
                sent[value] = start(channels[number].send(value))
                tasks.append(sent[value])
            case "receive":
                tasks.append(start(channels[number].receive()))
            case "select":
                value = next(values)
                other = channels[1 - number]
                tasks.append(
                    start(channel.select(channels[number].case_receive(), other.case_send(value)))
                )
                sent[value] = tasks[-1]
            case "cancel" if tasks:
                tasks[number % len(tasks)].cancel()
            case "close":
                channels[number].close()
            case "turn":
                await asyncio.sleep(0)
    await settle()
    for task in tasks:
        if not task.done():
            task.cancel()
    await settle()
    received = [value for task in tasks if (value := _received(task)) is not None]
    for ch in channels:
        while len(ch):
            received.append(ch.receive_nowait())
    assert len(received) == len(set(received)), "twice"
    certain = {value for value, task in sent.items() if _has_sent(task, value)}
    assert certain <= set(received), "lost"
    # A cancelled send may have happened; one that failed may not.
    possible = {value for value, task in sent.items() if task.cancelled()} | certain
    assert set(received) <= possible, "from nowhere"


def _received(task: asyncio.Task[Any]) -> int | None:
    if task.cancelled() or task.exception() is not None:
        return None
    result = task.result()
    if isinstance(result, channel.Selected):
        return result.value if result.index == 0 and result.ok else None
    return result  # type: ignore[no-any-return]


def _has_sent(task: asyncio.Task[Any], value: int) -> bool:
    if task.cancelled() or task.exception() is not None:
        return False
    result = task.result()
    return result is None or (isinstance(result, channel.Selected) and result.index == 1)
