"""Process groups in a real node: joins, broadcasts, and members that are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from real_node import RealNode
from watching import wait_lines

pytestmark = pytest.mark.system

YAML = """
version: "1.0"
namespace: t
entries:
  - {name: pool, kind: process.host, workers: 2}
  - {name: member, kind: process.py, source: "file://actors.py", method: member}
  - {name: main, kind: process.py, source: "file://actors.py", method: main}
  - name: main.service
    kind: process.service
    process: main
    lifecycle: {requires: [pool]}
  - {name: far, kind: process.service, process: member, input: [all]}
"""
ACTORS = """
import os
from wippy import groups, process

async def member(*names):
    for name in names:
        groups.join(name)
    async for message in process.inbox():
        match message.topic:
            case "news":
                process.send(message.sender, "got", [message.payload, process.pid()])
            case "where":
                process.reply(message, os.getpid())
            case "end":
                return

def say(*words):
    print(*words, flush=True)

async def after(monitor, kind, count):
    got = [await monitor.receive() for _ in range(count)]
    assert {event.kind for event in got} == {kind}, got
    return sorted(event.pid for event in got)

async def broadcast(payload, expected):
    assert groups.broadcast("all", "news", payload) == []
    got = [(await process.inbox().receive()).payload for _ in expected]
    return sorted(got) == sorted([payload, pid] for pid in expected)

"""


def a_node(node: Callable[..., RealNode], main: str) -> RealNode:
    """Return a node whose actor `main` does that; `{...}` of its log are its lines."""
    return node({"t.yaml": YAML, "actors.py": ACTORS + main})


def test_members_of_a_killed_worker_leave_and_a_broadcast_reaches_all_others(
    node: Callable[..., RealNode],
) -> None:
    shop = a_node(
        node,
        """
async def main():
    events = process.events()
    monitor = await groups.monitor("all")
    there = set(monitor.members)
    pids = [process.spawn_monitored("t:member", "t:pool", "all") for _ in range(6)]
    while not there.issuperset(pids) or len(there) < 7:
        there.add((await monitor.receive()).pid)
    say("told of all", len(there), set(groups.members("all")) == there)
    say("all have it", await broadcast(1, there))
    places = {pid: await process.call(pid, "where") for pid in pids}
    doomed_place = places[pids[0]]
    doomed = sorted(pid for pid in pids if places[pid] == doomed_place)
    say("kill", doomed_place, len(doomed))
    gone = await after(monitor, groups.LEAVE, len(doomed))
    say("left", gone == doomed)
    say("nowhere", not set(groups.members("all")) & set(doomed))
    ended = [await events.receive() for _ in doomed]
    say("ended", sorted(it.sender for it in ended) == doomed)
    rest = there - set(doomed)
    say("the rest has it", len(rest), await broadcast(2, rest))
    async for event in events:
        if event.kind == process.event.CANCEL:
            return
""",
    )
    line = wait_lines(shop, "t:main.service", "kill")[-1]
    os.kill(int(line.split()[1]), signal.SIGKILL)
    lines = wait_lines(shop, "t:main.service", "the rest has it")
    assert line == f"kill {line.split()[1]} 3"
    assert lines == [
        "told of all 7 True",
        "all have it True",
        line,
        "left True",
        "nowhere True",
        "ended True",
        "the rest has it 4 True",
    ]
