"""The connections of one process to others: as many as it has descriptors for, and no more.

A connection is made at the first frame. From `MAX_CONNECTIONS` on, the one that has been idle for
longest is given up for each new one; where no more may be made, what was said waits at its `Peer`
until one is closed. A connection that is given up must not lose what it carried, nor be overtaken
by its successor, and its receiver may be stopped with all of it unread: so it is asked first
(`wire.Probe`), and closed when the answer comes and nothing was sent since.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable

from wippy.core import wire
from wippy.errors import Unavailable
from wippy.runtime.peer import Peer, Transport

MAX_CONNECTIONS = 512
"""From here on idle ones are given up."""
MOST_CONNECTIONS = 900
"""Never more: a ZeroMQ context has 1,023 sockets."""
FILES_EACH, MOST_FILES_EACH = 8, 6
"""Neither more than an eighth, and a sixth, of the descriptors that the process may have: each
costs two, its answer comes over one more, and ZeroMQ aborts a process that has none left when
somebody connects (`ipc_listener.cpp`, measured)."""
IDLE_S = 0.2
"""Only a connection idle for that long is asked about: one in use would be made again at once."""
RETRY_S = 0.1
"""How often those that wait for a socket try again, besides whenever one is closed."""
PROBES = 64
"""Connections that are asked about at the same time."""
PATIENCE_S = 1.0
"""Who has not answered by then (it may be stopped) does not keep others from being asked."""


class Connections:
    """Used by the thread of the loop only.

    Args:
        loop: Of this process.
        make: Makes the transport to a process; `Unavailable` if there is no socket for it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[Peer], Transport]) -> None:
        self._loop = loop
        self._make = make
        self._open: set[Peer] = set()
        self._waiting: dict[Peer, None] = {}
        self._probed: dict[Peer, tuple[int, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def connect(self, peer: Peer) -> Transport | None:
        """Return a transport to `peer`, or None: it is flushed again when there is one."""
        if peer in self._waiting:
            return None  # it has its turn
        if len(self._open) >= _allowed(MAX_CONNECTIONS, FILES_EACH):
            self._probe_idle()
        transport = self._made(peer)
        if transport is None:
            self._wait(peer)
        return transport

    def answered(self, peer: Peer) -> None:
        """All that was sent to `peer` before it was asked has arrived."""
        asked = self._probed.pop(peer, None)
        if asked is None or not peer.is_connected:
            return
        is_many = len(self._open) >= _allowed(MAX_CONNECTIONS, FILES_EACH)
        if asked[0] == peer.frames and (is_many or self._waiting):
            peer.disconnect(linger_ms=0)
            self._closed(peer)

    def gone(self, peer: Peer) -> None:
        """A process has ended; its connection is closed already."""
        self._waiting.pop(peer, None)
        self._probed.pop(peer, None)
        if peer in self._open:
            self._closed(peer)

    def close(self) -> None:
        """Try no more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _made(self, peer: Peer) -> Transport | None:
        if len(self._open) >= _allowed(MOST_CONNECTIONS, MOST_FILES_EACH):
            return None
        try:
            transport = self._make(peer)
        except Unavailable:
            return None
        self._open.add(peer)
        return transport

    def _wait(self, peer: Peer) -> None:
        self._waiting[peer] = None
        self._probe_idle()
        if self._timer is None:
            self._timer = self._loop.call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self._serve()
        if self._waiting:
            self._probe_idle()
            self._timer = self._loop.call_later(RETRY_S, self._retry)

    def _closed(self, peer: Peer) -> None:
        self._open.discard(peer)
        if self._waiting:
            self._loop.call_soon(self._serve)

    def _serve(self) -> None:
        """Give sockets to those that wait, longest first, while there are any."""
        while self._waiting:
            peer = next(iter(self._waiting))
            transport = self._made(peer)
            if transport is None:
                return
            del self._waiting[peer]
            peer.connected(transport)

    def _probe_idle(self) -> None:
        """Ask the longest idle ones, as many as are needed."""
        now_s = self._loop.time()
        pending = sum(at_s > now_s - PATIENCE_S for _, at_s in self._probed.values())
        wanted = min(PROBES, len(self._waiting) + 1) - pending
        if wanted <= 0:
            return
        before_s = now_s - IDLE_S
        idle = [it for it in self._open if it.used_at_s < before_s and it not in self._probed]
        for peer in sorted(idle, key=lambda it: it.used_at_s)[:wanted]:
            peer.say(wire.Probe())
            peer.flush()
            self._probed[peer] = peer.frames, now_s


def _allowed(most: int, files_each: int) -> int:
    """Return how many connections this process may have now; its actors may change the limit."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most if files == resource.RLIM_INFINITY else max(1, min(most, files // files_each))
