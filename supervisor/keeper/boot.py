"""The keeper's process: `supervisor.keeper.boot:main`, a system process of the tree."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import zmq

from supervisor.core.keeping import KEEPER_SOCKET
from supervisor.io.state_lock import StateLock
from supervisor.keeper.gate import Gate
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.loop import MAX_WAITING, KeeperLoop
from wippy.core.ports import SystemPort
from wippy.core.registry import MAX_KEEPER_FRAME_BYTES
from wippy.errors import AlreadyExists, Invalid

KEEPER_LOCK = "keeper.lock"
LOCK_WAIT_S = 5.0
"""How long to wait for a keeper of a dead root, which ends itself; less than a start may take."""
LOCK_POLL_S = 0.05
PROCESS_ENDED = "process_ended"
"""Topic by which the root tells that a process died: it may have left a stale reader."""


class KeeperSettings(msgspec.Struct, frozen=True):
    """Settings of the keeper's job; folders are absolute.

    Attributes:
        run_dir: Where its socket is.
        state_dir: What it writes.
        history_limit: Facts kept.
        operator: The root's credential; empty takes everybody for an operator.
        is_strict: What no policy allows is denied.
    """

    run_dir: str
    state_dir: str
    history_limit: int = 100_000
    operator: bytes = b""
    is_strict: bool = False


async def main(port: SystemPort) -> None:
    """Be the keeper until cancelled; what has arrived by then is committed and answered.

    Raises:
        AlreadyExists: Another keeper writes this state folder.
        Invalid: Settings, or a state environment, that cannot be used.
        PermissionDenied, Unavailable: The state folder cannot be written.
    """
    settings = _settings(port)
    state_dir = Path(settings.state_dir)
    lock = await _hold(state_dir)
    try:
        # In a thread: a migration may take longer than a heartbeat.
        store = await asyncio.to_thread(
            LmdbStore,
            state_dir,
            history_limit=settings.history_limit,
            is_strict=settings.is_strict,
        )
        try:
            await _serve(port, store, settings)
        finally:
            await asyncio.to_thread(store.close)
    finally:
        lock.release()


async def _serve(port: SystemPort, store: LmdbStore, settings: KeeperSettings) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    try:
        _bind(socket, Path(settings.run_dir))
        gate = Gate(settings.operator, is_strict=settings.is_strict, publish=port.publish)
        loop = KeeperLoop(socket, store, port.publish, gate)
        serving = asyncio.create_task(loop.serve())
        told = asyncio.create_task(_listen(port, loop))
        cancelled = asyncio.ensure_future(port.cancelled())
        port.ready()
        await asyncio.wait({serving, told, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        loop.stop()
        told.cancel()
        cancelled.cancel()
        await serving
        if told.done() and not told.cancelled():
            told.result()
    finally:
        socket.close(linger=1000)
        await asyncio.to_thread(context.term)


def _bind(socket: zmq.Socket[bytes], run_dir: Path) -> None:
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_KEEPER_FRAME_BYTES)
    # A ROUTER drops what is above it: every request that may wait must find room for its answer.
    socket.setsockopt(zmq.SNDHWM, 2 * MAX_WAITING)
    path = run_dir / KEEPER_SOCKET
    try:
        socket.bind(f"ipc://{path}")
    except zmq.ZMQError as error:
        raise Invalid(f"the keeper cannot bind {path}: {error}") from error


async def _listen(port: SystemPort, loop: KeeperLoop) -> None:
    while True:
        told = await port.told()
        if told.topic == PROCESS_ENDED:
            await loop.clear_stale_readers()
        else:
            loop.told(told.topic, told.payload)


async def _hold(state_dir: Path) -> StateLock:
    """Take the lock of the keeper, or wait a little for its holder to end."""
    clock = asyncio.get_running_loop()
    deadline_s = clock.time() + LOCK_WAIT_S
    while True:
        try:
            return StateLock.acquire(state_dir, name=KEEPER_LOCK)
        except AlreadyExists as error:
            if clock.time() >= deadline_s:
                raise AlreadyExists(f"pid {os.getpid()} cannot be the keeper: {error}") from error
        await asyncio.sleep(LOCK_POLL_S)


def _settings(port: SystemPort) -> KeeperSettings:
    try:
        return msgspec.convert(port.settings, KeeperSettings)
    except msgspec.ValidationError as error:
        raise Invalid(f"settings of the keeper: {error}") from error
