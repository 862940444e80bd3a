"""A root that is none: a ROUTER in a thread that answers with the real frames and plays a node.

`python tests/tui/tui_root.py RUN_DIR [ROWS]` starts one to look at by hand.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import zmq
from tui_nodes import big, shop, with_row

from supervisor.core.facts import Fact, FactKind
from supervisor.core.requests import (
    Answer,
    Done,
    GetView,
    Kill,
    Reply,
    Request,
    StopNode,
    Subscribe,
    Update,
    ViewAnswer,
    Why,
    WhyAnswer,
    WhyView,
    from_client,
)
from supervisor.core.view import NodeView, State
from wippy.core.codec import encode
from wippy.core.reasons import Signal
from wippy.errors import Failure, NotFound

TICK_MS = 20


class FakeRoot(threading.Thread):
    """Answers until `close`; `heard` holds every verb that came, `asked` is set at each."""

    def __init__(self, run_dir: Path, view: NodeView) -> None:
        super().__init__(daemon=True)
        self.run_dir = run_dir
        self.view = view
        self.heard: list[object] = []
        self.is_silent = threading.Event()
        self._changed = threading.Condition()
        self._is_over = threading.Event()
        self._subscribers: dict[bytes, NodeView | None] = {}
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.bind(f"ipc://{run_dir / 'root'}")

    def run(self) -> None:
        """Serve."""
        while not self._is_over.is_set():
            if self._socket.poll(TICK_MS):
                peer, *_, frame = self._socket.recv_multipart()
                if not self.is_silent.is_set():
                    self._serve(peer, from_client.decode(frame))
            if not self.is_silent.is_set():
                self._push()
        self._socket.close(linger=100)
        self._context.term()
        (self.run_dir / "root").unlink(missing_ok=True)

    def show(self, view: NodeView) -> None:
        """Let subscribers see `view`."""
        self.view = view

    def wait_for(self, kind: type, deadline_s: float = 60.0) -> object:
        """Return the first verb of that kind, when it has come."""
        assert self.wait_until(
            lambda: any(isinstance(verb, kind) for verb in self.heard), deadline_s
        ), f"no {kind.__name__} within {deadline_s} s"
        return next(verb for verb in self.heard if isinstance(verb, kind))

    def wait_until(self, is_so: Callable[[], bool], deadline_s: float = 60.0) -> bool:
        """Wait until `is_so`, looked at whenever a verb has come; say whether it became so."""
        with self._changed:
            return self._changed.wait_for(is_so, deadline_s)

    def close(self) -> None:
        """End the thread and take the socket away."""
        self._is_over.set()
        self.join(60)

    def _serve(self, peer: bytes, request: Request) -> None:
        answer = self._answer(peer, request)
        self._socket.send_multipart([peer, encode(Reply(id=request.id, answer=answer))])
        with self._changed:
            self.heard.append(request.verb)
            self._changed.notify_all()

    def _answer(self, peer: bytes, request: Request) -> Answer:
        match request.verb:
            case GetView():
                return ViewAnswer(self.view)
            case Subscribe():
                self._subscribers.setdefault(peer, None)
                return Done()
            case Why(id=id):
                return WhyAnswer(self._why(id))
            case Kill(target=target, signal=number):
                return self._kill(target, number)
            case StopNode():
                self.show(msgspec.structs.replace(self.view, state="stopping"))
                return Done("stopping")
        return Done("done")

    def _kill(self, target: str, number: int) -> Answer:
        row = next((each for each in self.view.rows if each.id == target), None)
        if row is None:
            return Failure.of(NotFound(f"no child {target}"))
        seq = max(fact.seq for fact in self.view.facts) + 1
        now_s = time.time()
        new = (
            Fact(seq=seq, at_s=now_s, kind=FactKind.EXITED, id=target, os_pid=row.os_pid,
                 reason=Signal(number), lived_s=row.uptime_s, generation=row.generation),
            Fact(seq=seq + 1, at_s=now_s, kind=FactKind.READY, id=target, os_pid=row.os_pid + 1,
                 generation=row.generation + 1, down_s=0.009),
        )  # fmt: skip
        view = with_row(
            self.view, target, os_pid=row.os_pid + 1, generation=row.generation + 1,
            restarts=row.restarts + 1, restarts_last_minute=row.restarts_last_minute + 1,
            last_exit=Signal(number), state=State.UP, uptime_s=0.0,
        )  # fmt: skip
        self.show(msgspec.structs.replace(view, facts=(*view.facts, *new)))
        return Done(f"signal {number} sent to pid {row.os_pid}")

    def _why(self, id: str) -> WhyView:
        parents = {row.id: row for row in self.view.rows}
        chain = []
        current = parents.get(id)
        while current is not None:
            chain.insert(0, current)
            current = parents.get(current.parent)
        return WhyView(
            view=msgspec.structs.replace(self.view, rows=tuple(chain)),
            facts=tuple(fact for fact in self.view.facts if fact.id == id),
            next="Nothing is due; it is restarted at once if it dies.",
            output=("starting", "listening on 127.0.0.1:5432"),
            if_dies=f"{id} is started again; the children after it are stopped and started too.",
        )

    def _push(self) -> None:
        for peer, seen in self._subscribers.items():
            if seen is not self.view:
                self._socket.send_multipart([peer, encode(Update(view=self.view))])
                self._subscribers[peer] = self.view


def main() -> None:
    """Play a node until StopNode."""
    run_dir = Path(sys.argv[1])
    run_dir.mkdir(parents=True, exist_ok=True)
    view = big(int(sys.argv[2])) if len(sys.argv) > 2 else shop()
    root = FakeRoot(run_dir, msgspec.structs.replace(view, at_s=time.time()))
    root.start()
    root.wait_for(StopNode, deadline_s=86400.0)

    root.close()


if __name__ == "__main__":
    main()
