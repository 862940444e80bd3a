"""Watchers of the registry see every version, in order, whoever is killed meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from real_node import RealNode
from watching import wait_file

from supervisor.core.view import State

pytestmark = pytest.mark.system

LAST = 150
APP = """
version: "1.0"
namespace: t
runtime: {intensity: {max_restarts: 1000, within: 1s}}
entries:
  - {name: number, kind: registry.entry, data: {n: 0}}
  - {name: pool, kind: process.host}
  - {name: main, kind: process.py, source: "file://main.py", method: main}
  - {name: plain, kind: process.py, source: "file://main.py", method: plain}
  - {name: write, kind: process.py, source: "file://main.py", method: write}
  - {name: own, kind: process.service, process: main, input: [FOLDER/own],
     lifecycle: {backoff: {initial_delay: 0s}}}
  - {name: pooled, kind: process.service, process: main, host: pool, input: [FOLDER/pooled]}
  - {name: sync, kind: process.service, process: plain, input: [FOLDER/sync]}
  - {name: writer, kind: process.service, process: write, lifecycle: {auto_start: false}}
"""
MAIN = """
import os
from wippy import process, registry, sync

def last(path):
    if not os.path.exists(path):
        return 1
    with open(path) as file:
        return max((int(line.split()[0]) for line in file), default=1)

def note(path, change):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, f"{change.version} {change.new.n}\\n".encode())
    os.close(fd)

async def main(path):
    async for change in registry.watch("t:number", since=last(path)):
        note(path, change)

def plain(path):
    for change in sync.watch("t:*", since=last(path)):
        note(path, change)

async def write():
    number = registry.get("t:number").n
    while number < LAST:
        number += 1
        await registry.changes().update("t:number", data={"n": number}).apply()
    await process.inbox().receive()
"""
WATCHERS = ("own", "pooled", "sync")


def wait_seen(folder: Path, name: str, number: int) -> list[str]:
    """Wait until a watcher has seen `number`; return all that it has seen."""
    return wait_file(
        folder / name, lambda lines: bool(lines) and int(lines[-1].split()[1]) >= number
    )


def test_watchers_miss_nothing_when_keeper_root_and_they_themselves_are_killed(
    node: Callable[..., RealNode], short_dir: Path
) -> None:
    app = APP.replace("FOLDER", str(short_dir))
    shop = node({"wippy.yaml": app, "main.py": MAIN.replace("LAST", str(LAST))})
    assert shop.cli("start", "t:writer").returncode == 0

    def kill(id_: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(shop.wait_row(id_, lambda row: row.os_pid > 0).os_pid, signal.SIGKILL)

    for number, victim in ((10, "wippy:keeper"), (25, "t:own"), (40, "t:pool#1"), (55, "t:sync")):
        wait_seen(short_dir, "own", number)
        kill(victim)
    wait_seen(short_dir, "own", 70)
    os.kill(shop.view().root_pid, signal.SIGKILL)
    shop.wait_view(lambda view: view.root_starts == 2 and view.state == "running")
    assert shop.cli("start", "t:writer").returncode == 0
    wait_seen(short_dir, "own", 90)
    kill("wippy:keeper")
    shop.wait_row("wippy:keeper", lambda row: row.state is State.UP)
    wanted = [f"{number + 1} {number}" for number in range(1, LAST + 1)]
    for name in WATCHERS:
        assert wait_seen(short_dir, name, LAST) == wanted
