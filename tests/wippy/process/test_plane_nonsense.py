"""Whatever is written into the socket of a process: nobody notices but its dead letters."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import zmq
from actors_world import ActorsWorld
from fake_root import DEADLINE_S

from wippy.core import framing, wire
from wippy.core.ids import socket_name
from wippy.core.messages import Ended
from wippy.core.payload import encode
from wippy.core.reasons import Error, Normal

FRAMES = 4000
SEED = 20261122
COUNTER = """
from wippy.runtime.context import current
async def main():
    async for message in process.inbox():
        if message.topic == "ask":
            process.send(message.sender, "count", sum(current().plane.dead_letters.values()))
        elif message.topic == "last":
            print("last", message.payload, flush=True)
"""


class Stranger:
    """A PUSH into the socket of one process."""

    def __init__(self, world: ActorsWorld, slot: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDTIMEO, round(DEADLINE_S * 1000))
        self._socket.connect(f"ipc://{path_of(world, slot)}")

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close(linger=10_000)
        self._context.term()

    def write(self, *frames: bytes) -> None:
        for frame in frames:
            self._socket.send(frame)


def path_of(world: ActorsWorld, slot: str) -> Path:
    return Path(world.message_dir) / socket_name(slot, 1)


def message(target: int, topic: str, payload: Any, *, slot: str = "app:stranger") -> bytes:
    run = framing.whole_run(framing.run_head(target, 0, topic), [encode(payload)], 1)
    return framing.whole_frame(framing.frame_head(1, "test", slot, 1), [run])


def well_formed(chance: random.Random) -> bytes:
    """Return a frame whose items have the right types and senseless values."""
    number = lambda: chance.choice([-(2**63), -1, 0, 1, 2, 7, 2**59, 2**63 - 1])  # noqa: E731
    small = lambda: chance.choice([-(2**62), -1, 0, 1, 3])  # noqa: E731
    text = lambda: chance.choice(["", "x", "@own", "app:gone", "\0", "a/b", "é" * 90])  # noqa: E731
    data = lambda: chance.choice([None, [], {"a": [1]}, "x", -1.5, b"y"])  # noqa: E731
    items: list[wire.Item] = [
        wire.Run(number(), number(), text(), [data()] * chance.randrange(3), small()),
        wire.Credit(number(), number()),
        wire.SpawnActor(number(), number(), text(), [data()], name=text(), first=[(text(), 1)]),
        wire.Monitor(number(), number(), number()),
        wire.Unmonitor(number(), number(), number()),
        wire.Link(chance.choice([5, 6]), number()),
        wire.Unlink(number(), number()),
        wire.Ended(number(), number(), number(), Error(text(), text(), text()), data(), text()),
        wire.Ended(number(), number(), number(), Normal()),
        wire.Call(chance.choice([5, 6]), number(), text(), data(), number(), small()),
        wire.Answer(number(), number(), data(), chance.choice([None, {}, {"kind": 1}])),
        wire.CancelPeer(chance.choice([5, 6]), number(), text(), -1.0),
        wire.KillPeer(chance.choice([5, 6]), number()),
        wire.Probe(),
        wire.Probed(),
        wire.Invoke(text(), number(), number(), [data()], small(), {text(): data()}, -1.0, small()),
        wire.Returned(number(), data(), None, small()),
        wire.CancelCall(number(), text()),
        wire.Broadcast(*broadcast(number, text)),
        wire.Publish(text(), number(), chance.choice([0.0, -1e308]), b"\xc1", small()),
        wire.NotPublished({text(): small()}),
    ]
    slot = chance.choice(["app:stranger", "app:other", "", "é" * 200])
    head = framing.frame_head(1, "test", slot, chance.choice([0, 1, 2]))
    chosen = chance.sample(items, 3)
    return framing.whole_frame(head, [framing.item(item) for item in chosen])


def broadcast(number: Any, text: Any) -> list[Any]:
    kinds = {"int": number, "str": text}
    fields = msgspec.structs.fields(wire.Broadcast)
    return [kinds[it.type.__name__]() if it.type in (int, str) else [] for it in fields]


def nonsense(chance: random.Random) -> bytes:
    """Return noise, a mutilated frame, or the head of what does not come."""
    match chance.randrange(3):
        case 0:
            return chance.randbytes(chance.randrange(300))
        case 1:
            raw = bytearray(well_formed(chance))
            for _ in range(chance.randrange(1, 4)):
                raw[chance.randrange(len(raw))] = chance.randrange(256)
            return bytes(raw)
        case _:
            kind = chance.choice([0xDD, 0xDF, 0xC6, 0xC9, 0xDB])
            return struct.pack(">BI", kind, chance.getrandbits(32)) + chance.randbytes(9)


def frames(chance: random.Random) -> Iterator[bytes]:
    for _ in range(FRAMES):
        yield well_formed(chance) if chance.random() < 0.5 else nonsense(chance)


def test_thousands_of_senseless_frames_raise_nothing_and_change_nothing(
    world: ActorsWorld,
) -> None:
    """Of a dedicated actor and of a worker of a pool: no traceback, no end, and the next message
    of somebody honest arrives."""
    world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.define("app:counter", COUNTER)
    world.start_actor("app:dedicated", COUNTER)
    world.start_actor(
        "app:parent",
        "async def main():\n"
        "    child = process.spawn('app:counter', 'app:pool')\n"
        "    print(child, flush=True)\n"
        "    async for message in process.inbox():\n"
        "        process.send(child, 'last', message.payload)\n",
    )
    chance = random.Random(SEED)
    for slot in ("app:pool#1", "app:dedicated"):
        with Stranger(world, slot) as stranger:
            stranger.write(*frames(chance))
            if slot == "app:dedicated":
                stranger.write(message(0, "last", 1, slot="app:honest"))
    with Stranger(world, "app:parent") as honest:
        honest.write(message(0, "go", 2, slot="app:honest"))
    world.wait_line("app:dedicated", "last 1")
    lines = world.wait_line("app:pool#1", "last 2")
    logs = "\n".join([*lines, *world.lines("app:dedicated")])
    # What happens to be a spawn of an entry that is not there is a start that fails.
    assert logs.count("Traceback") == logs.count("NotFound: there is no process.py entry"), logs
    assert not [frame for _, frame in world.frames if isinstance(frame, Ended)]


def test_a_frame_of_a_gibibyte_costs_its_sender_the_connection_and_nobody_else(
    world: ActorsWorld,
) -> None:
    """It is announced, in ZeroMQ's own way of framing, and not one page is made for it."""
    child = world.start_actor("app:target", COUNTER)
    before_kib = rss_kib(child.pid)
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(DEADLINE_S)
        raw.connect(str(path_of(world, "app:target")))
        greet(raw)
        raw.sendall(b"\x02" + struct.pack(">Q", 2**30) + b"x" * 1000)
        assert raw.recv(100) == b"", "the connection is open"
    with Stranger(world, "app:target") as honest:
        honest.write(message(0, "last", "here"))
    world.wait_line("app:target", "last here")
    assert rss_kib(child.pid) - before_kib < 20_000


def greet(raw: socket.socket) -> None:
    """Speak ZMTP 3.0 (rfc.zeromq.org/spec/23) until messages may be sent."""
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    raw.sendall(greeting)
    take(raw, 64)
    ready = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", 4) + b"PUSH"
    raw.sendall(b"\x04" + bytes([len(ready)]) + ready)
    kind, size = take(raw, 2)
    assert kind == 4
    take(raw, size)


def take(raw: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = raw.recv(count - len(got))
        assert more, "the connection is closed"
        got += more
    return got


def rss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(it.split()[1]) for it in lines if it.startswith("VmRSS"))
