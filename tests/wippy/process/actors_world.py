"""Actors in real processes, without a supervisor: a fake root that answers what the plane asks.

The test speaks to actors through their logs and the control socket; actors speak to each other.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any

import lmdb
import zmq
from fake_root import DEADLINE_S, Child, FakeRoot, turns
from multiprocess.forkserver import ForkServer

from wippy.core import messages
from wippy.core.codec import encode
from wippy.core.directory import (
    MESSAGE_FOLDER,
    RUN_FOLDER,
    TABLE,
    Address,
    HostAddress,
    encode_row,
    host_key,
    name_key,
    promised_key,
    service_key,
)
from wippy.core.messages import ActorJob, Code, CodeRef, Gone, NameFreed, NameTaken, WorkerJob
from wippy.core.reasons import ExitReason, Lost, Signal

SETUP = "from wippy import process\nimport asyncio\n"


class ActorsWorld(FakeRoot):
    """A fake root with a run folder, a directory, and a thread that answers processes."""

    def __init__(self, server: ForkServer, folder: Path) -> None:
        self.lock = threading.RLock()
        self.frames: list[tuple[str, Any]] = []
        self.codes: dict[str, CodeRef] = {}
        self.functions: dict[str, messages.Function] = {}
        self._living: dict[tuple[str, int], Child] = {}
        self._names: dict[str, str] = {}
        self._watches: list[tuple[bytes, str, int]] = []
        self._over: dict[tuple[str, int], ExitReason] = {}
        self.news = threading.Condition(self.lock)
        super().__init__(server, folder)
        self.run_dir = tempfile.mkdtemp(prefix="w-")
        self.message_dir = os.path.join(self.run_dir, MESSAGE_FOLDER)
        os.mkdir(self.message_dir)
        self._env = lmdb.open(os.path.join(self.run_dir, RUN_FOLDER), max_dbs=64, sync=False)
        self._table = self._env.open_db(TABLE.encode())
        self._control = zmq.Context.instance().socket(zmq.PAIR)
        self._inside = zmq.Context.instance().socket(zmq.PAIR)
        address = f"inproc://{self.run_dir}"
        self._inside.bind(address)
        self._control.connect(address)
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    # --- making processes -------------------------------------------------------------------------

    def start_actor(self, slot: str, text: str, *args: Any, generation: int = 1) -> Child:
        """Start a dedicated actor and wait until it is READY; it is in the directory then."""
        job = ActorJob(
            node="test",
            slot=slot,
            generation=generation,
            title=f"wippy: {slot}",
            process="app:code",
            code=CodeRef(method="main", text=SETUP + text, origin="app.yaml:1"),
            args=args,
            log_path=str(self.log_of(slot)),
            heartbeat_s=0.0,
        )
        child = self._start(job)
        self.put(service_key(slot), Address(f"test/{slot}.{generation}/0", generation))
        return child

    def start_worker(self, host: str, number: int = 1, generation: int = 1) -> Child:
        """Start a worker of a pool and wait until it is READY."""
        slot = f"{host}#{number}"
        job = WorkerJob(
            node="test",
            slot=slot,
            generation=generation,
            title=f"wippy: {slot}",
            host=host,
            number=number,
            log_path=str(self.log_of(slot)),
            heartbeat_s=0.0,
        )
        return self._start(job)

    def put_host(self, host: str, *workers: tuple[str, int, int]) -> None:
        """Say in the directory where a pool's workers are."""
        self.put(host_key(host), HostAddress(tuple(workers)))

    def promise_host(self, host: str, *workers: tuple[str, int, int]) -> None:
        """Say in the directory which workers a pool without any is about to have."""
        self.put(promised_key(host), HostAddress(tuple(workers)))

    def define(self, process: str, text: str) -> None:
        """Say what the code of an entry is."""
        self.codes[process] = CodeRef(method="main", text=SETUP + text, origin=process)

    def define_function(self, function: str, text: str, host: str, **options: Any) -> None:
        """Say what the code of a function is, and which pool runs it."""
        self.codes[function] = CodeRef(method="main", text=SETUP + text, origin=function)
        self.functions[function] = messages.Function(function, host, **options)

    def _start(self, job: Any) -> Child:
        with self.lock:
            child = self.fork(job, message_dir=self.message_dir)
            self._living[job.slot, job.generation] = child
            child.slot, child.generation = job.slot, job.generation  # type: ignore[attr-defined]
        self.wait(lambda: (job.slot, messages.Ready(job.generation)) in self.frames)
        return child

    # --- looking ----------------------------------------------------------------------------------

    def log_of(self, slot: str) -> Path:
        """Where a process writes."""
        return self.folder / f"{slot.replace(':', '.').replace('#', '-')}.log"

    def lines(self, slot: str) -> list[str]:
        """What it has written."""
        path = self.log_of(slot)
        return path.read_text().splitlines() if path.exists() else []

    def wait_line(self, slot: str, line: str) -> list[str]:
        """Wait until it has written `line`; return all it has written."""
        for _ in turns():
            if line in self.lines(slot):
                return self.lines(slot)
        raise AssertionError(f"{line!r} is not in {self.lines(slot)}")

    def wait(self, is_so: Any) -> None:
        """Wait until `is_so()`, which is asked after each frame."""
        with self.news:
            assert self.news.wait_for(is_so, DEADLINE_S), self.frames

    def kill_child(self, child: Child, reason: ExitReason | None = None) -> None:
        """SIGKILL it, and tell all who watch when it is dead."""
        os.kill(child.pid, signal.SIGKILL)
        child.status()
        self.say_gone(child.slot, child.generation, reason or Signal(9))  # type: ignore[attr-defined]

    def say_gone(self, slot: str, generation: int, reason: ExitReason) -> None:
        """What a root does at the end of a process."""
        with self.lock:
            self.put(service_key(slot), None)
            self._living.pop((slot, generation), None)
            self._over[slot, generation] = reason
            for peer, watched, number in list(self._watches):
                if (watched, number) == (slot, generation):
                    self._watches.remove((peer, watched, number))
                    self._send(peer, Gone(slot, generation, reason))

    def put(self, key: bytes, row: Any) -> None:
        """Write a row of the directory; None removes it."""
        with self._env.begin(write=True, db=self._table) as txn:
            if row is None:
                txn.delete(key)
            else:
                txn.put(key, encode_row(row))

    # --- the root's side --------------------------------------------------------------------------

    def _send(self, peer: bytes, message: Any) -> None:
        with self.lock:
            self._control.send_multipart([peer, encode(message)])

    def tell(self, routing_id: bytes, message: Any) -> None:
        """Send a frame."""
        self._send(routing_id, message)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._inside, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._inside in ready:
                parts = self._inside.recv_multipart()
                if parts == [b"stop"]:
                    return
                self._router.send_multipart(parts)
            if self._router in ready:
                peer, data = self._router.recv_multipart()
                self._take(peer, messages.from_process.decode(data))

    def _slot_of(self, peer: bytes) -> str:
        for (slot, _), child in self._living.items():
            if child.routing_id == peer:
                return slot
        return ""

    def _take(self, peer: bytes, message: Any) -> None:
        with self.lock:
            self.frames.append((self._slot_of(peer), message))
            self._answer(peer, message)
            self.news.notify_all()

    def _answer(self, peer: bytes, message: Any) -> None:
        match message:
            case messages.WatchProcess(slot, generation):
                if (slot, generation) in self._living:
                    self._watches.append((peer, slot, generation))
                else:
                    self._send(peer, Gone(slot, generation, Lost(), noproc=True))
            case messages.WantCode(process):
                self._send(peer, Code(process, self.codes.get(process)))
            case messages.WantFunction(function):
                self._send(peer, self.functions[function])
            case messages.RegisterName(name, pid):
                holder = self._names.setdefault(name, pid)
                if holder == pid:
                    self.put(name_key(name), Address(pid, 1))
                else:
                    self._send(peer, NameTaken(name, holder))
            case messages.UnregisterName(name, pid):
                if self._names.get(name) == pid:
                    del self._names[name]
                    self.put(name_key(name), None)
                self._send(peer, NameFreed(name, pid))

    def close(self) -> None:
        """Leave nothing running."""
        self._control.send_multipart([b"stop"])
        self._thread.join()
        self._control.close(0)
        self._inside.close(0)
        self._env.close()
        super().close()
        shutil.rmtree(self.run_dir)
