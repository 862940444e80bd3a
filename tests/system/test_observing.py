"""The observation bus in a real node: the runtime's facts, floods, and the guide's examples."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from real_node import RealNode
from watching import wait_lines

pytestmark = pytest.mark.system

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "groups.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^ *# -> (.*)$", re.MULTILINE)
YAML = """
version: "1.0"
namespace: app
entries:
  - {name: pool, kind: process.host, workers: 2}
  - {name: cache, kind: process.py, source: "file://actors.py", method: cache}
  - {name: main.code, kind: process.py, source: "file://actors.py", method: main}
  - {name: other.code, kind: process.py, source: "file://actors.py", method: other}
  - {name: other, kind: process.service, process: other.code}
  - name: main
    kind: process.service
    process: main.code
    lifecycle: {requires: [pool, other]}
"""
HEAD = """
import asyncio, os, signal, sys, resource
from wippy import events, groups, process, sync

def say(*words):
    print(*words, flush=True)

async def cache(): ...

async def other():
    await asyncio.Event().wait()
"""


def a_node(node: Callable[..., RealNode], text: str) -> RealNode:
    """Return a node with the actors of `text` over idle ones."""
    return node({"app.yaml": YAML, "actors.py": HEAD + text})


def test_the_guide_has_an_example_of_each() -> None:
    assert len(EXAMPLES) == 2
    assert all(PRINTED.search(example) for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=["groups", "events"])
def test_an_example_prints_what_it_says(node: Callable[..., RealNode], example: str) -> None:
    main = '\n\nexample = main\n\nasync def main():\n    await example()\n    say("the end")\n'
    shop = a_node(node, example + main)
    assert wait_lines(shop, "app:main", "the end")[:-1] == PRINTED.findall(example)


def test_an_actor_sees_a_death_and_the_restart_that_follows(
    node: Callable[..., RealNode],
) -> None:
    shop = a_node(
        node,
        """
async def main():
    with events.subscribe("wippy.*") as facts:
        await facts.ready()
        say("watching")
        async for event in facts:
            it = event.payload
            if it.get("id") == "app:other":
                say(event.topic, it.get("generation", 0), repr(event.sender))
            if event.topic == "wippy.ready" and it.get("generation") == 2:
                say("the end")
""",
    )
    wait_lines(shop, "app:main", "watching")
    os.kill(shop.pid("app:other"), signal.SIGKILL)
    lines = wait_lines(shop, "app:main", "the end")
    assert lines == [
        "watching",
        "wippy.exited 1 ''",
        "wippy.decided 1 ''",
        "wippy.starting 2 ''",
        "wippy.ready 2 ''",
        "the end",
    ]


FLOOD = """
async def other():
    async for message in process.inbox():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        count, pipe = message.payload
        for number in range(count):
            events.publish("flood", [number, "x" * 1000])
            if number % 1000 == 999:
                await asyncio.sleep(0)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        if pipe:
            open(pipe, "w").close()
        process.send(message.sender, "flooded", grown)

async def main():
    with events.subscribe("flood", size=100) as slow:
        await slow.ready()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pipe = PIPE
        if pipe:
            os.mkfifo(pipe)
        process.send("app:other", "go", [100_000, pipe])
        if pipe:
            await asyncio.sleep(0)  # so that it goes out
            open(pipe).read()  # blocks the loop until all is published
        message = await process.inbox().receive()
        # The last that was counted as dropped is told when there is credit, behind the message.
        seen = 0
        while seen + slow.dropped < 100_000:
            await asyncio.wait_for(slow.receive(), 30)
            seen += 1
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        sizes = grown // 1024, message.payload // 1024
        say("counted", seen + slow.dropped, slow.dropped > 0, *sizes)
"""


@pytest.mark.parametrize("is_blocked", [False, True])
def test_a_flood_to_a_slow_subscriber_is_counted_and_memory_stays_flat(
    node: Callable[..., RealNode], is_blocked: bool
) -> None:
    """100 MB are published; the subscriber does not read, or even blocks its whole loop."""
    pipe = """os.environ["WIPPY_RUN_DIR"] + "/pipe\"""" if is_blocked else '""'
    shop = a_node(node, FLOOD.replace("PIPE", pipe))
    line = wait_lines(shop, "app:main", "counted")[-1].split()
    assert line[1:3] == ["100000", "True"]
    assert int(line[3]) < 40, "MiB that the subscriber has grown by"
    assert int(line[4]) < 40, "MiB that the publisher has grown by"


def test_plain_def_watches_groups_and_observations(node: Callable[..., RealNode]) -> None:
    shop = a_node(
        node,
        """
async def cache():
    groups.join("caches")
    events.publish("cache.up", process.pid())
    await process.inbox().receive()
    groups.leave("caches")
    events.publish("cache.down", process.pid())
    await process.inbox().receive()

def main():
    monitor, news = sync.monitor_group("caches", timeout="30s"), sync.subscribe("cache.*")
    news.ready(timeout="30s")
    pid = process.spawn("app:cache", "app:pool")
    event = next(monitor)
    say(monitor.members, event.kind, event.pid == pid, groups.members("caches") == [pid])
    process.send(pid, "go")
    event = monitor.receive(timeout="30s")
    say(event.kind, groups.members("caches"))
    say([news.receive(timeout="30s").topic for _ in range(2)], news.dropped)
    monitor.close()
    news.close()
    say(list(monitor), list(news))
    say("the end")
""",
    )
    assert wait_lines(shop, "app:main", "the end") == [
        "[] join True True",
        "leave []",
        "['cache.up', 'cache.down'] 0",
        "[] []",
        "the end",
    ]
