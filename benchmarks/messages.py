"""How fast are messages between actors in two OS processes? Beside raw pyzmq, in one run.

    python benchmarks/messages.py [--rounds N] [--messages N] [--json]

The payload is a dict of about 100 bytes. Raw is PUSH/PULL with msgspec, one message a frame, in two
plain Python processes; ours is `process.send` and `process.inbox()`. Each round measures all of
them once, each process a fork of its own, so that the drift of a noisy machine hits all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import zmq
from measuring import figures
from measuring.actors import forked, live, pid_of
from measuring.figures import Goal, Spread

from wippy import process, sync
from wippy.errors import MailboxFull

ROUNDS, MESSAGES, TRIPS = 7, 200_000, 3_000
PAYLOAD = {"id": 12345, "name": "a" * 40, "ok": True, "data": "b" * 30, "x": 1.5}
RAW_ONE_WAY, ONE_WAY = "one way, raw pyzmq (messages/s)", "one way, ours (messages/s)"
FOUR_TO_ONE, ONE_TO_FOUR = "4 -> 1, ours (messages/s)", "1 -> 4, ours (messages/s)"
SLOW = "slow receiver: growth of both processes (MiB)"
TRIP = "round trip, {who}, {where} (us)"
SLOW_EVERY, SLOW_S = 64, 0.001

Report = Callable[[Any], None]
Cpus = tuple[int | None, int | None]
"""Where receiver and sender run; None: where the kernel puts it."""
ANYWHERE, A_CORE_EACH, ONE_CORE = (None, None), (0, 1), (0, 0)
PLACES: dict[str, Cpus] = {"anywhere": ANYWHERE, "a core each": A_CORE_EACH, "one core": ONE_CORE}
Placed = Callable[[Cpus, int, Path, Report], None]


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    options = _options(argv)
    samples: dict[str, list[float]] = {}
    for number in range(options.rounds):
        if sys.stderr.isatty():
            print(f"\r\033[Kround {number + 1} of {options.rounds}", end="", file=sys.stderr)
        for name, measure in _contenders(options.messages).items():
            samples.setdefault(name, []).append(isolated(measure))
    spreads = {name: figures.spread_of(values) for name, values in samples.items()}
    goals = _goals(spreads)
    if options.json:
        print(figures.as_json(machine=figures.machine(), spreads=spreads, goals=goals))
    else:
        print(_as_text(spreads, goals))
    return 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)


Measure = Callable[[Path, Report], None]


def _contenders(messages: int) -> dict[str, Measure]:
    found: dict[str, Measure] = {
        RAW_ONE_WAY: partial(raw_one_way, ANYWHERE, messages),
        ONE_WAY: partial(our_one_way, ANYWHERE, messages),
        RAW_ONE_WAY.replace("(", "a core each ("): partial(raw_one_way, A_CORE_EACH, messages),
        ONE_WAY.replace("(", "a core each ("): partial(our_one_way, A_CORE_EACH, messages),
        FOUR_TO_ONE: lambda run, report: _ours(run, report, messages, 4, 1),
        ONE_TO_FOUR: lambda run, report: _ours(run, report, messages, 1, 4),
        SLOW: lambda run, report: _slow(run, report, messages // 4),
    }
    for where, cpus in PLACES.items():
        found[TRIP.format(who="raw pyzmq", where=where)] = partial(raw_trip, cpus, TRIPS)
        found[TRIP.format(who="ours", where=where)] = partial(our_trip, cpus, TRIPS)
        found[TRIP.format(who="ours, plain def", where=where)] = partial(blocking_trip, cpus, TRIPS)
    return found


def isolated(measure: Measure) -> float:
    """Measure in forks of this process, which has no thread of ZeroMQ's; return the figure."""
    with tempfile.TemporaryDirectory(prefix="w-", dir="/tmp") as folder:
        reader, writer = os.pipe()

        def report(value: Any) -> None:
            os.write(writer, json.dumps(value).encode())

        measure(Path(folder), report)
        os.close(writer)
        with open(reader, "rb") as pipe:
            return float(json.loads(pipe.read()))


# --- ours ----------------------------------------------------------------------------------------


