"""How long after a file was saved does the change reach a hundred processes?

    python benchmarks/live_files.py [--processes N] [--saves N] [--quick] [--json]

A value in the node's configuration is saved, again and again, by rename. In each process an actor
watches its entry and notes when it sees the new value. The watcher's own debounce, in which it
waits for a pause in the changes, is taken off.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from measuring import figures
from measuring.figures import Goal
from measuring.node import OurNode

from supervisor.core.debounce import QUIET_S

PROCESSES, QUICK_PROCESSES = 100, 4
SAVES, QUICK_SAVES = 20, 3
LIMIT_MS = 150.0
DEADLINE_S = 120.0
LOOK_S = 0.05

CONFIG = """\
version: "1.0"
namespace: bench
entries:
  - {name: value, kind: registry.entry, data: {n: 0}}
  - name: watching
    kind: process.py
    method: main
    source: |
      import time
      from wippy import registry

      async def main(path):
          with open(path, "a", buffering=1) as file:
              watch = registry.watch("bench:value", since=1)
              print("0 0", file=file)
              async for change in watch:
                  print(change.new.n, time.monotonic_ns(), file=file)
"""
WATCHER = """\
  - {{name: watcher{number}, kind: process.service, process: watching,
     input: ["{folder}/{number}"], lifecycle: {{start_timeout: 60s}}}}
"""


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int)
    parser.add_argument("--saves", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    processes = options.processes or (QUICK_PROCESSES if options.quick else PROCESSES)
    saves = options.saves or (QUICK_SAVES if options.quick else SAVES)
    seen = figures.machine()
    with tempfile.TemporaryDirectory(prefix="w-") as folder:
        each, last = _measured(Path(folder), processes, saves)
    spreads = {
        f"to each of {processes} processes": figures.spread_of(each),
        f"to the last of {processes} processes": figures.spread_of(last),
    }
    goal = Goal("saved to seen, median", spreads[next(iter(spreads))].median, LIMIT_MS, "ms")
    if options.json:
        print(
            figures.as_json(
                machine=seen, debounce_ms=QUIET_S * 1e3, ms=spreads, saves=saves, goals=[goal]
            )
        )
        return 0
    rows = [
        [name, str(it.samples), *(f"{x:.1f}" for x in (it.least, it.median, it.p90, it.most))]
        for name, it in spreads.items()
    ]
    print(figures.machine_line(seen))
    print(f"beyond the debounce of {QUIET_S * 1e3:g} ms")
    print(figures.table(["ms", "samples", "least", "median", "p90", "most"], rows))
    print(figures.goal_lines([goal]))
    return 0


def _measured(folder: Path, processes: int, saves: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds from each save to each process, and to the last one."""
    notes = folder / "notes"
    notes.mkdir()
    watchers = (WATCHER.format(number=n, folder=notes) for n in range(processes))
    config = CONFIG + "".join(watchers)
    node = OurNode(folder / "n", config)
    each: list[float] = []
    last: list[float] = []
    try:
        node.wait(lambda view: view.state == "running")
        _wait_seen(notes, processes, 0)
        for number in range(1, saves + 1):
            saved_ns = _save(node.folder / "app.yaml", config.replace("{n: 0}", f"{{n: {number}}}"))
            took = [(at - saved_ns) / 1e6 for at in _wait_seen(notes, processes, number)]
            each += [ms - QUIET_S * 1e3 for ms in took]
            last.append(max(took) - QUIET_S * 1e3)
    finally:
        node.stop()
    return each, last


def _save(path: Path, text: str) -> int:
    """Save a file as editors do; return when, monotonic nanoseconds."""
    draft = path.with_name(".draft")
    draft.write_text(text)
    at_ns = time.monotonic_ns()
    draft.rename(path)
    return at_ns


def _wait_seen(notes: Path, processes: int, number: int) -> list[int]:
    """Return when each process has seen a value."""
    end_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < end_s:
        texts = [_text(notes / str(n)) for n in range(processes)]
        lines = [text[: text.rfind("\n") + 1].splitlines() for text in texts]
        found = [row.split() for rows in lines for row in rows[-1:]]
        if len(found) == processes and all(int(it[0]) == number for it in found):
            return [int(it[1]) for it in found]
        time.sleep(LOOK_S)
    raise TimeoutError(f"not all {processes} processes saw {number}")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
