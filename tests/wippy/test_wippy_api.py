"""The names that actor code imports."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import wippy
from wippy import log, process
from wippy.core.ids import Pid
from wippy.errors import Invalid
from wippy.runtime.context import (
    MAX_EVENTS,
    ActorContext,
    Event,
    EventKind,
    NotNeededSignal,
    current_actor,
)


@pytest.fixture
def actor() -> Iterator[ActorContext]:
    context = ActorContext(Pid("node", "app:worker", 3), "app:worker", "app:code")
    token = current_actor.set(context)
    yield context
    current_actor.reset(token)


def cancel_event(reason: str = "why") -> Event:
    return Event(EventKind.CANCEL, reason, 0.0)


def test_importing_wippy_loads_nothing_else() -> None:
    code = "import sys, wippy; print(sorted(m for m in sys.modules if m.startswith('wippy.')))"
    folder = Path(wippy.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.stdout == "[]\n"


def test_public_names_are_there_and_an_unknown_one_is_an_error() -> None:
    assert all(getattr(wippy, name) is not None for name in dir(wippy))
    with pytest.raises(AttributeError, match="no attribute 'proces'"):
        _ = wippy.proces


@pytest.mark.parametrize("call", [process.pid, process.id, process.events])
def test_outside_of_an_actor_there_is_nobody_to_ask_about(call: object) -> None:
    with pytest.raises(Invalid, match="not inside an actor"):
        call()  # type: ignore[operator]


def test_actor_knows_its_pid_and_its_id(actor: ActorContext) -> None:
    assert (process.pid(), process.id()) == ("node/app:worker.3/0", "app:worker")


def test_not_needed_passes_a_broad_except() -> None:
    def user_code() -> None:
        try:
            process.not_needed()
        except Exception:  # noqa: BLE001  # what user code does
            pytest.fail("swallowed")

    with pytest.raises(NotNeededSignal):
        user_code()


def test_events_come_in_order_to_a_task(actor: ActorContext) -> None:
    async def read() -> list[str]:
        events = process.events()
        asyncio.get_running_loop().call_soon(actor.events.put, cancel_event("one"))
        asyncio.get_running_loop().call_soon(actor.events.put, cancel_event("two"))
        return [(await events.receive()).reason, (await anext(events)).reason]  # type: ignore[call-overload]

    assert asyncio.run(read()) == ["one", "two"]
    assert actor.reads_events


def test_events_wake_a_blocking_thread(actor: ActorContext) -> None:
    events = process.events()
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(next(iter(events)).reason))
    thread.start()
    actor.events.put(cancel_event())
    thread.join()
    assert seen == ["why"]


def test_blocking_iteration_in_the_loop_is_refused(actor: ActorContext) -> None:
    async def read() -> None:
        next(iter(process.events()))

    with pytest.raises(Invalid, match="async for"):
        asyncio.run(read())


def test_waiting_for_an_event_can_be_cancelled_and_loses_none(actor: ActorContext) -> None:
    async def read() -> str:
        events = process.events()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(events.receive(), 0.0)
        actor.events.put(cancel_event())
        return (await events.receive()).reason

    assert asyncio.run(read()) == "why"


def test_unread_events_are_bounded_and_the_newest_are_kept(actor: ActorContext) -> None:
    for number in range(MAX_EVENTS + 1):
        actor.events.put(cancel_event(str(number)))
    oldest = actor.events.take_nowait()
    assert oldest is not None
    assert oldest.reason == "1"


def test_log_line_says_who_when_and_what(
    actor: ActorContext, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WIPPY_LOG_FORMAT", raising=False)
    log.warning("late", order=17, by="two words")
    time, line = capsys.readouterr().err.split(" ", 1)
    assert time.endswith("Z")
    assert line == 'warning app:worker node/app:worker.3/0 late order=17 by="two words"\n'


def test_log_line_as_json_and_levels(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIPPY_LOG_FORMAT", "json")
    monkeypatch.setenv("WIPPY_LOG_LEVEL", "info")
    log.debug("unseen")
    log.info("seen", what={1})
    log.error("bad")
    seen, bad = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (seen["text"], seen["what"], seen["level"]) == ("seen", "{1}", "info")
    assert bad["level"] == "error"
