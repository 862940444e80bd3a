"""Whatever is thrown at the control socket, the root lives, counts it, and nobody is restarted."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator

import msgspec
import pytest
import zmq
from real_node import RealNode
from shops import entry, files, service

from supervisor.core.requests import GetView, Request, from_client, to_client
from wippy.core.codec import MAX_FRAME_BYTES, encode
from wippy.core.messages import ActorEnded, Beat, Ended, Hello, Ready
from wippy.core.reasons import Normal
from wippy.errors import Invalid

pytestmark = pytest.mark.system

RANDOM_FRAMES = 5000
SEED = 20261122


class Stranger:
    """A DEALER that says what it likes."""

    def __init__(self, shop: RealNode, routing_id: bytes = b"") -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 10_000)
        self._socket.setsockopt(zmq.RCVTIMEO, 60_000)
        if routing_id:
            self._socket.setsockopt(zmq.ROUTING_ID, routing_id)
        self._socket.connect(f"ipc://{shop.run_dir}/root")

    def say(self, *parts: bytes) -> None:
        self._socket.send_multipart(parts)

    def hear(self) -> object:
        return to_client.decode(self._socket.recv())

    def close(self) -> None:
        self._context.destroy(linger=10_000)


@pytest.fixture
def shop(node: Callable[..., RealNode]) -> RealNode:
    pool = entry("pool", kind="process.host", workers=1)
    return node(files([service("a"), pool, service("b", host="pool")]))


@pytest.fixture
def stranger(shop: RealNode) -> Iterator[Stranger]:
    made = Stranger(shop)
    yield made
    made.close()


def lives(shop: RealNode) -> dict[str, tuple[int, int]]:
    return {row.id: (row.generation, row.os_pid) for row in shop.view().rows}


def test_malformed_frames_are_answered_and_counted(shop: RealNode, stranger: Stranger) -> None:
    before, root = lives(shop), shop.view().root_pid
    bad: list[tuple[bytes, ...]] = [
        (b"garbage",),
        (b"",),
        (b"\xc1" * 100,),
        (encode(Request(1, GetView())), b"one part more"),
        (b"", encode(Request(1, GetView()))),
        (msgspec.msgpack.encode({"type": "request", "id": 1, "verb": {"type": "destroy"}}),),
        (msgspec.msgpack.encode({"type": "request", "id": "one", "verb": {"type": "get_view"}}),),
        (msgspec.msgpack.encode({"type": "request", "id": 2**70 % 2**64}),),
        (b"\x81" * 100_000,),  # nested deeper than anything
        (encode(Request(2, GetView()))[:-3],),
    ]
    for parts in bad:
        stranger.say(*parts)
        answer = stranger.hear()
        assert getattr(answer, "id", None) == 0, parts
        assert "kind" in msgspec.to_builtins(answer.answer), parts  # type: ignore[attr-defined]
    assert shop.view().bad_frames >= len(bad)
    stranger.say(encode(Request(7, GetView(), "the same stranger")))
    assert getattr(stranger.hear(), "id", None) == 7
    assert (lives(shop), shop.view().root_pid) == (before, root)


def test_a_huge_frame_costs_its_sender_the_connection_and_nobody_else(shop: RealNode) -> None:
    before = lives(shop)
    glutton = Stranger(shop)
    glutton.say(b"x" * (MAX_FRAME_BYTES + 2**20))
    assert lives(shop) == before
    glutton.close()
    assert lives(shop) == before
    assert shop.view().root_starts == 1


def test_who_claims_to_be_a_process_is_not_believed(shop: RealNode) -> None:
    """Frames of processes from somebody else: with a forged token, for a living child, as a
    client, with the routing id of a process that was guessed."""
    before = lives(shop)
    generation, pid = before["t:a"]
    claims = [
        Hello(token=b"0" * 16, pid=pid, preloaded=True),
        Hello(token=os.urandom(16), pid=os.getpid(), preloaded=True),
        Ready(generation),
        Beat(generation),
        Ended(generation, Normal()),
        ActorEnded("t:b", 1, 1, Normal()),
    ]
    for routing_id in (b"", b"p" + b"\x07" * 8, b"t:a"):
        liar = Stranger(shop, routing_id)
        for claim in claims:
            liar.say(encode(claim))
            assert getattr(liar.hear(), "id", None) == 0
        liar.close()
    assert lives(shop) == before
    assert shop.view().bad_frames >= 3 * len(claims)


def random_frames(count: int) -> Iterator[tuple[bytes, ...]]:
    """Yield noise, mutilated requests, and msgpack of the wrong shapes."""
    chance = random.Random(SEED)
    right = [encode(Request(5, GetView(), "x")), encode(Beat(1)), encode(Ended(1, Normal()))]
    for _ in range(count):
        match chance.randrange(4):
            case 0:
                frame = chance.randbytes(chance.randrange(200))
            case 1:
                raw = bytearray(chance.choice(right))
                raw[chance.randrange(len(raw))] = chance.randrange(256)
                frame = bytes(raw)
            case 2:
                keys = ["type", "id", "verb", "who", "generation", "token"]
                values = [None, -1, 1.5, "stop_node!", b"\0", [], {"type": "kill"}, 2**63]
                shape = {chance.choice(keys): chance.choice(values) for _ in range(4)}
                frame = msgspec.msgpack.encode(shape)
            case _:
                frame = struct.pack(
                    ">BI", chance.choice([0xDD, 0xDF, 0xC6]), chance.getrandbits(32)
                )
        yield (frame,) if chance.random() < 0.9 else (frame, chance.randbytes(8))


def is_request(parts: tuple[bytes, ...]) -> bool:
    """Say whether it happens to be a request that the root may obey."""
    try:
        from_client.decode(parts[-1])
    except Invalid:
        return False
    return len(parts) == 1


def test_thousands_of_random_frames_leave_everything_as_it_was(
    shop: RealNode, stranger: Stranger
) -> None:
    before = lives(shop)
    frames = [parts for parts in random_frames(RANDOM_FRAMES) if not is_request(parts)]
    for parts in frames:
        stranger.say(*parts)
    view = shop.wait_view(lambda view: view.bad_frames >= len(frames))
    assert view.root_starts == 1
    assert lives(shop) == before
