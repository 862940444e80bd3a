"""A root for tests: a ROUTER, a real forkserver, and children that are real OS processes."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import zmq
from multiprocess.forkserver import ForkServer, read_signed

from wippy.core import messages
from wippy.core.codec import encode
from wippy.core.messages import ActorJob, Birth, CodeRef, Hello, Job
from wippy.core.newborn import Newborn
from wippy.core.reasons import ExitReason

DEADLINE_S = 60.0
"""It ends a hang; nothing is measured by it."""

M = TypeVar("M")


def start_forkserver(preload: str = "", path: str = "") -> ForkServer:
    """Return a running forkserver with the runtime, and the user modules `preload`, loaded."""
    changes = {"WIPPY_FORKSERVER": "1", "WIPPY_NODE": "test", "WIPPY_PRELOAD": preload}
    changes["PYTHONPATH"] = os.pathsep.join(
        part
        for part in (path, str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))
        if part
    )
    before = dict(os.environ)
    server = ForkServer()
    server.set_forkserver_preload(["wippy.runtime.preload"])
    os.environ.update(changes)
    # From Python 3.13 on, the server takes over the path of who starts it.
    sys.path[:0] = [path] if path else []
    try:
        server.ensure_running()
    finally:
        if path:
            sys.path.remove(path)
        os.environ.clear()
        os.environ.update(before)
    return server


class Child:
    """One forked process, as the root sees it."""

    def __init__(self, root: FakeRoot, routing_id: bytes, status_r: int) -> None:
        self._root = root
        self.routing_id = routing_id
        self._status_r = status_r
        self.pid = read_signed(status_r)

    def expect(self, kind: type[M]) -> M:
        """Return the next message, which must be a `kind`; beats in between are skipped."""
        return self._root.expect(self.routing_id, kind)

    def tell(self, message: Any) -> None:
        """Send it a frame."""
        self._root.tell(self.routing_id, message)

    def ended(self) -> ExitReason:
        """Return the reason in its last words."""
        return self.expect(messages.Ended).reason

    def status(self) -> int:
        """Wait for its end; return its exit status, or minus the signal that ended it."""
        if not select.select([self._status_r], [], [], DEADLINE_S)[0]:
            raise AssertionError(f"process {self.pid} does not end")
        status: int = read_signed(self._status_r)
        return status

    def kill(self) -> None:
        """End it and its process group, whatever it does."""
        for end in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                end(self.pid, signal.SIGKILL)
        os.close(self._status_r)


class FakeRoot:
    """The root's end of the control socket, and the births of its children."""

    def __init__(self, server: ForkServer, folder: Path) -> None:
        self.folder = folder
        self._server = server
        self._run = tempfile.mkdtemp(prefix="w-")
        self.endpoint = f"ipc://{self._run}/root"
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.setsockopt(zmq.SNDHWM, 10_000)
        self._router.setsockopt(zmq.RCVHWM, 10_000)
        self._router.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self._router.bind(self.endpoint)
        self._received: defaultdict[bytes, deque[Any]] = defaultdict(deque)
        self._children: list[Child] = []

    def bear(self, job: Job | None = None, **birth: Any) -> Child:
        """Fork a child and return it after its Hello."""
        child = self.fork(job, **birth)
        hello = child.expect(Hello)
        assert (hello.pid, hello.token) == (child.pid, b"t" * 16)
        return child

    def fork(self, job: Job | None = None, **birth: Any) -> Child:
        """Fork a child."""
        routing_id = f"child-{len(self._children)}".encode()
        values: dict[str, Any] = {"root_pid": os.getpid(), "node": "test", **birth}
        born = Birth(
            endpoint=self.endpoint, token=b"t" * 16, routing_id=routing_id, job=job, **values
        )
        status_r, data_w = self._server.connect_to_new_process([])
        with open(data_w, "wb") as pipe:
            pipe.write(pickle.dumps({}) + pickle.dumps(Newborn(encode(born))))
        child = Child(self, routing_id, status_r)
        self._children.append(child)
        return child

    def actor(self, text: str, *args: Any, method: str = "main", **job: Any) -> Child:
        """Fork an actor whose code is `text`."""
        return self.bear(self.actor_job(text, *args, method=method, **job))

    def actor_job(self, text: str, *args: Any, method: str = "main", **job: Any) -> ActorJob:
        """Return the job of an actor whose code is `text`."""
        values: dict[str, Any] = {
            "node": "test",
            "slot": "app:actor",
            "generation": 3,
            "title": "wippy: app:actor g3 [test]",
            "process": "app:code",
            "code": CodeRef(method=method, text=text, origin="app.yaml:7"),
            "log_path": str(self.log_path),
            "heartbeat_s": 0.0,
            **job,
        }
        return ActorJob(args=args, **values)

    @property
    def log_path(self) -> Path:
        """Where the children of `actor` write."""
        return self.folder / "actor.log"

    def log(self) -> str:
        """What they wrote."""
        return self.log_path.read_text()

    def wait_logged(self, text: str) -> str:
        """Wait until the log has `text`; return the log."""
        for _ in turns():
            if self.log_path.exists() and text in self.log():
                return self.log()
        raise AssertionError(f"{text!r} is not in the log:\n{self.log()}")

    def tell(self, routing_id: bytes, message: Any) -> None:
        """Send a frame; bytes go as they are."""
        frame = message if isinstance(message, bytes) else encode(message)
        self._router.send_multipart([routing_id, frame])

    def expect(self, routing_id: bytes, kind: type[M]) -> M:
        """Return the child's next message, which must be a `kind`; other beats are skipped."""
        while True:
            message = self._next(routing_id)
            if isinstance(message, kind):
                return message
            if not isinstance(message, messages.Beat):
                raise AssertionError(f"expected {kind.__name__}, got {message}")

    def _next(self, routing_id: bytes) -> Any:
        while not self._received[routing_id]:
            if not self._router.poll(DEADLINE_S * 1000):
                raise AssertionError(f"nothing came from {routing_id!r}")
            sender, frame = self._router.recv_multipart()
            self._received[sender].append(messages.from_process.decode(frame))
        return self._received[routing_id].popleft()

    def close(self) -> None:
        """Leave nothing running."""
        for child in self._children:
            child.kill()
        self._router.close()
        self._context.term()
        shutil.rmtree(self._run)


def turns() -> Iterator[None]:
    """Yield until the deadline, with a pause in between: for what sends no event."""
    end_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < end_s:
        yield
        select.select([], [], [], 0.01)


@contextlib.contextmanager
def mortal_root() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for the root's pid, made to be killed."""
    stand_in = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield stand_in
    finally:
        stand_in.kill()
        stand_in.communicate()
