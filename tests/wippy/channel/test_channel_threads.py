"""Channels between threads, and between a thread and a loop: plain `def` actors use them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from wippy import channel
from wippy.errors import Invalid, Timeout

DEADLINE_S = 60.0
MANY = 2000


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ended(*threads: threading.Thread) -> bool:
    for thread in threads:
        thread.join(DEADLINE_S)
    return not any(thread.is_alive() for thread in threads)


def test_a_thread_and_a_task_talk_both_ways() -> None:
    async def main() -> list[int]:
        questions, answers = channel.new(), channel.new()

        def answer() -> None:
            for number in questions:
                answers.send_blocking(number * 2)
            answers.close()

        thread = in_thread(answer)
        got = []
        for number in range(100):
            await questions.send(number)
            got.append(await answers.receive())
        questions.close()
        assert [it async for it in answers] == []
        assert ended(thread)
        return got

    assert asyncio.run(main()) == [2 * number for number in range(100)]


@pytest.mark.parametrize("size", [0, 1, 7])
def test_many_threads_and_tasks_lose_nothing(size: int) -> None:
    ch, got = channel.new(size), channel.new(100)

    def produce(who: int) -> None:
        for number in range(MANY):
            ch.send_blocking((who, number))

    def consume() -> None:
        for value in ch:
            got.send_blocking(value)

    async def main() -> list[tuple[int, int]]:
        async def produce_task(who: int) -> None:
            for number in range(MANY):
                await ch.send((who, number))
                if number % 10 == 0:
                    await asyncio.sleep(0)

        async def consume_task() -> None:
            async for value in ch:
                await got.send(value)

        producers = [in_thread(lambda who=who: produce(who)) for who in (0, 1)]  # type: ignore[misc]  # binds this turn's number
        consumers = [in_thread(consume) for _ in range(2)]
        tasks = [asyncio.ensure_future(produce_task(who)) for who in (2, 3)]
        consuming = [asyncio.ensure_future(consume_task()) for _ in range(2)]
        values = [await got.receive() for _ in range(4 * MANY)]
        await asyncio.gather(*tasks)
        ch.close()
        await asyncio.gather(*consuming)
        assert ended(*producers, *consumers)
        return values

    async def bounded() -> list[tuple[int, int]]:
        async with asyncio.timeout(DEADLINE_S):
            return await main()

    values = asyncio.run(bounded())
    assert sorted(values) == [(who, number) for who in range(4) for number in range(MANY)]


def test_one_receiving_thread_sees_each_senders_order() -> None:
    ch, got = channel.new(3), []

    def produce(who: int) -> None:
        for number in range(MANY):
            ch.send_blocking((who, number))

    producers = [in_thread(lambda who=who: produce(who)) for who in range(3)]  # type: ignore[misc]  # binds this turn's number
    got = [ch.receive_blocking(DEADLINE_S) for _ in range(3 * MANY)]
    assert ended(*producers)
    for who in range(3):
        assert [number for sender, number in got if sender == who] == list(range(MANY))


def test_cancelled_tasks_lose_no_value_that_a_thread_sends() -> None:
    """Receivers are cancelled while the thread hands values to them."""
    ch = channel.new()

    def produce() -> None:
        for number in range(MANY):
            ch.send_blocking(number)
        ch.close()

    async def main() -> list[int]:
        got: list[int] = []
        thread = in_thread(produce)
        while not (ch.is_closed and len(ch) == 0):
            receiving = asyncio.ensure_future(ch.receive())
            await asyncio.sleep(0)
            receiving.cancel()
            result = (await asyncio.gather(receiving, return_exceptions=True))[0]
            if isinstance(result, int):
                got.append(result)
        assert ended(thread)
        return got

    async def bounded() -> list[int]:
        async with asyncio.timeout(DEADLINE_S):
            return await main()

    assert asyncio.run(bounded()) == list(range(MANY))


def test_blocking_selects_of_threads_meet() -> None:
    a, b = channel.new(), channel.new()
    seen: list[channel.Selected] = []
    thread = in_thread(
        lambda: seen.append(channel.select_blocking(a.case_receive(), b.case_receive()))
    )
    chosen = channel.select_blocking(b.case_send("value"), timeout=DEADLINE_S)
    assert ended(thread)
    assert (chosen.index, seen[0].index, seen[0].channel, seen[0].value) == (0, 1, b, "value")


def test_blocking_select_has_default_and_timeout() -> None:
    ch = channel.new(1)
    assert channel.select_blocking(ch.case_receive(), default=0).index == channel.DEFAULT
    assert channel.select_blocking(ch.case_receive(), timeout=0.001).index == channel.TIMEOUT
    with pytest.raises(channel.WouldBlock):
        channel.new().send_nowait("nobody waits")
    ch.send_nowait("value")
    assert channel.select_blocking(ch.case_receive(), timeout=0).value == "value"


def test_a_send_that_timed_out_never_happens() -> None:
    ch = channel.new()
    with pytest.raises(Timeout, match="nobody received within"):
        ch.send_blocking("late", timeout_s=0.001)
    with pytest.raises(channel.WouldBlock):
        ch.receive_nowait()


def test_a_receive_that_timed_out_takes_nothing() -> None:
    ch = channel.new()
    with pytest.raises(Timeout, match="nothing came within"):
        ch.receive_blocking(timeout_s=0.001)
    with pytest.raises(channel.WouldBlock):
        ch.send_nowait("value")


def test_close_wakes_waiting_threads() -> None:
    ch, full = channel.new(), channel.new()
    seen: list[type[BaseException]] = []
    begun = channel.new(2)

    def wait(work: Callable[[], Any]) -> None:
        begun.send_blocking(None)
        try:
            work()
        except channel.Closed as error:
            seen.append(type(error))

    threads = [
        in_thread(lambda: wait(ch.receive_blocking)),
        in_thread(lambda: wait(lambda: full.send_blocking("late"))),
    ]
    begun.receive_blocking(DEADLINE_S)
    begun.receive_blocking(DEADLINE_S)
    ch.close()
    full.close()
    assert ended(*threads)
    assert seen == [channel.Closed, channel.Closed]


def test_blocking_in_a_loop_is_refused_with_what_to_write() -> None:
    async def main() -> None:
        ch = channel.new(1)
        for blocking, instead in (
            (lambda: ch.send_blocking(1), r"await ch\.send"),
            (ch.receive_blocking, r"await ch\.receive"),
            (lambda: next(iter(ch)), "async for"),
            (lambda: channel.select_blocking(ch.case_receive()), r"await channel\.select"),
        ):
            with pytest.raises(Invalid, match=instead):
                blocking()

    asyncio.run(main())


def test_two_loops_in_two_threads_talk() -> None:
    ch, back = channel.new(), channel.new()

    async def echo() -> None:
        async for value in ch:
            await back.send(value)

    async def main() -> list[int]:
        got = []
        for number in range(100):
            await ch.send(number)
            got.append(await back.receive())
        ch.close()
        return got

    thread = in_thread(lambda: asyncio.run(echo()))
    assert asyncio.run(main()) == list(range(100))
    assert ended(thread)
