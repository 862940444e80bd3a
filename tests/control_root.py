"""A fake root: a ROUTER in a thread with real frames, answering by a function."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import zmq

from supervisor.core.closing import Closing
from supervisor.core.facts import Fact, FactKind
from supervisor.core.requests import (
    Answer,
    Done,
    GetView,
    Reply,
    Request,
    Subscribe,
    Update,
    Verb,
    ViewAnswer,
    from_client,
)
from supervisor.core.view import NodeView, Row, RowKind, State
from supervisor.io.node_file import NodeFile, write_node_file
from wippy.core.codec import encode
from wippy.core.reasons import Signal
from wippy.errors import Failure, NotFound, WippyError

VIEW = NodeView(
    node="shop",
    source="/etc/shop",
    root_pid=4242,
    registry_version=7,
    at_s=1_700_000_000.25,
    uptime_s=192.0,
    rows=(
        Row(id="wippy:root", parent="", depth=0, kind=RowKind.SUPERVISOR, state=State.UP,
            strategy="one_for_one", window_max=20, window_s=10.0),
        Row(id="app:ingest", parent="wippy:root", depth=1, kind=RowKind.SUPERVISOR,
            state=State.UP, strategy="rest_for_one", window_used=1, window_max=3, window_s=5.0),
        Row(id="app:db", parent="app:ingest", depth=2, kind=RowKind.ACTOR, state=State.UP,
            os_pid=4711, generation=1, uptime_s=12.0, memory_bytes=8_000_000, cpu_percent=0.4),
        Row(id="app:worker", parent="app:ingest", depth=2, kind=RowKind.ACTOR,
            state=State.BACKOFF, detail="next try in 3s", restarts=2, last_exit=Signal(9)),
        Row(id="app:redis", parent="wippy:root", depth=1, kind=RowKind.PROGRAM, state=State.HELD),
    ),
    facts=(
        Fact(seq=1, at_s=1_700_000_000.0, kind=FactKind.STARTING, id="app:db", text="starting"),
        Fact(seq=2, at_s=1_700_000_001.0, kind=FactKind.EXITED, id="app:worker", os_pid=99,
             generation=1, reason=Signal(9), lived_s=3.2),
    ),
)  # fmt: skip
"""A node where one child is not up."""

ALL_UP = NodeView(node="shop", rows=VIEW.rows[:3], facts=VIEW.facts)


def answer_view(verb: Verb) -> Answer:
    """Answer as a root whose view is `VIEW`, and to which every command is possible."""
    if isinstance(verb, GetView):
        return ViewAnswer(VIEW)
    child_id = getattr(verb, "id", "")
    if child_id and child_id not in {row.id for row in VIEW.rows}:
        raise NotFound(f"no child '{child_id}'")
    return Done(text=f"{type(verb).__name__.lower()} {child_id}".strip())


class ControlRoot(Closing):
    """Answers at `run_dir` with what `answer` returns (None: not at all) or raises.

    Attributes:
        requests: What was asked, in order.
        facts: What a subscriber gets, those after its `since_seq`.
    """

    def __init__(
        self, run_dir: Path, answer: Callable[[Verb], Answer | None] = answer_view
    ) -> None:
        self.requests: list[Request] = []
        self.facts: tuple[Fact, ...] = ()
        self.is_asked = threading.Event()
        self._run_dir = run_dir
        self._answer = answer
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.bind(f"ipc://{run_dir / 'root'}")
        self._stop_w = self._context.socket(zmq.PAIR)
        self._stop_w.bind("inproc://stop")
        self._stop_r = self._context.socket(zmq.PAIR)
        self._stop_r.connect("inproc://stop")
        self._garbage: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def send_garbage_first(self, *frames: bytes) -> None:
        """Send these before the next answer."""
        self._garbage.extend(frames)

    def close(self) -> None:
        """Go away; the socket file goes too."""
        self._stop_w.send(b"")
        self._thread.join()
        self._context.destroy(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._stop_r, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._stop_r in ready:
                return
            client, frame = self._router.recv_multipart()
            request = from_client.decode(frame)
            self.requests.append(request)
            self.is_asked.set()
            self._reply(client, request)

    def _reply(self, client: bytes, request: Request) -> None:
        for garbage in self._garbage:
            self._router.send_multipart([client, garbage])
        self._garbage.clear()
        try:
            answer = self._answer(request.verb)
        except WippyError as error:
            answer = Failure.of(error)
        if isinstance(request.verb, Subscribe):
            new = tuple(fact for fact in self.facts if fact.seq > request.verb.since_seq)
            self._router.send_multipart([client, encode(Update(facts=new))])
        if answer is not None:
            self._router.send_multipart([client, encode(Reply(request.id, answer))])


def say_who_lives(run_dir: Path, *, root_pid: int, guardian_pid: int = 0) -> None:
    """Write a node file that names these processes."""
    node = NodeFile(node="shop", run_dir=str(run_dir), guardian_pid=guardian_pid, root_pid=root_pid)
    write_node_file(run_dir, node)


__all__ = ["ALL_UP", "VIEW", "ControlRoot", "answer_view", "say_who_lives"]
