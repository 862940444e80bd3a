"""What does the code of one more actor cost? Time and memory of a load that is compiled already.

    python benchmarks/loading.py [--rounds N] [--quick] [--json]

Each actor has modules of its own: their bodies run again, and what they make is made again. The
rows differ in what a body makes; `thread` is what a load on a thread of its own costs beside that.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

from measuring import figures
from measuring.figures import Goal, Spread

from wippy.core.messages import CodeRef, LibraryRef
from wippy.runtime import loader
from wippy.runtime.threads import run_in_thread

LOADS = 500
"""In one sample."""
ROUNDS, QUICK_ROUNDS = 15, 2
KEPT = 300
"""Actors that are kept to see what they weigh."""
GOAL_US = 30.0
MAIN = "async def main(): ...\n"
SMALL = f"import asyncio\nfrom wippy import process\n{MAIN}"
BODIES = {
    "an async def": SMALL,
    "20 functions, a class": "".join(f"def f{n}(a, b=1): return a\n" for n in range(20))
    + f"class A:\n    def m(self): ...\n{MAIN}",
    "a msgspec.Struct": f"import msgspec\nclass P(msgspec.Struct):\n    x: int\n    y: int\n{MAIN}",
    "an enum": f"import enum\nclass E(enum.Enum):\n    A = 1\n    B = 2\n{MAIN}",
    "a dataclass": (
        f"from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: int\n{MAIN}"
    ),
}


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    rounds = QUICK_ROUNDS if options.quick else options.rounds
    seen = figures.machine()
    with tempfile.TemporaryDirectory(prefix="w-") as folder:
        codes = _codes(Path(folder))
        time_us = {name: _spread(_loads(code), rounds) for name, code in codes.items()}
        weight_bytes = {name: _weight(code) for name, code in codes.items()}
    time_us["thread"] = _spread(_threads, rounds)
    goal = Goal("one cached load", time_us["an async def"].median, GOAL_US, "us", is_strict=True)
    if options.json:
        print(figures.as_json(machine=seen, us=time_us, bytes=weight_bytes, goals=[goal]))
    else:
        _print(seen, time_us, weight_bytes, goal)
    return 0


def _codes(folder: Path) -> dict[str, CodeRef]:
    (folder / "small.py").write_text(SMALL)
    codes = {
        name: CodeRef(method="main", text=text, origin=f"/app.yaml:{number * 100}")
        for number, (name, text) in enumerate(BODIES.items(), start=1)
    }
    libraries = {
        f"app:l{n}": LibraryRef(text="def f(x): return x\n", origin=f"/app.yaml:{900 + 9 * n}")
        for n in range(5)
    }
    codes["an async def, 5 libraries"] = CodeRef(
        method="main",
        text=SMALL,
        origin="/app.yaml:800",
        imports={f"l{n}": id for n, id in enumerate(libraries)},
        libraries=libraries,
    )
    codes["an async def in a file"] = CodeRef(method="main", path=str(folder / "small.py"))
    codes["module: (shared)"] = CodeRef(method="JSONDecoder", module="json.decoder")
    return codes


def _loads(code: CodeRef) -> Callable[[], None]:
    def once() -> None:
        for number in range(LOADS):
            name = f"app:bench/{number}"
            loader.load(code, name)
            loader.unload(name)

    return once


def _threads() -> None:
    async def once() -> None:
        for _ in range(LOADS):
            await run_in_thread(int, name="nothing")

    asyncio.run(once())


def _spread(work: Callable[[], None], rounds: int) -> Spread:
    work()
    samples = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        work()
        samples.append((time.perf_counter() - began_s) / LOADS * 1e6)
    return figures.spread_of(samples)


def _weight(code: CodeRef) -> int:
    """Return the bytes that each of many loads keeps."""
    loader.load(code, "app:bench/0")
    gc.collect()
    tracemalloc.start()
    kept = [loader.load(code, f"app:bench/{number}") for number in range(1, KEPT + 1)]
    gc.collect()
    weight_bytes = tracemalloc.get_traced_memory()[0] // len(kept)
    tracemalloc.stop()
    for number in range(KEPT + 1):
        loader.unload(f"app:bench/{number}")
    return weight_bytes


def _print(
    seen: dict[str, object], time_us: dict[str, Spread], weight: dict[str, int], goal: Goal
) -> None:
    rows = [
        [name, f"{each.median:.1f}", f"{each.p90:.1f}", str(weight.get(name, "-"))]
        for name, each in time_us.items()
    ]
    print(figures.machine_line(seen))
    print(figures.table(["body", "median us", "p90 us", "bytes an actor"], rows))
    print(figures.goal_lines([goal]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
