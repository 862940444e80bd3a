"""Do a thousand changes a minute leave a gap anywhere, or make any process grow?

    python benchmarks/registry_endurance.py [--minutes N] [--watchers N] [--quick] [--json]

One actor changes the registry, `CHANGES_A_MINUTE`, each change a version; in as many processes as
there are watchers, one actor each follows every version. One change in `STRUCTURAL_EVERY` is of a
service, which the tree takes in; the others are plain data. Memory is what a process has written
itself (Private_Dirty): the database's file, mapped into each, is no memory of theirs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import figures, procfs
from measuring.figures import Goal
from measuring.node import OurNode

from supervisor.core.view import NodeView

CHANGES_A_MINUTE = 1_000
STRUCTURAL_EVERY = 100
MINUTES, QUICK_MINUTES = 10.0, 0.1
WATCHERS, QUICK_WATCHERS = 20, 3
SAMPLES = 60
"""Looks at the memory in one run."""
WARM_SHARE = 0.25
"""Of the run at its beginning, in which caches and buffers reach their size."""
GROWTH_LIMIT_MIB = 2.0
RATE_LIMIT = 0.98
DRAIN_S = 60.0
MIB = 2**20

CONFIG = """\
version: "1.0"
namespace: bench
entries:
  - {{name: value, kind: registry.entry, data: {{n: 0, at_ns: 0}}}}
  - {{name: tuned, kind: exec.service, command: [sleep, "100000"]}}
  - name: writing
    kind: process.py
    method: main
    source: |
      import asyncio, json, os, time
      from wippy import registry

      async def main(count, pause_s, structural_every, folder):
          loop = asyncio.get_running_loop()
          while len([it for it in os.listdir(folder) if it.startswith("watching")]) < {watchers}:
              await asyncio.sleep(0.05)
          began_s = next_s = loop.time()
          for n in range(1, count + 1):
              changes = registry.changes()
              if n % structural_every:
                  changes.update("bench:value", data={{"n": n, "at_ns": time.monotonic_ns()}})
              else:
                  tuned = registry.get("bench:tuned").data
                  changes.update(
                      "bench:tuned",
                      data={{**tuned, "lifecycle": {{"stop_timeout": f"{{n}}ms"}}}},
                  )
              version = await changes.apply()
              next_s += pause_s
              await asyncio.sleep(next_s - loop.time())
          took_s = loop.time() - began_s
          write(folder, "written", {{"version": version, "took_s": took_s}})
          await asyncio.Event().wait()

      def write(folder, name, found):
          path = os.path.join(folder, name)
          with open(path + ".new", "w") as file:
              json.dump(found, file)
          os.rename(path + ".new", path)
  - name: watching
    kind: process.py
    method: main
    source: |
      import asyncio, json, os, time
      from wippy import registry

      async def main(number, folder):
          seen = {{"version": registry.version(), "count": 0, "gaps": 0}}
          lags = [0] * 1001
          watch = registry.watch(since=seen["version"])
          next_s = 0.0
          write(folder, number, seen, lags)
          async for change in watch:
              seen["gaps"] += change.version != seen["version"] + 1
              seen["version"] = change.version
              seen["count"] += 1
              if change.id == "bench:value":
                  lag_ms = (time.monotonic_ns() - change.new.at_ns) / 1e6
                  lags[min(int(lag_ms), 1000)] += 1
              if seen["count"] >= {count} or time.monotonic() >= next_s:
                  next_s = time.monotonic() + 1.0
                  write(folder, number, seen, lags)

      def write(folder, number, seen, lags):
          path = os.path.join(folder, f"watching{{number}}")
          with open(path + ".new", "w") as file:
              json.dump({{**seen, "lags": lags, "os_pid": os.getpid()}}, file)
          os.rename(path + ".new", path)
  - {{name: writer, kind: process.service, process: writing,
     input: [{count}, {pause_s}, {structural_every}, "{folder}"]}}
"""
WATCHER = """\
  - {{name: watcher{number}, kind: process.service, process: watching,
     input: [{number}, "{folder}"]}}
