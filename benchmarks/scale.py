"""What do many children cost? The root's CPU, memory of an idle child, `status`, one death of many.

    python benchmarks/scale.py [--children N] [--seconds S] [--quick] [--json]

First a node with 20 idle dedicated actors, whose root is watched for a while; then one with 500.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import figures, procfs
from measuring.figures import Goal
from measuring.first_line import FirstLines
from measuring.node import OurNode, command, environ
from peers import tools

from supervisor.core.view import NodeView, RowKind, State

FEW, MANY = 20, 500
WATCHED_S = 30.0
SETTLE_S = 5.0
"""After everything is up: what the start has stirred up is not counted as idling."""
STATUS_CALLS = 20
KILLS = 20
KILL_REST_S = 0.5
MIB = 2**20


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    options = _options(argv)
    machine = figures.machine()
    with tempfile.TemporaryDirectory(prefix="w-", dir="/tmp") as folder:
        few = _measure(Path(folder) / "few", options.few, options)
        many = _measure(Path(folder) / "many", options.children, options)
    goals = _goals(few, many)
    if options.json:
        print(figures.as_json(machine=machine, few=few, many=many, goals=goals))
    else:
        print(_as_text(few, many, goals, machine))
    return 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--children", type=int, default=0, help=f"of the large node ({MANY})")
    parser.add_argument("--seconds", type=float, default=0.0, help=f"of watching ({WATCHED_S:g})")
    parser.add_argument("--quick", action="store_true", help="3 and 6 children, one second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    quick = options.quick
    options.few = 3 if quick else FEW
    options.children = options.children or (6 if quick else MANY)
    options.seconds = options.seconds or (1.0 if quick else WATCHED_S)
    options.settle_s = 0.0 if quick else SETTLE_S
    options.status_calls = 2 if quick else STATUS_CALLS
    options.kills = 2 if quick else KILLS
    return options


# --- one node ------------------------------------------------------------------------------------


def _measure(folder: Path, children: int, options: argparse.Namespace) -> dict[str, Any]:
    """Start a node with `children` idle actors, measure it, stop it."""
    folder.mkdir()
    lines = FirstLines(folder / "first-lines")
    node = OurNode(folder / "n", _config(children, lines.path))
    try:
        view = node.wait(lambda seen: _count_up(seen) == children)
        up_s = time.monotonic() - node.started_s
        for _ in range(children):
            lines.wait()
        time.sleep(options.settle_s)
        figures_of_node = {
            "children": children,
            "up_s": up_s,
            **_idling(node.view(), options.seconds),
            **_memory(node.view()),
            "status_ms": _status(node, options.status_calls),
            "status_json_ms": _status(node, options.status_calls, "--json"),
            "restart_ms": _restarts(view, lines, options.kills),
        }
    finally:
        stop_s = node.stop()
        lines.close()
    return {**figures_of_node, "stop_s": stop_s}


def _config(children: int, fifo: Path) -> str:
    entries = [
        f'  - {{name: code, kind: process.py, source: "file://{tools.PROGRAMS}/ours.py", '
        "method: main}",
        *(
            f'  - {{name: actor_{n}, kind: process.service, process: code, input: ["{fifo}"]}}'
            for n in range(children)
        ),
    ]
    runtime = "runtime: {node: scale, intensity: {max_restarts: 1000000, within: 1s}}"
    return "\n".join(['version: "1.0"', "namespace: bench", runtime, "entries:", *entries, ""])


def _count_up(view: NodeView) -> int:
    return sum(row.kind is RowKind.ACTOR and row.state is State.UP for row in view.rows)


def _actor_pids(view: NodeView) -> list[int]:
    return [row.os_pid for row in view.rows if row.kind is RowKind.ACTOR]


def _idling(view: NodeView, seconds: float) -> dict[str, float]:
    """Return the CPU of the root, and of all processes in sum, percent of one core."""
    pids = procfs.descendants(view.guardian_pid)
    began_s, before = time.monotonic(), {pid: procfs.cpu_s(pid) for pid in pids}
    time.sleep(seconds)
    took_s = time.monotonic() - began_s
    # Gone meanwhile: a spare that was replaced; it has used next to nothing.
    after = {pid: procfs.cpu_s(pid) for pid in pids if Path(f"/proc/{pid}").exists()}
    used_s = {pid: after[pid] - before[pid] for pid in after}
    return {
        "root_cpu_percent": 100 * used_s[view.root_pid] / took_s,
        "all_cpu_percent": 100 * sum(used_s.values()) / took_s,
        "watched_s": took_s,
    }


def _memory(view: NodeView) -> dict[str, float]:
    unique = [procfs.unique_bytes(pid) / MIB for pid in _actor_pids(view)]
    return {
        "child_unique_mib_median": statistics.median(unique),
        "child_unique_mib_most": max(unique),
        "root_resident_mib": procfs.resident_bytes(view.root_pid) / MIB,
        "root_unique_mib": procfs.unique_bytes(view.root_pid) / MIB,
    }


def _status(node: OurNode, calls: int, *flags: str) -> figures.Spread:
    """Return the time of whole `status` commands, milliseconds."""
    samples_ms = []
    for _ in range(calls):
        began_ns = time.monotonic_ns()
        subprocess.run(
            [*command(), "status", "--run-dir", str(node.run_dir), *flags],
            env=environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        samples_ms.append((time.monotonic_ns() - began_ns) / 1e6)
    return figures.spread_of(samples_ms)


def _restarts(view: NodeView, lines: FirstLines, kills: int) -> figures.Spread:
    """Kill one actor after the other; return the times to their replacements' first lines."""
    samples_ms = []
    pids = _actor_pids(view)
    for pid in random.sample(pids, min(kills, len(pids))):
        time.sleep(KILL_REST_S)
        killed_ns = lines.kill(pid)
        samples_ms.append((lines.wait().at_ns - killed_ns) / 1e6)
    return figures.spread_of(samples_ms)


