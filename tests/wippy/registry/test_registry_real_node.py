"""The registry in a real node: actors read and write, the keeper is killed meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from fake_root import turns
from real_node import RealNode

YAML = """
version: "1.0"
namespace: app
entries:
  - {name: postgres, kind: registry.entry, meta: {type: db.sql}, data: {host: db1, port: 5432}}
  - {name: pool, kind: process.host}
  - {name: main, kind: process.py, source: "file://workers.py", method: main}
  - {name: plain, kind: process.py, source: "file://workers.py", method: plain}
  - {name: writer, kind: process.py, source: "file://workers.py", method: writer}
  - {name: boss, kind: process.service, process: main}
  - {name: clerk, kind: process.service, process: plain, host: pool,
     lifecycle: {auto_start: false}}
  - {name: busy, kind: process.service, process: writer, lifecycle: {auto_start: false}}
"""
WORKERS = """
from wippy import process, registry, sync
from wippy.errors import AlreadyExists, Conflict, Invalid, NotFound

async def main():
    db = registry.get("app:postgres")
    print(db["host"], db.port, db.kind, db.meta, db.version, flush=True)
    version = await registry.changes().update("app:postgres", data={**db.data, "port": 1}).apply()
    print(version, registry.get("app:postgres").port, registry.version(), flush=True)
    try:
        await registry.changes().create("app:x").apply(expected_version=1)
    except Conflict as error:
        print(error, flush=True)
    for bad in (registry.changes().delete("app:main"), registry.changes().create("app:boss"),
                registry.changes().update("app:postgrse", data={})):
        try:
            await bad.apply()
        except (Invalid, AlreadyExists, NotFound) as error:
            print(type(error).__name__, str(error).splitlines()[0], flush=True)
    try:
        registry.get("app:postgre")
    except NotFound as error:
        print(error, flush=True)
    print(await registry.apply_version(1), registry.get("app:postgres").port, flush=True)
    print([v.comment for v in registry.versions(1)], registry.versions()[0].author, flush=True)
    await process.inbox().receive()

def plain():
    version = sync.apply(registry.changes().create("app:note", data={"by": "clerk"}))
    print(version, registry.get("app:note").by, flush=True)
    print([e.id for e in registry.find(kind="registry.entry")], flush=True)
    print([e.id for e in registry.find(meta={"type": "db.sql"}, pattern="app:*")], flush=True)
    print(registry.snapshot_at(2)["app:postgres"].port, "app:note" in registry.snapshot_at(2),
          flush=True)
    sync.receive()

async def writer():
    for number in range(1, 61):
        await registry.changes().update("app:postgres", data={"n": number}).apply()
        print(number, flush=True)
    await process.inbox().receive()
"""


def wait_lines(node: RealNode, child: str, count: int) -> list[str]:
    lines: list[str] = []
    for _ in turns():
        lines = node.log(child).splitlines()
        if len(lines) >= count:
            break
    return lines


@pytest.mark.system
def test_actors_read_and_change_the_registry(node: Callable[..., RealNode]) -> None:
    shop = node({"app.yaml": YAML, "workers.py": WORKERS})
    assert wait_lines(shop, "app:boss", 9) == [
        "db1 5432 registry.entry {'type': 'db.sql'} 1",
        "2 1 2",
        "the registry is at version 2 by app:boss, the change was made for 1; changed meanwhile: "
        "app:postgres; read the registry again and repeat the change",
        "Invalid registry: app:boss, data.process: error: app:main cannot be deleted: app:boss "
        "runs it (change or delete app:boss in the same changeset)",
        "AlreadyExists app:boss is there already; update it",
        "NotFound there is no entry app:postgrse to update (did you mean 'app:postgres'?)",
        "there is no entry 'app:postgre'; did you mean 'app:postgres'?",
        "3 5432",
        "['version 1 restored'] app:boss",
    ]
    assert shop.cli("start", "app:clerk").returncode == 0
    assert wait_lines(shop, "app:clerk", 4) == [
        "4 clerk",
        "['app:note', 'app:postgres']",
        "['app:postgres']",
        "1 False",
    ]


@pytest.mark.system
def test_changes_under_way_when_the_keeper_is_killed_are_made_once(
    node: Callable[..., RealNode],
) -> None:
    shop = node({"app.yaml": YAML, "workers.py": WORKERS})
    wait_lines(shop, "app:boss", 9)
    assert shop.cli("start", "app:busy").returncode == 0
    for seen in (5, 25):
        wait_lines(shop, "app:busy", seen)
        os.kill(shop.pid("wippy:keeper"), signal.SIGKILL)
    assert wait_lines(shop, "app:busy", 60) == [str(number) for number in range(1, 61)]
