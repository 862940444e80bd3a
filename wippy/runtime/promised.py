"""Spawns into a pool that has no worker yet: held until it has one.

The caller gets a pid at once, and so the actor's worker is chosen before it is there: the directory
says which ones are to come. Their processes are *promised*: what is said to them, the spawn and all
that follows it, waits in order, and the root is not asked whether they live. A promise is over when
the pool has that worker, or is not to have it, or after `HOLD_S`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wippy.core.directory import HostAddress
from wippy.core.messages import HostReady, WantWorker
from wippy.core.reasons import StartFailed
from wippy.runtime.directory import Directory
from wippy.runtime.peer import Peer

if TYPE_CHECKING:
    from wippy.runtime.plane import Plane

HOLD_S = 30.0
"""How long a spawn waits for its worker: longer than most pools take to start, or to come back."""
POLL_S, POLL_MAX_S = 0.002, 0.2
"""How often the directory is asked meanwhile: at first often, then less and less."""
NOBODY = HostAddress(())


@dataclass(slots=True)
class _Promise:
    """What one pool is to have.

    Attributes:
        peers: Workers that something was said to.
        give_up_at_s: By the loop's clock.
        poll_s: Until the next look.
        why: What the root says is wrong with the pool; empty: nothing.
    """

    give_up_at_s: float
    peers: list[Peer] = field(default_factory=list)
    poll_s: float = POLL_S
    why: str = ""


class Promised:
    """The promised workers, as one process sees them.

    Args:
        plane: What carries the frames.
        directory: Says who is there, and who is to come.
    """

    def __init__(self, plane: Plane, directory: Directory) -> None:
        self._plane = plane
        self._directory = directory
        self._promises: dict[str, _Promise] = {}

    def place(self, host: str) -> tuple[str, int] | None:
        """Return the worker to come that is to have an actor; None: `host` is no pool, or has none
        to come."""
        coming = (self._directory.promised(host) or NOBODY).workers
        if not coming:
            return None
        promise = self._promises.get(host)
        if promise is None:
            promise = _Promise(self._plane.loop.time() + HOLD_S)
            self._promises[host] = promise
            # One that grows makes its first worker when somebody wants it.
            self._plane.root.send(WantWorker(host))
            self._plane.loop.call_later(POLL_S, self._poll, host)
        slot, generation, _ = coming[0]
        peer = self._plane.peer(slot, generation)
        if not (peer.is_gone or peer.is_promised):
            peer.is_promised = True
            promise.peers.append(peer)
        return slot, generation

    def told(self, message: HostReady) -> None:
        """The root says that a pool has a worker, or why it has none."""
        promise = self._promises.get(message.host)
        if promise is not None:
            promise.why = message.error
            self.look(message.host)

    def look(self, host: str) -> None:
        """See whether what was promised has come."""
        promise = self._promises.get(host)
        if promise is None:
            return
        # In this order: a worker is put among those that are there before it is taken out of those
        # that are to come.
        coming = (self._directory.promised(host) or NOBODY).workers
        here = (self._directory.host(host) or NOBODY).workers
        is_late = self._plane.loop.time() >= promise.give_up_at_s
        for peer in list(promise.peers):
            if _is_among(peer, here):
                promise.peers.remove(peer)
                self._plane.kept(peer)
            elif is_late or promise.why or not _is_among(peer, coming):
                promise.peers.remove(peer)
                self._plane.broken(peer, StartFailed(detail=promise.why or _why(host, peer)))
        if not promise.peers:
            del self._promises[host]

    def _poll(self, host: str) -> None:
        self.look(host)
        promise = self._promises.get(host)
        if promise is not None:
            promise.poll_s = min(promise.poll_s * 1.5, POLL_MAX_S)
            self._plane.loop.call_later(promise.poll_s, self._poll, host)


def _is_among(peer: Peer, workers: tuple[tuple[str, int, int], ...]) -> bool:
    return any((peer.slot, peer.generation) == it[:2] for it in workers)


def _why(host: str, peer: Peer) -> str:
    return (
        f"{host} had no worker when it was spawned, and {peer.slot} g{peer.generation}, which was "
        f"to come, has not: see wippy-supervisor why {host}"
    )
