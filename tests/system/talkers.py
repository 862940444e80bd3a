"""Actors that say to the root what a test tells them, frame by frame, and say what it answers.

Each actor opens a socket; the test connects and writes frames as JSON lines. What the root sends is
written back with all rows of the directory as they were at that moment, in that process.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from real_node import DEADLINE_S, RealNode

from wippy.core.messages import FromProcess, ToProcess

TALKERS = """
import asyncio, gc, json, os, signal
import lmdb, msgspec
from wippy import process
from wippy.core.messages import Assign, Cancel, FromProcess, StartActor
from wippy.runtime.control import Control

RUN_DIR = os.environ["WIPPY_RUN_DIR"]
FOLDER = os.path.dirname(RUN_DIR)
DECODE = msgspec.json.Decoder(FromProcess).decode

OPENED = []

def rows():
    if not OPENED:
        env = lmdb.open(RUN_DIR + "/run.lmdb", readonly=True, max_dbs=64, max_readers=4096)
        OPENED[:] = env, env.open_db(b"directory", create=False)
    env, table = OPENED
    with env.begin(db=table) as txn, txn.cursor() as cursor:
        # Who is found now; `known:` rows stay, of services that were once.
        all_rows = {key.decode(): msgspec.msgpack.decode(row) for key, row in cursor}
        return {key: row for key, row in all_rows.items() if not key.startswith("known:")}

async def talker():
    control = next(one for one in gc.get_objects() if isinstance(one, Control))
    writers = set()
    below = control._handler

    def heard(frame):
        if not isinstance(frame, (Assign, Cancel, StartActor)):
            line = {"frame": json.loads(msgspec.json.encode(frame)), "rows": rows()}
            for writer in writers:
                writer.write(json.dumps(line).encode() + b"\\n")
        below(frame)

    async def serve(reader, writer):
        writers.add(writer)
        writer.write(b"hello\\n")
        async for line in reader:
            control.send(DECODE(line))

    name = process.pid().replace("/", "_").replace(":", "_")[-60:]
    await asyncio.start_unix_server(serve, f"{FOLDER}/{name}")
    control._handler = heard
    async for event in process.events():
        break

async def stubborn():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def worker():
    async for event in process.events():
        break

async def fails():
    raise RuntimeError("cannot work like this")

def dies():
    os.kill(os.getpid(), signal.SIGKILL)
"""

F = TypeVar("F")


def code(*methods: str) -> list[str]:
    """Return a `process.py` entry for each method, named as it is."""
    source = '"file://talkers.py"'
    return [
        f"  - {{name: {method}, kind: process.py, source: {source}, method: {method}}}"
        for method in methods
    ]


def service(name: str, method: str = "talker", more: str = "") -> str:
    """Return a service that runs one of the methods."""
    return f"  - {{name: {name}, kind: process.service, process: {method}{more}}}"


def files(*entries: str) -> dict[str, str]:
    """Return a configuration with the talkers' code and these entries, in namespace `t`."""
    lines = [*code("talker", "stubborn", "worker", "fails", "dies"), *entries]
    head = 'version: "1.0"\nnamespace: t\nentries:\n'
    return {
        "t.yaml": head + "\n".join(lines) + "\n",
        "wippy.yaml": 'version: "1.0"\nruntime: {spares: 1}\n',
        "talkers.py": TALKERS,
    }


class Talker:
    """The test's end of one actor's socket.

    Attributes:
        pid: Of the actor.
        rows: The directory as it was when the last frame came.
    """

    def __init__(self, node: RealNode, slot: str, generation: int = 1) -> None:
        self.pid = f"{node.name}/{slot}.{generation}/0"
        self.rows: dict[str, Any] = {}
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(DEADLINE_S)
        path = node.folder / self.pid.replace("/", "_").replace(":", "_")[-60:]
        _connect(node, self._socket, path)
        self._lines = self._socket.makefile("rb")
        assert self._lines.readline() == b"hello\n"

    def say(self, *frames: FromProcess) -> None:
        """Have the actor send these to the root."""
        self._socket.sendall(b"".join(msgspec.json.encode(frame) + b"\n" for frame in frames))

    def hear(self, kind: type[F]) -> F:
        """Wait for the next frame from the root; it must be of this kind."""
        line = json.loads(self._lines.readline())
        self.rows = line["rows"]
        frame = msgspec.convert(line["frame"], ToProcess)
        assert isinstance(frame, kind), frame
        return frame

    def close(self) -> None:
        """Let go of the actor."""
        self._lines.close()
        self._socket.close()


def _connect(node: RealNode, end: socket.socket, path: Path) -> None:
    """Connect as soon as the actor listens: it says READY before its first line has run."""
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        try:
            end.connect(os.fspath(path))
        except (FileNotFoundError, ConnectionRefusedError):
            node._rest(deadline_s)
        else:
            return
