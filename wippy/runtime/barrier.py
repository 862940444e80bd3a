"""The ends of other processes: told when all that they had sent before has come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from wippy.core.messages import Gone
from wippy.errors import Unavailable
from wippy.runtime.peer import Transport

if TYPE_CHECKING:
    from wippy.runtime.plane import Plane

BARRIER = b"barrier"
"""No frame: a process sends it to itself. One that sends it to another changes nothing there."""
ROUNDS = 2
TIMEOUT_S = 1.0
"""A barrier that does not come back must not keep an end from being told."""


class Barrier:
    """Holds ends back behind what is on its way. Used by the thread of the loop only.

    Args:
        plane: Buries who has ended.
        connect: Makes a socket to this process itself; `Unavailable` if there is none.
    """

    def __init__(self, plane: Plane, connect: Callable[[], Transport]) -> None:
        self._plane = plane
        self._connect = connect
        self._ending: list[tuple[Gone, int]] = []
        self._socket: Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def gone(self, message: Gone) -> None:
        """The root says that a process has ended.

        What it had sent before that comes first: it lies in the kernel, or in ZeroMQ's hands. A
        frame to ourselves through the same socket comes back when ZeroMQ's thread has been round;
        a second one, when it has taken all that was readable then.
        """
        self._ending.append((message, ROUNDS))
        self._send()

    def _send(self) -> None:
        if self._timer is None:
            # Whoever has removed our socket's file must not keep an end from being told.
            self._timer = self._plane.loop.call_later(TIMEOUT_S, self._bury_all)
        if self._socket is None:
            try:
                self._socket = self._connect()
            except Unavailable:
                return  # no descriptor is left: the timer tells of the end, a second later
        self._socket.send(BARRIER)

    def passed(self) -> None:
        """The frame to ourselves has come back."""
        ending, self._ending = self._ending, []
        for message, rounds in ending:
            if rounds > 1:
                self._ending.append((message, rounds - 1))
                self._send()
            else:
                self._plane.bury(message)
        if not self._ending:
            self._stop_timer()

    def _bury_all(self) -> None:
        ending, self._ending = self._ending, []
        self._stop_timer()
        for message, _ in ending:
            self._plane.bury(message)

    def close(self) -> None:
        """Wait for nothing more."""
        self._stop_timer()
        if self._socket is not None:
            self._socket.close(linger_ms=0)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
