"""Time through the replaceable clock: nothing here waits for real time to decide anything."""

from __future__ import annotations

import asyncio
import datetime
import gc
import threading
import time as machine
from collections.abc import Awaitable
from typing import Any

import pytest
from fake_clock import FakeClock, run, settle, skipping

from wippy import channel, time
from wippy.errors import Invalid, Timeout
from wippy.runtime.clock import SystemClock, current_clock

SOON_S = 0.001
DEADLINE_S = 60.0


def start(work: Awaitable[Any]) -> asyncio.Future[Any]:
    return asyncio.ensure_future(work)


def at(clock: FakeClock, seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(1000.0 + seconds, datetime.UTC)


# --- sleep ---------------------------------------------------------------------------------------


def test_sleep_ends_when_its_time_has_passed_and_not_before() -> None:
    async def main(clock: FakeClock) -> None:
        sleeping = start(time.sleep("100ms"))
        await settle()
        clock.skip(0.099)
        await settle()
        assert not sleeping.done()
        clock.skip(0.001)
        await sleeping

    run(main)


def test_a_cancelled_sleep_leaves_no_timer() -> None:
    async def main(clock: FakeClock) -> None:
        sleeping = start(time.sleep("1h"))
        await settle()
        assert clock.pending == 1
        sleeping.cancel()
        await settle()
        assert (sleeping.cancelled(), clock.pending) == (True, 0)

    run(main)


def test_a_sleep_cancelled_in_the_turn_it_ends_is_cancelled() -> None:
    async def main(clock: FakeClock) -> None:
        sleeping = start(time.sleep(1))
        await settle()
        clock.skip(1)
        sleeping.cancel()
        await settle()
        assert sleeping.cancelled()

    run(main)


def test_now_and_monotonic_follow_the_clock() -> None:
    async def main(clock: FakeClock) -> None:
        before_s = time.monotonic_s()
        await skipping(clock, time.sleep("2m"))
        assert time.monotonic_s() - before_s == 120.0
        assert (time.now(), time.now().tzinfo) == (at(clock, 120), datetime.UTC)

    run(main)


def test_a_clock_holds_for_a_task_and_the_tasks_it_makes_and_for_nobody_else() -> None:
    async def in_other_time() -> tuple[float, float]:
        current_clock.set(FakeClock())
        return time.monotonic_s(), await start(asyncio.to_thread(time.monotonic_s))

    async def main() -> None:
        assert await start(in_other_time()) == (1000.0, 1000.0)
        assert isinstance(current_clock.get(), SystemClock)

    asyncio.run(main())


def test_parse_gives_seconds() -> None:
    assert time.parse("5s") == 5.0
    with pytest.raises(Invalid, match="100ms"):
        time.parse("5 parsecs")


# --- after ---------------------------------------------------------------------------------------


def test_after_gives_one_value_when_its_time_has_come() -> None:
    async def main(clock: FakeClock) -> None:
        timer = time.after("5s")
        clock.skip(4.9)
        assert len(timer) == 0
        clock.skip(10)
        assert await timer.receive() == at(clock, 5)
        clock.skip(100)
        assert (len(timer), clock.pending) == (0, 0)

    run(main)


def test_after_is_a_timeout_in_a_select() -> None:
    async def main(clock: FakeClock) -> None:
        never, late = channel.new(), time.after("30s")
        chosen = await skipping(clock, channel.select(never.case_receive(), late.case_receive()))
        assert (chosen.index, chosen.channel) == (1, late)

    run(main)


def test_a_stopped_timer_never_fires() -> None:
    async def main(clock: FakeClock) -> None:
        timer = time.after(1)
        timer.stop()
        timer.stop()
        clock.skip(2)
        with pytest.raises(channel.Closed):
            await timer.receive()

    run(main)


def test_timers_that_nobody_holds_are_cancelled() -> None:
    async def main(clock: FakeClock) -> None:
        ready = channel.new(1)
        for _ in range(100):
            await ready.send("value")
            await channel.select(ready.case_receive(), time.after("1h").case_receive())
        gc.collect()
        assert clock.pending == 0

    run(main)


def test_a_timer_that_is_only_waited_for_is_held() -> None:
    async def main(clock: FakeClock) -> None:
        waiting = [
            start(time.after(1).receive()),
            start(channel.select(time.after(1).case_receive())),
        ]
        await settle()
        gc.collect()
        clock.skip(1)
        value, chosen = await asyncio.gather(*waiting)
        assert value == chosen.value == at(clock, 1)

    run(main)


# --- ticker --------------------------------------------------------------------------------------


def test_a_ticker_ticks_in_step_until_it_is_stopped() -> None:
    async def main(clock: FakeClock) -> None:
        ticker = time.ticker("10s")
        ticks = []

        async def read() -> None:
            async for tick in ticker:
                ticks.append(tick)
                if len(ticks) == 3:
                    ticker.stop()

        await skipping(clock, read())
        assert ticks == [at(clock, 10), at(clock, 20), at(clock, 30)]
        assert clock.pending == 0

    run(main)


def test_ticks_that_nobody_takes_are_dropped_but_for_one() -> None:
    async def main(clock: FakeClock) -> None:
        ticker = time.ticker(1)
        clock.skip(5.5)
        assert len(ticker) == 1
        assert await ticker.receive() == at(clock, 1)
        clock.skip(0.5)
        assert await ticker.receive() == at(clock, 6)

    run(main)


def test_a_blocked_loop_is_not_followed_by_a_burst_of_ticks() -> None:
    async def main(clock: FakeClock) -> None:
        ticker = time.ticker(1)
        clock.jump(100.5)
        assert len(ticker) == 1
        await ticker.receive()
        clock.skip(0.4)
        assert len(ticker) == 0
        clock.skip(0.1)
        assert await ticker.receive() == at(clock, 101)

    run(main)


def test_a_ticker_that_nobody_holds_ends() -> None:
    async def main(clock: FakeClock) -> None:
        ticker = time.ticker(1)
        clock.skip(3)
        del ticker
        gc.collect()
        assert clock.pending == 0

    run(main)


@pytest.mark.parametrize("interval", [0, -1, "0s"])
def test_a_ticker_without_an_interval_is_refused(interval: Any) -> None:
    async def main(clock: FakeClock) -> None:
        with pytest.raises(Invalid, match="longer than 0"):
            time.ticker(interval)

    run(main)


# --- time-outs of a select -----------------------------------------------------------------------


def test_a_select_that_times_out_says_so_and_waits_nowhere_any_more() -> None:
    async def main(clock: FakeClock) -> None:
        a, b = channel.new(), channel.new()
        selecting = channel.select(a.case_receive(), b.case_send(1), timeout="5s")
        chosen = await skipping(clock, selecting)
        assert (chosen.index, chosen.channel, chosen.ok) == (channel.TIMEOUT, None, False)
        assert clock.now_s == 1005.0
        for would_block in (lambda: a.send_nowait(1), b.receive_nowait):
            with pytest.raises(channel.WouldBlock):
                would_block()

    run(main)


def test_a_select_in_time_leaves_no_timer() -> None:
    async def main(clock: FakeClock) -> None:
        ch = channel.new()
        selecting = start(channel.select(ch.case_receive(), timeout="5s"))
        await settle()
        assert clock.pending == 1
        await ch.send("value")
        assert (await selecting).value == "value"
        assert clock.pending == 0

    run(main)


def test_what_came_before_the_timeout_wins_though_both_are_in_one_turn() -> None:
    async def main(clock: FakeClock) -> None:
        ch = channel.new()
        selecting = start(channel.select(ch.case_receive(), timeout=5))
        await settle()
        ch.send_nowait("value")
        clock.skip(5)
        assert (await selecting).value == "value"

    run(main)


def test_a_timeout_of_nothing_only_looks() -> None:
    async def main(clock: FakeClock) -> None:
        ch = channel.new(1)
        assert (await channel.select(ch.case_receive(), timeout=0)).index == channel.TIMEOUT
        await ch.send("value")
        assert (await channel.select(ch.case_receive(), timeout=-1)).value == "value"

    run(main)


def test_a_select_of_a_timeout_alone_sleeps() -> None:
    async def main(clock: FakeClock) -> None:
        assert (await skipping(clock, channel.select(timeout="1m"))).index == channel.TIMEOUT

    run(main)


def test_a_clock_that_refuses_a_timer_leaves_no_waiter_behind() -> None:
    class Broken(FakeClock):
        def call_later(self, delay_s: float, callback: Any) -> Any:
            raise Invalid("no timers here")

    async def main() -> None:
        ch = channel.new()
        current_clock.set(Broken())
        with pytest.raises(Invalid, match="no timers"):
            await channel.select(ch.case_receive(), timeout=1)
        with pytest.raises(channel.WouldBlock):
            ch.send_nowait("value")
        with pytest.raises(Invalid, match="no timers"):
            time.after(1)

    asyncio.run(main())


# --- the machine's clock -------------------------------------------------------------------------


def test_the_machines_clock_is_that_of_the_loop_and_of_the_date() -> None:
    before = (machine.monotonic(), datetime.datetime.now(datetime.UTC))
    shown = (time.monotonic_s(), time.now())
    after = (machine.monotonic(), datetime.datetime.now(datetime.UTC))
    assert before <= shown <= after


def test_real_timers_fire_in_a_loop() -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await time.sleep(SOON_S)
            assert (await time.after(SOON_S).receive()).tzinfo is datetime.UTC
            ticker = time.ticker(SOON_S)
            assert await ticker.receive() < await ticker.receive()
            ticker.stop()

    asyncio.run(main())


def test_real_timers_fire_for_a_thread_without_a_loop() -> None:
    assert time.after(SOON_S).receive_blocking(DEADLINE_S).tzinfo is datetime.UTC
    ticker = time.ticker(SOON_S)
    assert ticker.receive_blocking(DEADLINE_S) < ticker.receive_blocking(DEADLINE_S)
    ticker.stop()
    time.sleep_blocking(SOON_S)
    stopped = time.after("1h")
    stopped.stop()
    with pytest.raises(channel.Closed):
        stopped.receive_blocking(DEADLINE_S)


def test_a_timer_of_a_loop_can_be_stopped_by_a_thread_and_after_the_loop() -> None:
    async def main() -> tuple[time.Timer, time.Timer]:
        early, late = time.after("1h"), time.after("1h")
        await asyncio.to_thread(early.stop)
        return early, late

    early, late = asyncio.run(main())
    late.stop()
    assert early.is_closed
    assert late.is_closed


def test_blocking_sleep_in_a_loop_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(Invalid, match=r"await time\.sleep"):
            time.sleep_blocking(1)

    asyncio.run(main())


def test_blocking_timeouts_follow_the_clock_too() -> None:
    """The fake clock is moved by this thread while another waits in `receive_blocking`."""
    clock, ch = FakeClock(), channel.new()
    errors: list[BaseException] = []
    asked = threading.Event()

    class Noticed(FakeClock):
        def call_later(self, delay_s: float, callback: Any) -> Any:
            timer = clock.call_later(delay_s, callback)
            asked.set()
            return timer

    def wait() -> None:
        current_clock.set(Noticed())
        try:
            ch.receive_blocking(timeout_s=30)
        except Timeout as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert asked.wait(DEADLINE_S)
    clock.skip(30)
    thread.join(DEADLINE_S)
    assert "nothing came within 30 s" in str(errors[0])
