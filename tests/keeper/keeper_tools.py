"""Keeper processes, and folders short enough for their sockets; facts and entries to store."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from supervisor.core.facts import Fact, FactKind
from wippy.core.entry import DATA_KIND, EntryDoc, encode_doc

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 60.0


class KeeperProcess:
    """A keeper in a process of its own."""

    def __init__(
        self,
        run_dir: Path,
        state_dir: Path,
        *,
        limit: int | None = None,
        script: str = "keeper_process.py",
        environ: dict[str, str] | None = None,
    ) -> None:
        path = Path(__file__).with_name(script)
        arguments = [sys.executable, str(path), str(run_dir), str(state_dir)]
        self._process = subprocess.Popen(
            arguments if limit is None else [*arguments, str(limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(environ or {})},
            bufsize=0,
        )
        self._pending = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_line(self, prefix: str) -> str:
        """Return the rest of the next line that begins with `prefix`."""
        deadline_s = time.monotonic() + DEADLINE_S
        assert self._process.stdout is not None
        while True:
            line, newline, rest = self._pending.partition(b"\n")
            if newline:
                self._pending = rest
                if line.decode().startswith(prefix):
                    return line.decode()[len(prefix) :].strip()
                continue
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"no line {prefix!r}"
            if select.select([self._process.stdout], [], [], left_s)[0]:
                data = self._process.stdout.read(65536)
                assert data, f"the keeper ended ({self._process.wait()}) without a line {prefix!r}"
                self._pending += data

    def wait_ready(self) -> KeeperProcess:
        self.wait_line("ready")
        return self

    def tell(self, topic: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(topic.encode() + b"\n")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(DEADLINE_S)

    def stop(self) -> int:
        """Ask it to stop; return its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(DEADLINE_S)

    def wait(self) -> int:
        return self._process.wait(DEADLINE_S)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def clean_up(self) -> None:
        if self._process.poll() is None:
            self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Folders:
    """A run folder and a state folder."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.run = base / "r"
        self.state = base / "s"
        self.run.mkdir(mode=0o700)


def facts(first: int, count: int) -> list[Fact]:
    """Return `count` facts with ascending `seq`."""
    return [
        Fact(seq=seq, at_s=1000.0 + seq, kind=FactKind.READY, id=f"app:w{seq % 7}", os_pid=seq)
        for seq in range(first, first + count)
    ]


def doc(entry_id: str, **data: Any) -> EntryDoc:
    """Return an entry of plain data."""
    return EntryDoc(id=entry_id, kind=DATA_KIND, data=data)


def entries(number: int) -> tuple[EntryDoc, ...]:
    """Return a registry that differs from that of any other number."""
    return doc("app:number", is_=number), doc(f"app:e{number % 5}", x="x" * (number % 50 + 1))


def encoded(docs: Iterable[EntryDoc]) -> dict[str, bytes]:
    """Return documents as they are stored."""
    return {each.id: encode_doc(each) for each in docs}


async def wait_until(condition: Callable[[], Any]) -> None:
    """Wait for what no event tells of."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(0.002)
