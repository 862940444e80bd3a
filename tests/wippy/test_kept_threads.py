"""Threads of plain `def` code: kept for functions, an actor's own; context and errors pass."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from wippy.runtime import threads
from wippy.runtime.threads import MAX_KEPT, run_in_thread

WHO: ContextVar[str] = ContextVar("who", default="nobody")
JOBS = 200
DEADLINE_S = 30.0


def this_thread() -> threading.Thread:
    return threading.current_thread()


def test_a_call_takes_a_thread_that_is_there() -> None:
    async def main() -> set[threading.Thread]:
        return {await run_in_thread(this_thread, name="job", is_kept=True) for _ in range(JOBS)}

    assert len(asyncio.run(main())) < JOBS / 2


def test_an_actor_has_a_thread_that_nobody_had_before() -> None:
    async def main() -> set[threading.Thread]:
        return {await run_in_thread(this_thread, name="actor") for _ in range(JOBS)}

    assert len(asyncio.run(main())) == JOBS


def test_no_more_than_so_many_wait_for_work() -> None:
    gate = threading.Barrier(3 * MAX_KEPT)

    async def main() -> None:
        jobs = [
            run_in_thread(lambda: gate.wait(DEADLINE_S), name="many", is_kept=True)
            for _ in range(3 * MAX_KEPT)
        ]
        await asyncio.gather(*jobs)

    asyncio.run(main())
    # Two threads may look at the same moment; not all of them.
    assert len(threads._idle) <= 2 * MAX_KEPT


def test_each_job_has_the_name_the_context_and_the_errors_of_its_own() -> None:
    def work() -> str:
        if WHO.get() == "bad":
            raise ValueError("told to")
        return f"{this_thread().name} {WHO.get()}"

    async def one(who: str) -> str:
        WHO.set(who)
        done: str = await run_in_thread(work, name=f"for {who}", is_kept=True)
        return done

    async def main() -> None:
        assert await asyncio.create_task(one("ann")) == "for ann ann"
        with pytest.raises(ValueError, match="told to"):
            await asyncio.create_task(one("bad"))
        assert await asyncio.create_task(one("bob")) == "for bob bob"
        assert WHO.get() == "nobody"

    asyncio.run(main())


def test_a_thread_that_gets_no_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "KEPT_S", 0.01)
    monkeypatch.setattr(threads, "_idle", [])

    async def main() -> threading.Thread:
        done: threading.Thread = await run_in_thread(this_thread, name="job", is_kept=True)
        return done

    thread = asyncio.run(main())
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert threads._idle == []
