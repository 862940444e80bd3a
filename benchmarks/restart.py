"""How soon is a killed program back? From `kill -9` to the first line of its replacement.

    python benchmarks/restart.py [--rounds N] [--quick] [--no-peers] [--json]

All contenders run side by side; each round kills the program of each of them once, in random
order, with a rest between, so that the drift of a noisy machine hits all alike.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from measuring import figures
from measuring.contenders import Contender, ForeignContender, OurContender
from measuring.figures import Goal, Spread
from peers import layouts, tools

ROUNDS, QUICK_ROUNDS = 100, 3
REST_S = (0.08, 0.16)
"""Between two kills: what the one before has stirred up settles; random, so that nobody's polling
is met in step."""
SLOW_MS = 500.0
SLOW_EVERY = 5
"""Who takes longer than that is killed in every fifth round only: the run is to end today."""
SECOND_LIFE_S = 1.3
"""`runsv` and `supervise` sleep a second after each start; an earlier kill would measure that."""

FLOOR = "floor: waitpid + exec, empty Python"
FORK = "ours, Python actor, fork (spares: 0)"
SPARE = "ours, Python actor, warm spare (spares: 2)"
BACK_TO_BACK = "ours, Python actor, back to back (spares: 2)"
DAEMONTOOLS_C = "daemontools, C program"

LIFECYCLE = (
    "lifecycle: {stable_threshold: 1ms, "
    "backoff: {initial_delay: 1ms, max_delay: 1ms, factor: 1.0, jitter: 0.0}}"
)
"""Every kill is a first one: no back-off is measured."""


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    options = _options(argv)
    _become_subreaper()
    machine = figures.machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="w-", dir="/tmp")))
        contenders, absent = _line_up(folder, stack, with_peers=not options.no_peers)
        _measure(contenders, options.rounds)
    spreads = {it.name: figures.spread_of(it.samples_ms) for it in contenders}
    goals = _goals(spreads)
    if options.json:
        print(figures.as_json(machine=machine, ms=spreads, absent=absent, goals=goals))
    else:
        print(_as_text(spreads, absent, goals, machine))
    return 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=0, help=f"kills of each ({ROUNDS})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds")
    parser.add_argument("--no-peers", action="store_true", help="only the floors and ours")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    return options


def _become_subreaper() -> None:
    """What a killed peer leaves behind comes to us, not to init (PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


# --- who takes part ------------------------------------------------------------------------------


def _line_up(
    folder: Path, stack: ExitStack, *, with_peers: bool
) -> tuple[list[Contender], dict[str, str]]:
    """Start all; return those that run, and why others do not."""
    contenders: list[Contender] = []
    absent: dict[str, str] = {}
    for name, start in _starts(with_peers=with_peers):
        contender = start(name, folder / str(len(contenders)))
        if isinstance(contender, str):
            absent[name] = contender
            continue
        stack.callback(contender.stop)
        contenders.append(contender)
    for contender in contenders:
        contender.begin()
    return contenders, absent


Start = Callable[[str, Path], Contender | str]
"""Starts a contender of this name in this folder, or says why it cannot take part."""


def _starts(*, with_peers: bool) -> Iterator[tuple[str, Start]]:
    yield FLOOR, _foreign(layouts.respawn, layouts.python_program)
    yield f"{FLOOR} -I -S", _foreign(layouts.respawn, layouts.isolated_python_program)
    yield "floor: waitpid + exec, C program", _foreign(layouts.respawn, layouts.c_program)
    yield FORK, _ours(_actor, spares=0)
    yield SPARE, _ours(_actor, spares=2)
    yield BACK_TO_BACK, _ours(_actor, spares=2)
    if tools.compiled("actor") is not None:
        yield "ours, C program (spares: 2)", _ours(_exec_service, spares=2)
    if with_peers:
        for name, layout, min_life_s in (
            ("daemontools", layouts.supervise, SECOND_LIFE_S),
            ("runit", layouts.runsv, SECOND_LIFE_S),
            ("supervisord", layouts.supervisord, 0.0),
            ("circus", layouts.circusd, 0.0),
        ):
            yield f"{name}, Python", _foreign(layout, layouts.python_program, min_life_s)
            yield f"{name}, C program", _foreign(layout, layouts.c_program, min_life_s)


def _foreign(layout: layouts.Layout, program: layouts.Program, min_life_s: float = 0.0) -> Start:
    def start(name: str, folder: Path) -> Contender | str:
        missing = layouts.missing(layout, program)
        return missing or ForeignContender(
            name,
            folder,
            lambda own, fifo: layout(own, program(fifo)),
            min_life_s=min_life_s,
        )

    return start


def _ours(entries: Callable[[Path], str], *, spares: int) -> Start:
    return lambda name, folder: OurContender(name, folder, entries, spares=spares)


def _actor(fifo: Path) -> str:
    return (
        "entries:\n"
        f'  - {{name: code, kind: process.py, source: "file://{tools.PROGRAMS}/ours.py", '
        "method: main}\n"
        f'  - {{name: actor, kind: process.service, process: code, input: ["{fifo}"], '
        f"{LIFECYCLE}}}\n"
    )


def _exec_service(fifo: Path) -> str:
    return (
        "entries:\n"
        f"  - {{name: actor, kind: exec.service, {LIFECYCLE}, "
        f'command: ["{tools.compiled("actor")}", "{fifo}"]}}\n'
    )


# --- measuring -----------------------------------------------------------------------------------


def _measure(contenders: Sequence[Contender], rounds: int) -> None:
    patient = [it for it in contenders if it.name != BACK_TO_BACK]
    for number in range(rounds):
        _show_progress(f"round {number + 1} of {rounds}")
        for contender in random.sample(patient, len(patient)):
            if number % SLOW_EVERY and contender.samples_ms[0] > SLOW_MS:
                continue
            time.sleep(random.uniform(*REST_S))
            contender.settle()
            contender.kill()
    for contender in contenders:
        if contender.name == BACK_TO_BACK:
            contender.settle()
            for _ in range(rounds):
                contender.kill()
    _show_progress("")


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


# --- showing -------------------------------------------------------------------------------------


def _goals(spreads: dict[str, Spread]) -> list[Goal]:
    """Return the goals of the issue; those whose contenders are absent are left out."""
    goals = []
    for text, name, of, share in (
        ("fork: half of the floor", FORK, FLOOR, 0.5),
        ("warm spare: a quarter of the floor", SPARE, FLOOR, 0.25),
        ("warm spare: sooner than daemontools with a C program", SPARE, DAEMONTOOLS_C, 1.0),
    ):
        if name in spreads and of in spreads:
            limit = spreads[of].median * share
            goals.append(Goal(text, spreads[name].median, limit, "ms", is_strict=share == 1.0))
    return goals


def _as_text(
    spreads: dict[str, Spread],
    absent: dict[str, str],
    goals: Sequence[Goal],
    machine: dict[str, object],
) -> str:
    rows = [
        [name, str(it.samples), *(f"{ms:.2f}" for ms in (it.least, it.median, it.p90, it.most))]
        for name, it in sorted(spreads.items(), key=lambda item: item[1].median)
    ]
    rows += [[name, "-", *["-"] * 3, reason] for name, reason in absent.items()]
    return "\n".join(
        [
            "From kill -9 to the first line of the replacement's user code, ms",
            figures.machine_line(machine),
            "",
            figures.table(["", "samples", "least", "median", "p90", "most"], rows),
            "",
            figures.goal_lines(goals),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
