"""A client on the message plane: talks to actors as their own peers do, without the root.

It binds a PULL of its own, for what comes back, under a slot that says which OS process it is
(`supervisor.core.client_slot`), so that the root can tell the others of its end.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import zmq

from supervisor.core.client_slot import CLIENT_GENERATION, client_slot
from supervisor.core.closing import Closing
from supervisor.io.lmdb_reader import LmdbReader
from supervisor.io.os_process import read_stat
from supervisor.io.process_table import RUN_FORMAT
from wippy.core import directory, framing
from wippy.core.ids import Pid, socket_name
from wippy.core.outgoing import check_size, check_topic, cost_of
from wippy.core.reasons import NoProcess, sentence
from wippy.core.wire import (
    CHILD,
    MAX_FRAME_BYTES,
    WORKER,
    Answer,
    Call,
    Ended,
    Frame,
    Item,
    Monitor,
)
from wippy.errors import Exited, Internal, Invalid, NotFound, Timeout, Unavailable

LINGER_MS = 500
LOOK_S = 0.1
"""How often a waiting client looks whether the target's process is still there."""
LAST_WORDS_S = 0.2
"""Given to what a process said before it ended, and what ZeroMQ has yet to read."""
ME = 0
"""The client's own actor number."""


class MessageClient(Closing):
    """Talks to the actors of one node. One at a time in a process; close it, or use `with`.

    Args:
        run_dir: The node's run folder.
        node: Its name.

    Raises:
        Unavailable: Its socket cannot be bound (no node, or a path too long).
    """

    def __init__(self, run_dir: Path, node: str) -> None:
        self.node = node
        self._folder = run_dir / directory.MESSAGE_FOLDER
        self._rows = LmdbReader(run_dir / directory.RUN_FOLDER, RUN_FORMAT)
        self._slot = _own_slot()
        self._references = itertools.count(time.monotonic_ns() // 1000)
        self._context = zmq.Context()
        self._pull = self._context.socket(zmq.PULL)
        self._pull.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        own = self._folder / socket_name(self._slot, CLIENT_GENERATION)
        try:
            self._pull.bind(f"ipc://{own}")
            own.chmod(0o666)  # as those of processes: the folder says who gets to it
        except zmq.ZMQError as error:
            self.close()
            raise Unavailable(f"cannot bind {own}: {error.strerror}") from error

    def find(self, target: str) -> Pid | None:
        """Return who `target` (a pid, an entry id, a name) is now; None if it cannot be reached.

        Raises:
            Invalid: It is none of these.
            NotFound: It is a pid of another node.
        """
        if "/" in target:
            pid = Pid.parse(target)
            if pid.node != self.node:
                raise NotFound(f"{target} is of node {pid.node!r}; this is {self.node!r}")
        else:
            key = directory.service_key(target) if ":" in target else directory.name_key(target)
            row = self._rows.read(lambda tx: tx.get(directory.TABLE, key), missing=None)
            if row is None:
                return None
            pid = Pid.parse(directory.decode_address(row).pid)
        return pid if self._is_there(pid) else None

    def send(self, pid: Pid, topic: str, data: bytes, timeout_s: float) -> None:
        """Send an encoded payload; return when it lies in the actor's mailbox.

        Raises:
            Invalid: The topic is none, or the payload too large.
            NotFound: There is no such actor.
            Timeout: Its process has not taken it within `timeout_s`; it still may.
            Exited: Its process ended meanwhile.
        """
        check_topic(topic)
        check_size(data)
        reference = next(self._references)
        run = framing.whole_run(framing.run_head(pid.actor, ME, topic), [data], cost_of(data))
        # There is no actor of that number: the answer comes at once, after what was before it.
        receipt = framing.item(Monitor(WORKER, ME, reference))
        for item in self._talk(pid, [run, receipt], timeout_s):
            if isinstance(item, Ended) and item.watcher == WORKER and item.actor == pid.actor:
                raise _absent(pid)
            if isinstance(item, Ended) and item.reference == reference:
                return
        raise Timeout(
            f"{pid} has not taken the message within {timeout_s:g} s; it may be busy or stopped, "
            "and still take it: see wippy-supervisor top"
        )

    def call(self, pid: Pid, topic: str, data: bytes, timeout_s: float) -> Answer:
        """Send an encoded payload and return the answer to it, which may be an error.

        Raises:
            Invalid: The topic is none, or the payload too large.
            NotFound: There is no such actor.
            Timeout: No answer within `timeout_s`; it may still have done it.
            Exited: It ended before it answered.
        """
        check_topic(topic)
        check_size(data)
        reference = next(self._references)
        call = Call(pid.actor, ME, topic, framing.raw(data), reference, cost_of(data))
        for item in self._talk(pid, [framing.item(call)], timeout_s):
            if isinstance(item, Answer) and item.reference == reference:
                return item
            if isinstance(item, Ended) and item.reference == reference:
                if isinstance(item.reason, NoProcess):
                    raise _absent(pid)
                why = sentence(item.reason)
                raise Exited(f"{pid} ended before it answered: {why}", item.reason)
        raise Timeout(f"{pid} has not answered within {timeout_s:g} s; it may still do it")

    @property
    def pid(self) -> str:
        """The client's own pid: who talks to it is told so, and who is linked to it ends with
        it."""
        return str(Pid(self.node, self._slot, CLIENT_GENERATION, ME))

    def ended_child(self, pid: Pid, wait_s: float) -> Ended | None:
        """Return how an actor that was started for this client has ended, with its value; None if
        its process does not say within `wait_s`."""
        deadline_s = time.monotonic() + wait_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            frame = self._receive(left_s)
            if frame is None or not _is_from(frame, pid):
                continue
            for item in frame.items:
                if isinstance(item, Ended) and item.watcher in (ME, CHILD):
                    return item
        return None

    def close(self) -> None:
        """Let go of the sockets; takes at most half a second."""
        self._context.destroy(linger=LINGER_MS)
        self._rows.close()

    def _talk(self, pid: Pid, items: list[bytes], timeout_s: float) -> Iterator[Item]:
        """Send a frame, and yield what its process says, until `timeout_s` have passed."""
        head = framing.frame_head(pid.generation, self.node, self._slot, CLIENT_GENERATION)
        push = self._context.socket(zmq.PUSH)
        push.setsockopt(zmq.LINGER, LINGER_MS)
        push.connect(f"ipc://{self._path(pid)}")
        push.send(framing.whole_frame(head, items))
        try:
            yield from self._heard(pid, time.monotonic() + timeout_s)
        finally:
            push.close()

    def _heard(self, pid: Pid, deadline_s: float) -> Iterator[Item]:
        while (left_s := deadline_s - time.monotonic()) > 0:
            is_there = self._is_there(pid)
            frame = self._receive(min(left_s, LOOK_S) if is_there else LAST_WORDS_S)
            if frame is not None and _is_from(frame, pid):
                yield from frame.items
            elif frame is None and not is_there:
                raise Exited(
                    f"the process of {pid} ended before it answered: see "
                    f"wippy-supervisor why {pid.slot}"
                )

    def _receive(self, wait_s: float) -> Frame | None:
        if not self._pull.poll(max(1, round(wait_s * 1000))):
            return None
        try:
            return framing.decode(self._pull.recv())
        except Invalid:
            return None

    def _is_there(self, pid: Pid) -> bool:
        """Say whether its process takes messages: the socket is removed when it has ended."""
        return self._path(pid).exists()

    def _path(self, pid: Pid) -> Path:
        return self._folder / socket_name(pid.slot, pid.generation)


def _own_slot() -> str:
    stat = read_stat(os.getpid())
    if stat is None:
        raise Internal("this process is not in /proc; is it mounted?")
    return client_slot(os.getpid(), stat.start_ticks)


def _is_from(frame: Frame, pid: Pid) -> bool:
    sender = (frame.node, frame.slot, frame.generation)
    return sender == (pid.node, pid.slot, pid.generation) and (
        frame.to_generation == CLIENT_GENERATION
    )


def _absent(pid: Pid) -> NotFound:
    return NotFound(f"{pid} is not there: it has ended, or never was")