def _ours(run: Path, report: Report, messages: int, senders: int, receivers: int) -> None:
    each = messages // max(senders, receivers)
    per_receiver = each * senders
    times: list[int] = []
    with ExitStack() as stack:
        for number in range(receivers):
            reader, writer = os.pipe()
            times.append(reader)
            receive = _job(run, f"r{number}", _receiver, per_receiver, writer)
            stack.enter_context(forked(receive))
        targets = [pid_of(f"r{number}") for number in range(receivers)]
        for number in range(senders):
            stack.enter_context(forked(_job(run, f"s{number}", _sender, targets, each)))
    spans = [json.loads(os.read(reader, 200)) for reader in times]
    first, last = min(span[0] for span in spans), max(span[1] for span in spans)
    report(per_receiver * receivers / (last - first))


def _job(run: Path, slot: str, main_: Any, *args: Any) -> Callable[[], Any]:
    return lambda: live(run, slot, main_, *args)


async def _receiver(count: int, pipe: int) -> None:
    left, began_s = count, 0.0
    async for _ in process.inbox():
        if left == count:
            began_s = time.monotonic()
        left -= 1
        if not left:
            break
    os.write(pipe, json.dumps([began_s, time.monotonic()]).encode())


async def _sender(targets: list[str], each: int) -> None:
    send = process.send
    for _ in range(each):
        for target in targets:
            while True:
                try:
                    send(target, "task", PAYLOAD)
                    break
                except MailboxFull:
                    await process.ready(target)


def our_one_way(cpus: Cpus, count: int, run: Path, report: Report) -> None:
    """Report messages a second from one actor to another."""
    reader, writer = os.pipe()
    with (
        forked(_job(run, "r0", _receiver, count, writer), cpu=cpus[0]),
        forked(_job(run, "s0", _sender, [pid_of("r0")], count), cpu=cpus[1]),
    ):
        pass
    began_s, ended_s = json.loads(os.read(reader, 200))
    report(count / (ended_s - began_s))


def our_trip(cpus: Cpus, count: int, run: Path, report: Report) -> None:
    """Report the median of a round trip between two actors, microseconds."""
    _trip(cpus, count, run, report, _pong, _ping)


def blocking_trip(cpus: Cpus, count: int, run: Path, report: Report) -> None:
    """Report the median of a call between two actors that are a plain `def`, microseconds."""
    _trip(cpus, count, run, report, _blocking_pong, _blocking_ping)


def _trip(cpus: Cpus, count: int, run: Path, report: Report, pong: Any, ping: Any) -> None:
    with (
        forked(_job(run, "pong", pong, count), cpu=cpus[0]),
        forked(_job(run, "ping", ping, pid_of("pong"), count, report), cpu=cpus[1]),
    ):
        pass


def _blocking_pong(count: int) -> None:
    for message in sync.inbox():
        process.reply(message, message.payload)
        count -= 1
        if not count:
            return


