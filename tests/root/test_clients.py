"""Clients as the root holds them: by pidfd, bounded, told of when they end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.core.client_slot import client_slot
from supervisor.io.message_folder import MessageFolder
from supervisor.io.os_process import read_stat
from supervisor.root import clients
from supervisor.root.clients import Clients
from supervisor.root.watches import Watches
from wippy.core.ids import socket_name
from wippy.core.messages import Gone
from wippy.core.reasons import Lost

DEADLINE_S = 30.0


def test_a_client_that_ends_is_told_of_once_and_its_socket_is_removed(short_dir: Path) -> None:
    async def check() -> None:
        told: asyncio.Queue[tuple[bytes, Gone]] = asyncio.Queue()
        folder = MessageFolder(short_dir)
        watches = Watches(lambda peer, gone: told.put_nowait((peer, gone)))
        held = Clients(asyncio.get_running_loop(), watches, folder, pytest.fail)
        with living() as process:
            slot = slot_of(process.pid)
            left = folder.path / socket_name(slot, 1)
            left.touch()
            assert held.hold(slot, 1)
            assert held.hold(slot, 1)
            assert not held.hold(slot, 2)
            watches.add(b"peer", slot, 1)
            process.kill()
            async with asyncio.timeout(DEADLINE_S):
                assert await told.get() == (b"peer", Gone(slot, 1, Lost()))
        assert not left.exists()
        assert watches.has_ended(slot, 1)
        assert not held.hold(slot, 1)
        assert told.empty()

    asyncio.run(check())


def test_who_is_no_client_or_another_process_than_it_says_or_one_too_many_is_not_held(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        watches = Watches(lambda _peer, _gone: None)
        loop = asyncio.get_running_loop()
        held = Clients(loop, watches, MessageFolder(short_dir), pytest.fail)
        with living() as process:
            slot = slot_of(process.pid)
            assert not held.hold("t:a", 1)
            assert not held.hold(f"{slot}1", 1)  # its pid, but not its start
            monkeypatch.setattr(clients, "MAX_CLIENTS", 0)
            assert not held.hold(slot, 1)
            process.kill()

    asyncio.run(check())


def living() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def slot_of(pid: int) -> str:
    stat = read_stat(pid)
    assert stat is not None
    return client_slot(pid, stat.start_ticks)
