"""How fast are messages between two OS processes, ours and what a user would pick instead?

    python benchmarks/peers_messages.py [--rounds N] [--quick] [--no-peers] [--json]

One way and a round trip with a dict of about 100 bytes: ours, raw pyzmq, multiprocessing.Queue, two
Erlang nodes, xoscar, Thespian and Ray, each in processes of its own, all in every round; once where
the kernel puts them, once pinned to one core, and ours and raw also with a core for each process.
A peer that cannot be installed is named as absent. Peers from PyPI have an environment each, made
at the first run and kept in `.bench/`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import messages
from measuring import figures
from measuring.figures import Goal, Spread
from peers import tools

ROUNDS, MESSAGES, QUICK_MESSAGES = 5, 100_000, 2_000
TIMEOUT_S = 180.0
NOWHERE, ONE_CORE, A_CORE_EACH = "", ", one core", ", a core each"
CPUS: dict[str, messages.Cpus] = {
    NOWHERE: messages.ANYWHERE,
    ONE_CORE: messages.ONE_CORE,
    A_CORE_EACH: messages.A_CORE_EACH,
}
RATE, TRIP = "one way (messages/s)", "round trip (us)"
PEERS = {
    # name: (package, messages, round trips): as many as take it about a second.
    "multiprocessing.Queue": ("", 50_000, 1_000),
    "xoscar": ("xoscar==0.12.2", 5_000, 500),
    "Thespian": ("thespian==4.0.1", 2_000, 300),
    "Ray": ("ray==2.60.0", 2_000, 300),
}
PROGRAMS = {"multiprocessing.Queue": "queue"}
ERLANG = ("Erlang", 200_000, 2_000)
GOAL_ERLANG = 2.5

Measured = dict[str, float]
Contender = Callable[[], Measured]


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    seen = figures.machine()
    count = QUICK_MESSAGES if options.quick else MESSAGES
    contenders, absent = _contenders(count, is_with_peers=not options.no_peers)
    samples: dict[str, list[float]] = {}
    for _ in range(1 if options.quick else options.rounds):
        for name, measure in contenders.items():
            for what, value in measure().items():
                samples.setdefault(f"{name}: {what}", []).append(value)
    spreads = {name: figures.spread_of(values) for name, values in samples.items()}
    goals = _goals(spreads)
    if options.json:
        print(figures.as_json(machine=seen, spreads=spreads, absent=absent, goals=goals))
        return 0
    rows = [
        [name, str(it.samples), *(f"{one:,.1f}" for one in (it.least, it.median, it.p90, it.most))]
        for name, it in sorted(spreads.items(), key=lambda it: it[0].partition(": ")[2])
    ]
    print(figures.machine_line(seen))
    print(figures.table(["", "samples", "least", "median", "p90", "most"], rows))
    for name, why in absent.items():
        print(f"absent  {name}: {why}")
    print(f"\n{figures.goal_lines(goals)}")
    return 0


def _contenders(count: int, *, is_with_peers: bool) -> tuple[dict[str, Contender], dict[str, str]]:
    found: dict[str, Contender] = {}
    absent: dict[str, str] = {}
    for where in CPUS:
        found[f"ours{where}"] = partial(
            _of_this_tree, where, messages.our_one_way, messages.our_trip, count
        )
        found[f"raw pyzmq{where}"] = partial(
            _of_this_tree, where, messages.raw_one_way, messages.raw_trip, count
        )
    if not is_with_peers:
        return found, absent
    for name, (package, its_count, trips) in PEERS.items():
        python = tools.python_with(package) if package else Path(sys.executable)
        if python is None:
            absent[name] = f"{package} cannot be installed here"
            continue
        program = tools.PROGRAMS / f"talk_{PROGRAMS.get(name, name.lower())}.py"
        _add(found, name, [str(python), str(program), str(its_count), str(trips)])
    name, its_count, trips = ERLANG
    beams = tools.compiled_erlang("talk")
    if beams is None:
        absent[name] = "there is no erl and erlc"
    else:
        script = str(tools.PROGRAMS / "talk_erlang.sh")
        _add(found, name, ["sh", script, str(beams), str(its_count), str(trips)])
    return found, absent


def _add(found: dict[str, Contender], name: str, command: list[str]) -> None:
    found[name] = partial(_foreign, command, None)
    found[f"{name}{ONE_CORE}"] = partial(_foreign, command, {0})


def _foreign(command: list[str], cpus: set[int] | None) -> Measured:
    """Run a peer's program; its last line is the result."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus or before)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
    finally:
        os.sched_setaffinity(0, before)
    result = json.loads(done.stdout.decode().splitlines()[-1])
    return {RATE: result["messages_per_s"], TRIP: result["trip_us"]}


def _of_this_tree(
    where: str, one_way: messages.Placed, trip: messages.Placed, count: int
) -> Measured:
    cpus = CPUS[where]
    return {
        RATE: messages.isolated(partial(one_way, cpus, count)),
        TRIP: messages.isolated(partial(trip, cpus, min(count, messages.TRIPS))),
    }


def _goals(spreads: dict[str, Spread]) -> list[Goal]:
    """Return the goals of issue 3. Rates are shown as time for a message."""
    goals = []
    for where in (NOWHERE, ONE_CORE):
        each_us = 1e6 / spreads[f"ours{where}: {RATE}"].median
        trip_us = spreads[f"ours{where}: {TRIP}"].median
        for name in (*PEERS, ERLANG[0]):
            peer = spreads.get(f"{name}{where}: {RATE}")
            if peer is None:
                continue
            factor = GOAL_ERLANG if name == ERLANG[0] else 1.0
            least = f"{factor:g} x " if factor > 1 else "ahead of "
            text = f"one way{where}: {least}{name}"
            goals.append(Goal(text, each_us, 1e6 / (factor * peer.median), "us"))
            if name != ERLANG[0]:
                its_us = spreads[f"{name}{where}: {TRIP}"].median
                goals.append(Goal(f"round trip{where}: ahead of {name}", trip_us, its_us, "us"))
    return goals


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