"""


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--watchers", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    minutes = options.minutes or (QUICK_MINUTES if options.quick else MINUTES)
    watchers = options.watchers or (QUICK_WATCHERS if options.quick else WATCHERS)
    seen = figures.machine()
    with tempfile.TemporaryDirectory(prefix="w-") as folder:
        found = _run(Path(folder), minutes, watchers)
    goals = _goals(found)
    if options.json:
        print(figures.as_json(machine=seen, minutes=minutes, watchers=watchers, found=found,
                              goals=goals))  # fmt: skip
        return 0
    print(figures.machine_line(seen))
    print(figures.table(["", "value"], [[key, _cell(value)] for key, value in found.items()]))
    print(figures.goal_lines(goals))
    return 0


def _run(folder: Path, minutes: float, watchers: int) -> dict[str, Any]:
    notes = folder / "notes"
    notes.mkdir()
    count = max(1, round(minutes * CHANGES_A_MINUTE))
    node = OurNode(folder / "n", _config(notes, count, watchers))
    try:
        view = node.wait(lambda view: view.state == "running")
        first = _cpu_s(view)
        began_s = time.monotonic()
        memory = _watched(node, notes, minutes * 60 / SAMPLES)
        written = json.loads((notes / "written").read_text())
        took_s = time.monotonic() - began_s
        cpu_s = {name: after - first[name] for name, after in _cpu_s(node.view()).items()}
        heard = _heard(notes, watchers, count)
    finally:
        node.stop()
    lags = [sum(counts) for counts in zip(*(it["lags"] for it in heard), strict=True)]
    return {
        "changes": count,
        "changes a minute": count / written["took_s"] * 60,
        "changes missed, all watchers": sum(count - it["count"] for it in heard),
        "gaps, all watchers": sum(it["gaps"] for it in heard),
        "lag ms, median": _quantile(lags, 0.5),
        "lag ms, 99 of 100": _quantile(lags, 0.99),
        **{f"{name} cpu %": 100 * each / took_s for name, each in cpu_s.items()},
        **{f"{name} MiB at the end": _end(samples) for name, samples in memory.items()},
        **{f"{name} MiB grown": _growth(samples) for name, samples in memory.items()},
    }


def _config(notes: Path, count: int, watchers: int) -> str:
    head = CONFIG.format(
        count=count,
        pause_s=60 / CHANGES_A_MINUTE,
        structural_every=STRUCTURAL_EVERY,
        folder=notes,
        watchers=watchers,
    )
    return head + "".join(WATCHER.format(number=n, folder=notes) for n in range(watchers))


def _watched(node: OurNode, notes: Path, every_s: float) -> dict[str, list[float]]:
    """Return the memory of the processes, looked at until everything is written; of the watchers
    the largest."""
    memory: dict[str, list[float]] = {"root": [], "keeper": [], "watcher": []}
    while not (notes / "written").exists():
        view = node.view()
        pids = {row.id: row.os_pid for row in view.rows if row.os_pid}
        memory["root"].append(procfs.written_bytes(view.root_pid) / MIB)
        memory["keeper"].append(procfs.written_bytes(pids["wippy:keeper"]) / MIB)
        watching = [procfs.written_bytes(pid) for id, pid in pids.items() if ":watcher" in id]
        memory["watcher"].append(max(watching) / MIB)
        time.sleep(every_s)
    return memory


def _heard(notes: Path, watchers: int, count: int) -> list[dict[str, Any]]:
    """Return what the watchers say once they have all changes, or when it takes too long."""
    end_s = time.monotonic() + DRAIN_S
    while True:
        texts = [(notes / f"watching{number}").read_text() for number in range(watchers)]
        heard: list[dict[str, Any]] = [json.loads(text) for text in texts]
        if all(it["count"] >= count for it in heard) or time.monotonic() >= end_s:
            return heard
        time.sleep(0.1)


def _cpu_s(view: NodeView) -> dict[str, float]:
    keeper = next(row.os_pid for row in view.rows if row.id == "wippy:keeper")
    return {"root": procfs.cpu_s(view.root_pid), "keeper": procfs.cpu_s(keeper)}


def _growth(samples: list[float]) -> float:
    """Return by how much the last tenth lies above what came just after the warming up."""
    tenth = max(1, len(samples) // 10)
    warm = min(round(len(samples) * WARM_SHARE), len(samples) - 1)
    return statistics.mean(samples[-tenth:]) - statistics.mean(samples[warm : warm + tenth])


def _end(samples: list[float]) -> float:
    return samples[-1]


def _quantile(counts: list[int], share: float) -> int:
    """Return the bucket (milliseconds; the last is "or more") in which a share of all lies."""
    left = share * sum(counts)
    for bucket, count in enumerate(counts):
        left -= count
        if left <= 0:
            return bucket
    return len(counts) - 1


def _goals(found: dict[str, Any]) -> list[Goal]:
    growth = max(value for name, value in found.items() if name.endswith("MiB grown"))
    pace = CHANGES_A_MINUTE / found["changes a minute"]
    return [
        Goal("changes missed", found["changes missed, all watchers"], 0, ""),
        Goal("gaps", found["gaps, all watchers"], 0, ""),
        Goal("time for the changes, of what was meant", pace, 1 / RATE_LIMIT, "x"),
        Goal("growth of memory, the largest", growth, GROWTH_LIMIT_MIB, "MiB"),
    ]


def _cell(value: float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
