"""Actors that a client runs as a command: it has the request answered when they have ended.

They are spawned processes like those of actors (`supervisor.root.spawns`), linked to the client,
which the root watches by pidfd: a client that is killed takes its actor with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from supervisor.core.client_slot import CLIENT_GENERATION, parse_client_slot
from supervisor.core.requests import EndRun, Ran, Reply, Run
from supervisor.core.spec import SPAWNED_ID
from supervisor.core.view import State
from wippy.core.ids import Pid
from wippy.core.messages import EndProcess, Gone, SpawnProcess
from wippy.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from supervisor.root.root import Root

CANCELLED = "cancelled by its user"


class Runs:
    """What the clients of one root are waiting for."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._waiting: dict[tuple[bytes, str], int] = {}

    def start(self, peer: bytes, request_id: int, order: Run) -> None:
        """Start an actor for a client, which is answered at its end.

        Raises:
            NotFound: There is no such entry.
            Invalid: Slot or parent is none.
            Unavailable: The node is just starting.
        """
        self._root.spawns.code_of(order.process)
        spawned = self._root.tree.child(SPAWNED_ID)
        if spawned is None or spawned.state is not State.UP:
            raise Unavailable("the node is just starting; try again in a moment")
        parent = Pid.parse(order.parent)
        is_client = parse_client_slot(parent.slot) and parent.generation == CLIENT_GENERATION
        if not is_client or parent.node != self._root.runtime.node:
            raise Invalid(f"{order.parent} is no client of this node")
        self._waiting[peer, order.slot] = request_id
        try:
            self._root.spawns.spawn(peer, _spawn_of(order))
        except Invalid:
            self._waiting.pop((peer, order.slot), None)
            raise

    def end(self, order: EndRun) -> None:
        """End what a client runs.

        Raises:
            NotFound: No client runs that.
        """
        if not any(slot == order.slot for _, slot in self._waiting):
            raise NotFound(f"{order.slot} is run by no client (any more)")
        how: Literal["cancel", "kill"] = "cancel" if order.deadline_s > 0 else "kill"
        self._root.spawns.end(EndProcess(order.slot, 1, how, CANCELLED, order.deadline_s))

    def send(self, peer: bytes, gone: Gone) -> None:
        """Tell a process, or a client that waits for just that, of an end."""
        request_id = self._waiting.pop((peer, gone.slot), None)
        if request_id is None:
            self._root.control.send_process(peer, gone)
        else:
            self._root.control.send_client(peer, Reply(request_id, Ran(gone.reason)))


def _spawn_of(order: Run) -> SpawnProcess:
    return SpawnProcess(
        slot=order.slot,
        process=order.process,
        host=order.host,
        args=order.args,
        parent=order.parent,
        monitor=True,
        link=True,
        terminal=order.terminal,
    )
