"""Servers in folders of their own, a registry that tests write, and how a test waits."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from leftovers import MARK

from wippy.core.entry import EntryDoc
from wippy.errors import NotFound
from wippy.runtime.resources.pools import pools

DEADLINE_S = 60.0
PASSWORD = "hunter2-and-a-half"
UNPRIVILEGED = "nobody"


class Server:
    """A server in a folder of its own.

    Attributes:
        host: Where it listens.
        port: On which port.
        folder: Everything of it.
        process: It itself.
    """

    def __init__(
        self, command: Callable[[Server], list[str]], ready: str, user: str | None
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="w-", dir="/tmp"))
        self.host, self.port = "127.0.0.1", free_port()
        self.user = user
        if user is not None:
            shutil.chown(self.folder, user)
        self._command, self._ready = command, ready
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it says that it serves."""
        process = self.process = subprocess.Popen(
            self._command(self),
            user=self.user,
            cwd=self.folder,
            env=environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        is_ready = threading.Event()
        lines: list[str] = []

        def read() -> None:
            for line in process.stdout or ():
                lines.append(line)
                if self._ready in line:
                    is_ready.set()
            is_ready.set()

        threading.Thread(target=read, daemon=True).start()
        assert is_ready.wait(DEADLINE_S), "".join(lines)
        assert process.poll() is None, "".join(lines)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT closes all connections of a PostgreSQL, and any server ends of it."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(DEADLINE_S)
            self.process = None

    def remove(self) -> None:
        """End it, and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def environ() -> dict[str, str]:
    """Return the environment without what marks the processes of a test: a server outlives it."""
    return {name: value for name, value in os.environ.items() if name != MARK} | {"LC_ALL": "C"}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def need(program: str, module: str) -> None:
    """Skip where a server or its driver is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"the Python package {module} is not installed")


class WrittenRegistry:
    """In place of the registry of a node: entries that the test writes."""

    def __init__(self) -> None:
        self.version = 0
        self.rows: dict[str, tuple[int, EntryDoc]] = {}

    def put(self, entry_id: str, kind: str, **data: Any) -> None:
        """Write a version in which an entry describes a connection."""
        self.version += 1
        doc = EntryDoc(id=entry_id, kind="registry.entry", meta={"type": kind}, data=data)
        self.rows[entry_id] = self.version, doc

    def get(self, entry_id: str) -> tuple[int, EntryDoc]:
        """See `RegistryReader`."""
        if entry_id not in self.rows:
            raise NotFound(f"there is no entry {entry_id!r}")
        return self.rows[entry_id]

    def close(self) -> None:
        """See `RegistryReader`."""


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test in a loop of its own, and close what it opened."""

    async def live() -> None:
        async with asyncio.timeout(DEADLINE_S):
            try:
                await main
            finally:
                await pools().close()

    asyncio.run(live())


async def until(is_so: Callable[[], bool]) -> None:
    """Give the loop turns until it is so, with a pause in between; `run` ends it."""
    while not is_so():  # noqa: ASYNC110  # what sends no event
        await asyncio.sleep(0.005)
