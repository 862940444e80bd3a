"""What does reading an entry cost, and does a hundred thousand of them stay usable?

    python benchmarks/registry.py [--rounds N] [--quick] [--json]

Reading is compared with the least that it could be: one LMDB transaction, one get, one decode of
the same row by msgspec, in the same process. Writing is the keeper's store without the socket.
Following is what the root does for a version, in a thread beside its loop: how long it takes, and
for how long the loop stands still meanwhile, at most.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import lmdb
import msgspec
from measuring import figures
from measuring.figures import Goal, Spread

from supervisor.core.graph import build
from supervisor.core.keeping import ApplyChanges, Committed, LoadRegistry
from supervisor.core.spec import Blueprint, RuntimeSpec
from supervisor.io.state_reader import StateReader
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.store import Stamped, Stored
from supervisor.root.following import Followed, follow
from wippy import registry
from wippy.core.entry import EntryChange, EntryDoc
from wippy.core.registry import REGISTRY, STATE_FOLDER
from wippy.runtime.registry import set_node

ENTRIES, QUICK_ENTRIES = 100_000, 2_000
ROUNDS, QUICK_ROUNDS = 15, 2
READS = 2_000
"""In one sample."""
CHANGED = 1_000
READ_LIMIT = 3.0
"""Times a bare read."""
NAMESPACES = 100
WANTED = "shop.n5:e5"
SERVICES = 200
LOOK_S = 0.001
DOC = EntryDoc(id=WANTED, kind="registry.entry", data={"host": "localhost"})


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    rounds = QUICK_ROUNDS if options.quick else options.rounds
    count = QUICK_ENTRIES if options.quick else ENTRIES
    seen = figures.machine()
    with tempfile.TemporaryDirectory(prefix="w-") as folder:
        write_ms = _written(Path(folder), count, rounds)
        follow_ms = _followed(Path(folder), rounds)
        bare_us = _bare(folder, rounds)
        set_node(folder, folder)
        get_us = _spread(lambda: registry.get(WANTED), rounds, 1e6, READS)
        find_ms = {name: _spread(look, rounds, 1e3, 1) for name, look in _looks().items()}
        set_node("", "")
    goal = Goal("registry.get in bare reads", get_us.median / bare_us.median, READ_LIMIT, "x")
    us = {"bare read and decode": bare_us, "registry.get": get_us}
    if options.json:
        ms = {**write_ms, **follow_ms, **find_ms}
        print(figures.as_json(machine=seen, entries=count, us=us, ms=ms, goals=[goal]))
        return 0
    print(figures.machine_line(seen))
    print(figures.table([f"of {count} entries", "median us", "p90 us"], _rows(us)))
    print(figures.table([f"of {count} entries", "median ms", "p90 ms"],
                        _rows({**write_ms, **follow_ms, **find_ms})))  # fmt: skip
    print(figures.goal_lines([goal]))
    return 0


def _rows(spreads: dict[str, Spread]) -> list[list[str]]:
    return [[name, f"{it.median:.2f}", f"{it.p90:.2f}"] for name, it in spreads.items()]


def _written(folder: Path, count: int, rounds: int) -> dict[str, Spread]:
    """Return what writes cost, in a store that is there afterwards with `count` entries."""
    store = LmdbStore(folder, history_limit=100)
    docs = tuple(
        EntryDoc(
            id=f"shop.n{number % NAMESPACES}:e{number}",
            kind="registry.entry",
            meta={"type": "db.sql"},
            data={"host": "localhost", "port": number, "user": "x" * 20},
        )
        for number in range(count)
    )
    turn = iter(range(10**9))

    def ask(request: Stored) -> None:
        answer = store.apply([Stamped(os.urandom(16), request, time.time())])[0]
        assert isinstance(answer, Committed), answer

    def load() -> None:
        ask(LoadRegistry(docs=docs, origin="/configs"))

    def change(changed: int) -> None:
        value = next(turn)
        ask(
            ApplyChanges(
                changes=tuple(
                    EntryChange("update", doc.id, msgspec.structs.replace(doc, data={"n": value}))
                    for doc in docs[:changed]
                )
            )
        )

    first = _spread(load, 1, 1e3, 1)
    spreads = {
        "load all, first": first,
        "load all, again": _spread(load, min(3, rounds), 1e3, 1),
        f"change {CHANGED}": _spread(lambda: change(CHANGED), rounds, 1e3, 1),
        "change 1": _spread(lambda: change(1), rounds, 1e3, 1),
    }
    store.close()
    return spreads


def _followed(folder: Path, rounds: int) -> dict[str, Spread]:
    """Return what it costs the root to follow versions of a registry with `SERVICES` more."""
    services = [
        EntryDoc(id=f"run:s{number}", kind="exec.service", data={"command": ["sleep", str(number)]})
        for number in range(SERVICES)
    ]
    _change(folder, "create", services)
    runtime = RuntimeSpec(node="b", state_dir=str(folder), run_dir="/r", log_dir="/l")
    files = Blueprint(source="/configs", runtime=runtime, entries={})
    found = _follow(folder, files, 0)
    first, spreads = found, {"follow: at the start": [found.took_ms]}
    for name, doc in {"plain data": DOC, "a service": services[0]}.items():
        held_ms, took_ms = [], []
        for turn in range(rounds):
            data = {**doc.data, "command": ["sleep", str(turn)]}
            _change(folder, "update", [msgspec.structs.replace(doc, data=data)])
            found = _follow(folder, found.what.blueprint, found.what.version)
            took_ms.append(found.took_ms)
            held_ms.append(found.held_ms)
        spreads[f"follow: {name} changed"] = took_ms
        spreads[f"  loop held, {name} changed"] = held_ms
    assert first.what.version < found.what.version
    return {name: figures.spread_of(samples) for name, samples in spreads.items()}


def _change(folder: Path, op: Literal["create", "update"], docs: Sequence[EntryDoc]) -> None:
    store = LmdbStore(folder, history_limit=100)
    request = ApplyChanges(changes=tuple(EntryChange(op, doc.id, doc) for doc in docs))
    answer = store.apply([Stamped(os.urandom(16), request, time.time())])[0]
    assert isinstance(answer, Committed), answer
    store.close()


@dataclass(frozen=True, slots=True)
class _Found:
    what: Followed
    took_ms: float
    held_ms: float


def _follow(folder: Path, blueprint: Blueprint, since: int) -> _Found:
    """Follow a version in a thread, beside a loop that looks at the clock all the time."""
    reader = StateReader(folder)
    reader.registry_version()  # it is open in a root that runs

    async def beside() -> _Found:
        began_s = last_s = time.perf_counter()
        held_s = 0.0
        tree = build(blueprint)
        work = asyncio.create_task(
            asyncio.to_thread(follow, reader, blueprint, since, tree, frozenset())
        )
        while not work.done():
            await asyncio.sleep(LOOK_S)
            now_s = time.perf_counter()
            held_s, last_s = max(held_s, now_s - last_s - LOOK_S), now_s
        return _Found(work.result(), (last_s - began_s) * 1e3, held_s * 1e3)

    try:
        return asyncio.run(beside())
    finally:
        reader.close()


def _bare(folder: str, rounds: int) -> Spread:
    """Return what a read of one row costs with nothing around it.

    Before ours is opened: LMDB wants one handle in each process.
    """
    env = lmdb.open(os.path.join(folder, STATE_FOLDER), readonly=True, create=False, max_dbs=64)
    table, decode = env.open_db(REGISTRY.encode(), create=False), msgspec.msgpack.Decoder().decode
    key = WANTED.encode()

    def once() -> object:
        with env.begin(db=table) as txn:
            return decode(txn.get(key))

    spread = _spread(once, rounds, 1e6, READS)
    env.close()
    return spread


def _looks() -> dict[str, Callable[[], object]]:
    return {
        "find(namespace=)": lambda: registry.find(namespace="shop.n5"),
        "find(kind=, namespace=)": lambda: registry.find(
            kind="registry.entry", namespace="shop.n5"
        ),
        "find(pattern=)": lambda: registry.find(pattern="shop.n5:*"),
        "find(meta=), none matches": lambda: registry.find(meta={"type": "none"}),
        "snapshot()": registry.snapshot,
    }


def _spread(work: Callable[[], object], rounds: int, unit: float, times: int) -> Spread:
    samples = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        for _ in range(times):
            work()
        samples.append((time.perf_counter() - began_s) / times * unit)
    return figures.spread_of(samples)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