def _blocking_ping(target: str, count: int, report: Report) -> None:
    took: list[float] = []
    for _ in range(count):
        began_s = time.perf_counter()
        sync.call(target, "ping", PAYLOAD)
        took.append(time.perf_counter() - began_s)
    report(sorted(took)[count // 2] * 1e6)


async def _pong(count: int) -> None:
    async for message in process.inbox():
        process.send(message.sender, "pong", message.payload)
        count -= 1
        if not count:
            return


async def _ping(target: str, count: int, report: Report) -> None:
    inbox = process.inbox().__aiter__()
    took: list[float] = []
    for _ in range(count):
        began_s = time.perf_counter()
        process.send(target, "ping", PAYLOAD)
        await anext(inbox)
        took.append(time.perf_counter() - began_s)
    report(sorted(took)[count // 2] * 1e6)


def _slow(run: Path, report: Report, count: int) -> None:
    reader, writer = os.pipe()
    with (
        forked(_job(run, "r0", _slow_receiver, count, writer)),
        forked(_job(run, "s0", _measured_sender, count, writer)),
    ):
        pass
    grown = sum(float(line) for line in os.read(reader, 200).split())
    report(grown)


async def _slow_receiver(count: int, pipe: int) -> None:
    seen, before = 0, 0
    async for _ in process.inbox():
        seen += 1
        if seen == count // 10:
            before = _resident_bytes()
        if not seen % SLOW_EVERY:
            time.sleep(SLOW_S)  # noqa: ASYNC251  # what is measured is a receiver that is slow
        if seen == count:
            break
    os.write(pipe, f"{(_resident_bytes() - before) / 2**20}\n".encode())


async def _measured_sender(count: int, pipe: int) -> None:
    await _sender([pid_of("r0")], count // 10)
    before = _resident_bytes()
    await _sender([pid_of("r0")], count - count // 10)
    os.write(pipe, f"{(_resident_bytes() - before) / 2**20}\n".encode())


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# --- raw -----------------------------------------------------------------------------------------


def raw_one_way(cpus: Cpus, count: int, run: Path, report: Report) -> None:
    """As `our_one_way`, PUSH/PULL with msgspec, a message a frame."""
    address = f"ipc://{run}/raw"

    def receive() -> None:
        decode = msgspec.msgpack.Decoder().decode
        socket = zmq.Context().socket(zmq.PULL)
        socket.bind(address)
        socket.recv()
        began_s = time.perf_counter()
        for _ in range(count - 1):
            decode(socket.recv())
        report((count - 1) / (time.perf_counter() - began_s))

    def send() -> None:
        encode = msgspec.msgpack.Encoder().encode
        context = zmq.Context()
        socket = context.socket(zmq.PUSH)
        socket.connect(address)
        for _ in range(count):
            socket.send(encode(PAYLOAD))
        socket.close()
        context.term()

    with forked(receive, cpu=cpus[0]), forked(send, cpu=cpus[1]):
        pass


def raw_trip(cpus: Cpus, count: int, run: Path, report: Report) -> None:
    """As `our_trip`, PUSH/PULL with msgspec."""
    there, back = f"ipc://{run}/there", f"ipc://{run}/back"

    def sockets(own: str, other: str) -> tuple[Any, Any]:
        context = zmq.Context()
        pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        pull.bind(own)
        push.connect(other)
        return pull, push

    def pong() -> None:
        pull, push = sockets(there, back)
        encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
        for _ in range(count):
            push.send(encode(decode(pull.recv())))
        time.sleep(0.2)  # the last one leaves through ZeroMQ's thread, which ends with us

    def ping() -> None:
        pull, push = sockets(back, there)
        encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
        took: list[float] = []
        for _ in range(count):
            began_s = time.perf_counter()
            push.send(encode(PAYLOAD))
            decode(pull.recv())
            took.append(time.perf_counter() - began_s)
        report(sorted(took)[count // 2] * 1e6)

    with forked(pong, cpu=cpus[0]), forked(ping, cpu=cpus[1]):
        pass


# --- showing -------------------------------------------------------------------------------------


def _goals(spreads: dict[str, Spread]) -> list[Goal]:
    """Return the goals of the issue. Rates are shown as time for a message."""
    each_us = 1e6 / spreads[ONE_WAY].median
    goals = [
        Goal("one way: twice raw pyzmq", each_us, 1e6 / (2 * spreads[RAW_ONE_WAY].median), "us"),
        Goal("4 -> 1: the one-way rate", 1e6 / spreads[FOUR_TO_ONE].median, each_us, "us"),
        Goal("1 -> 4: the one-way rate", 1e6 / spreads[ONE_TO_FOUR].median, each_us, "us"),
    ]
    for where in PLACES:
        ours = spreads[TRIP.format(who="ours", where=where)].median
        raw = spreads[TRIP.format(who="raw pyzmq", where=where)].median
        goals.append(Goal(f"round trip, {where}: 1.3 x raw", ours, 1.3 * raw, "us"))
        plain = spreads[TRIP.format(who="ours, plain def", where=where)].median
        goals.append(Goal(f"plain def, {where}: 1.15 x raw", plain, 1.15 * raw, "us"))
    return goals


def _as_text(spreads: dict[str, Spread], goals: Sequence[Goal]) -> str:
    rows = [
        [name, str(it.samples), *(f"{one:,.1f}" for one in (it.least, it.median, it.p90, it.most))]
        for name, it in spreads.items()
    ]
    return "\n".join(
        [
            "Messages between two OS processes, a dict of about 100 bytes",
            figures.machine_line(figures.machine()),
            "",
            figures.table(["", "samples", "least", "median", "p90", "most"], rows),
            "",
            figures.goal_lines(goals),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
