"""How soon does a new actor in a pool answer, how many can be made, what does an idle one weigh?

    python benchmarks/spawning.py [--quick] [--json]

A node of ours with a pool of one worker, and an actor in another OS process that measures: calls of
an actor that is there, and then spawns of actors that say hello and end, beside each other. Memory
is the growth of the worker's resident memory, beside that of as many bare asyncio tasks there.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import figures
from measuring.figures import Goal
from measuring.node import OurNode

SOURCE = Path(__file__).resolve().parent / "measuring" / "spawned.py"
TRIPS, SPAWNS, ACTORS = 2_000, 20_000, 100_000
QUICK = (200, 1_000, 2_000)
GOAL_SPAWNS_PER_S, GOAL_BYTES = 10_000.0, 4096.0
DEADLINE_S = 300.0
METHODS = ("echo", "hello", "weigh", "weigh_coroutines")
IDLE = """  - name: idle
    kind: process.py
    method: main
    source: |
      from wippy import process
      async def main():
          await process.inbox().receive()
"""
"""As small as an actor gets: what its own code weighs is the question of `loading.py`."""


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    seen = figures.machine()
    result = _measure(*(QUICK if options.quick else (TRIPS, SPAWNS, ACTORS)))
    spreads = {
        "call of an actor in the pool (us)": figures.spread_of(result["trip_us"]),
        "spawn until the first answer (us)": figures.spread_of(result["spawn_us"]),
    }
    goals = _goals(result, spreads)
    if options.json:
        rest = {name: value for name, value in result.items() if not isinstance(value, list)}
        print(figures.as_json(machine=seen, us=spreads, **rest, goals=goals))
        return 0
    rows = [
        [name, str(it.samples), *(f"{one:,.0f}" for one in (it.least, it.median, it.p90))]
        for name, it in spreads.items()
    ]
    print(figures.machine_line(seen))
    print(figures.table(["", "samples", "least", "median", "p90"], rows))
    print(
        f"\n{result['spawns_per_s']:,.0f} spawns/s; an idle actor {result['actor_bytes']:,.0f} "
        f"bytes, a bare task {result['coroutine_bytes']:,.0f} ({result['actors']:,} of each)\n"
    )
    print(figures.goal_lines(goals))
    return 0


def _goals(result: dict[str, Any], spreads: dict[str, figures.Spread]) -> list[Goal]:
    trip, spawn = (it.median for it in spreads.values())
    above_bytes = result["actor_bytes"] - result["coroutine_bytes"]
    return [
        Goal("spawn until the first answer: twice a call", spawn, 2 * trip, "us"),
        Goal("a spawn", 1e6 / result["spawns_per_s"], 1e6 / GOAL_SPAWNS_PER_S, "us"),
        Goal("an idle actor above its coroutine", above_bytes, GOAL_BYTES, "bytes", is_strict=True),
    ]


def _measure(trips: int, spawns: int, actors: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="w-", dir="/tmp") as folder:
        fifo = Path(folder) / "result"
        os.mkfifo(fifo)
        node = OurNode(Path(folder) / "n", _config([str(fifo), trips, spawns, actors]))
        try:
            return _read(fifo)
        finally:
            node.stop()


def _read(fifo: Path) -> dict[str, Any]:
    """Wait for the driver's line; one that failed never writes it."""
    fd = os.open(fifo, os.O_RDWR)
    try:
        if not select.select([fd], [], [], DEADLINE_S)[0]:
            raise TimeoutError(f"no result within {DEADLINE_S:g} s")
        data = b""
        while not data.endswith(b"\n"):
            data += os.read(fd, 65536)
    finally:
        os.close(fd)
    result: dict[str, Any] = json.loads(data)
    return result


def _config(args: list[Any]) -> str:
    codes = "".join(
        f"  - {{name: {name}, kind: process.py, source: 'file://{SOURCE}', method: {name}}}\n"
        for name in (*METHODS, "main")
    )
    return (
        'version: "1.0"\nnamespace: bench\nruntime: {node: bench}\nentries:\n'
        f"{codes}"
        f"{IDLE}"
        "  - {name: pool, kind: process.host, workers: 1}\n"
        "  - {name: crowd, kind: process.host, workers: 1}\n"
        "  - {name: driver, kind: process.service, process: 'bench:main', "
        f"input: {json.dumps(args)}, "
        "lifecycle: {restart: temporary, heartbeat_timeout: 0s, "
        "requires: ['bench:pool', 'bench:crowd']}}\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
