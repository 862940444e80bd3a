"""Runs an actor in the node for this client: it has our stdin, stdout and stderr, and our end.

The root starts it and says how it ended; its process connects to a socket of ours, where it is
handed the descriptors, and sends what it returned to our own PULL.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from supervisor.core.requests import EndRun, Ran, Reply, Run, Update
from supervisor.io.control_client import TICK_S, ControlClient, require_node
from supervisor.io.message_client import LAST_WORDS_S, MessageClient
from wippy.core.directory import MESSAGE_FOLDER
from wippy.core.ids import SPAWNED_MARK, Pid, socket_name
from wippy.core.reasons import ExitReason, Normal
from wippy.errors import Failure, Internal, Invalid, Unavailable

GENERATION = 1
SLOT_BYTES = 5
"""Of randomness in a slot: 8 characters of base32."""


class RunClient:
    """One actor, run for this client. Close it, or use `with`.

    Args:
        run_dir: The node's run folder.
        node: Its name.
        fds: What it gets as stdin, stdout and stderr.

    Attributes:
        messages: To talk to it.
        pid: Its pid, from `start` on.
    """

    def __init__(self, run_dir: Path, node: str, fds: tuple[int, int, int]) -> None:
        self._run_dir = run_dir
        self._fds = fds
        self._control = ControlClient(run_dir)
        self.messages = MessageClient(run_dir, node)
        self.pid = Pid(node, "", GENERATION)
        self._request = 0
        self._root_pid = 0
        self._listener: socket.socket | None = None
        self._reply: Reply | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self, process: str, args: tuple[Any, ...], *, host: str = "") -> None:
        """Have the actor started; what goes wrong with that is its end."""
        unique = base64.b32encode(secrets.token_bytes(SLOT_BYTES)).decode().lower()
        self.pid = Pid(self.pid.node, f"{process}{SPAWNED_MARK}{unique}", GENERATION)
        path = self._run_dir / MESSAGE_FOLDER / f"{socket_name(self.pid.slot, GENERATION)}.t"
        self._listener = _listen(path)
        self._root_pid = self._control.root_pid()
        self._request = self._control.post(
            Run(
                process=process,
                slot=self.pid.slot,
                parent=self.messages.pid,
                args=args,
                host=host,
                terminal=str(path),
            )
        )

    def wait(self, timeout_s: float) -> bool:
        """Wait until the actor has ended, at most `timeout_s`; say whether it has.

        Raises:
            NotFound: The node is no longer there.
            Unavailable: The root died, and the actor with it.
        """
        self._look()
        if self._reply is None:
            readers = [self._control.fileno()]
            if self._listener is not None:
                readers.append(self._listener.fileno())
            ready, _, _ = select.select(readers, [], [], min(timeout_s, TICK_S))
            if self._listener is not None and self._listener.fileno() in ready:
                self._hand_over()
            self._look()
            if self._reply is None:
                require_node(self._run_dir)
                self._require_root()
        return self._reply is not None

    def wait_started(self) -> bool:
        """Wait until its process has our descriptors and can be talked to; False: it has ended."""
        while self._listener is not None:
            if self.wait(TICK_S):
                return False
        return True

    def end(self, deadline_s: float) -> None:
        """Ask it to end within `deadline_s`, or kill it if that is 0; what has ended stays so."""
        self._control.post(EndRun(self.pid.slot, deadline_s))

    def outcome(self) -> tuple[ExitReason, Any]:
        """Return why it has ended, and what it returned.

        Raises:
            WippyError: It was not started (NotFound: no such entry), or returned what is no data.
        """
        assert self._reply is not None, "it has not ended"
        answer = self._reply.answer
        if isinstance(answer, Failure):
            raise answer.to_error()
        if not isinstance(answer, Ran):
            raise Internal(f"the root answered {type(answer).__name__} to run")
        if not isinstance(answer.reason, Normal):
            return answer.reason, None
        ended = self.messages.ended_child(self.pid, LAST_WORDS_S)
        if ended is None:
            return answer.reason, None
        if ended.problem:
            raise Invalid(f"it returned what is no data: {ended.problem}")
        return ended.reason, ended.value

    def close(self) -> None:
        """Let go of the sockets; an actor that still runs ends with this client."""
        self._close_listener()
        self.messages.close()
        self._control.close()

    def _require_root(self) -> None:
        """Raise `Unavailable` if another root lives than the one that was asked: it knows nothing
        of this, and what the old one ran has ended with it."""
        now_pid = self._control.root_pid()
        if self._root_pid and now_pid and now_pid != self._root_pid:
            raise Unavailable(
                f"the root (pid {self._root_pid}) died, and with it {self.pid}, which may have "
                "done its work or not; there is a new root: run it again if that is safe"
            )
        self._root_pid = self._root_pid or now_pid

    def _look(self) -> None:
        for message in self._control.drain():
            if not isinstance(message, Update) and message.id == self._request:
                self._reply = message

    def _hand_over(self) -> None:
        assert self._listener is not None
        end, _ = self._listener.accept()
        with end:
            socket.send_fds(end, [b"t"], list(self._fds))
        self._close_listener()

    def _close_listener(self) -> None:
        if self._listener is not None:
            path = self._listener.getsockname()
            self._listener.close()
            self._listener = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


@contextlib.contextmanager
def standard_fds(*, has_input: bool = True) -> Iterator[tuple[int, int, int]]:
    """Give this process's own 0, 1 and 2; nothing to read in place of 0 without `has_input`."""
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield (0 if has_input else nothing, 1, 2)
    finally:
        os.close(nothing)


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        listener.listen(1)
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen at {path}: {error}") from error
    return listener