# --- showing -------------------------------------------------------------------------------------


def _goals(few: dict[str, Any], many: dict[str, Any]) -> list[Goal]:
    count = many["children"]
    return [
        Goal(
            f"root's CPU with {few['children']} idle children",
            few["root_cpu_percent"],
            1.0,
            "% of a core",
            is_strict=True,
        ),
        Goal(f"{count} children up", many["up_s"], 60.0, "s", is_strict=True),
        Goal(
            "unique memory of an idle child, the largest",
            many["child_unique_mib_most"],
            10.0,
            "MiB",
            is_strict=True,
        ),
        Goal(f"status with {count} children, median", many["status_ms"].median, 200.0, "ms"),
    ]


def _as_text(
    few: dict[str, Any], many: dict[str, Any], goals: Sequence[Goal], machine: dict[str, Any]
) -> str:
    rows = [
        [_LABELS.get(key, key), _cell(few[key]), _cell(many[key])]
        for key in few
        if key != "children"
    ]
    header = ["", f"{few['children']} children", f"{many['children']} children"]
    return "\n".join(
        [
            "Idle dedicated actors, an OS process each",
            figures.machine_line(machine),
            "",
            figures.table(header, rows),
            "",
            figures.goal_lines(goals),
        ]
    )


_LABELS = {
    "up_s": "from the command to all up, s",
    "root_cpu_percent": "root's CPU, % of a core",
    "all_cpu_percent": "CPU of all processes, % of a core",
    "watched_s": "  watched for, s",
    "child_unique_mib_median": "unique memory of a child, MiB: median",
    "child_unique_mib_most": "  most",
    "root_resident_mib": "root: resident, MiB",
    "root_unique_mib": "  unique, MiB",
    "status_ms": "status, whole command, ms: median (most)",
    "status_json_ms": "status --json, ms: median (most)",
    "restart_ms": "kill -9 to the first line, ms: median (most)",
    "stop_s": "stop of all, s",
}


def _cell(value: float | figures.Spread) -> str:
    if isinstance(value, figures.Spread):
        return f"{value.median:.1f} ({value.most:.1f})"
    return f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
