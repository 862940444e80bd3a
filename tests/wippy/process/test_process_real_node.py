"""The actor example under a real root: pools, dedicated processes, kills."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_root import turns
from real_node import RealNode

YAML = """
version: "1.0"
namespace: app
entries:
  - {name: processes, kind: process.host, workers: 2}
  - {name: handler, kind: process.py, source: "file://workers.py", method: handler}
  - {name: main, kind: process.py, source: "file://workers.py", method: main}
  - {name: worker, kind: process.service, process: handler, host: processes}
  - {name: boss, kind: process.service, process: main}
"""
WORKERS = """
from wippy import process

async def handler():
    async for message in process.inbox():
        match message.topic:
            case "task":
                process.send(message.sender, "done", {"id": message.payload["id"]})
            case "end":
                return message.payload

async def main():
    inbox, events = process.inbox(), process.events()
    process.send("app:worker", "task", {"id": 0})
    print("service", (await inbox.receive()).payload, flush=True)
    for host in ("app:processes", ""):
        worker = process.spawn_monitored("app:handler", host)
        process.send(worker, "task", {"id": 1})
        done = await inbox.receive()
        print(done.payload, done.sender == worker, flush=True)
        process.send(worker, "end", "bye")
        event = await events.receive()
        print(event.kind, event.exit, event.value, flush=True)
    worker = process.spawn_monitored("app:handler")
    process.send(worker, "task", {"id": 2})
    await inbox.receive()
    process.terminate(worker)
    event = await events.receive()
    print(event.kind, type(event.exit).__name__, flush=True)
    async for event in events:
        if event.kind == process.event.CANCEL:
            return
"""


@pytest.mark.system
def test_the_actor_example_works_in_a_node(node: Callable[..., RealNode]) -> None:
    shop = node({"app.yaml": YAML, "workers.py": WORKERS})
    lines: list[str] = []
    for _ in turns():
        lines = shop.log("app:boss").splitlines()
        if len(lines) >= 6:
            break
    assert lines == [
        "service {'id': 0}",
        "{'id': 1} True",
        "exit Normal() bye",
        "{'id': 1} True",
        "exit Normal() bye",
        "exit Killed",
    ]


EAGER = """
version: "1.0"
namespace: app
entries:
  - {name: boss, kind: process.service, process: main}
  - {name: main, kind: process.py, source: "file://workers.py", method: main}
  - {name: hello, kind: process.py, source: "file://workers.py", method: hello}
  - {name: pool, kind: process.host, workers: 2}
  - {name: growing, kind: process.host, workers: {min: 0, max: 2}}
"""
EAGER_WORKERS = """
import asyncio
from wippy import process

async def hello(word):
    return word

async def main():
    for host in ("app:pool", "app:growing"):
        for number in range(3):
            print(await process.exec("app:hello", host, f"{host} {number}"), flush=True)
    await asyncio.Event().wait()
"""


@pytest.mark.system
def test_an_actor_that_starts_before_a_pool_may_spawn_into_it_at_once(
    node: Callable[..., RealNode],
) -> None:
    shop = node({"app.yaml": EAGER, "workers.py": EAGER_WORKERS})
    lines: list[str] = []
    for _ in turns():
        lines = shop.log("app:boss").splitlines()
        if len(lines) >= 6:
            break
    assert lines == [f"app:{host} {number}" for host in ("pool", "growing") for number in range(3)]
