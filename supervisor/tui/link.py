"""The connection of the live tree to the root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from supervisor.core.requests import Answer, Reply, Subscribe, Update, Verb
from supervisor.tui.model import VIEW_INTERVAL_S
from wippy.errors import NotFound

MAX_UNANSWERED = 30
"""Subscriptions sent into silence before the connection is made anew: unsent frames pile up in the
socket, which blocks when it is full."""


class Client(Protocol):
    """What the live tree needs of `ControlClient`."""

    def ask(self, verb: Verb, timeout_s: float = 10.0) -> Answer:
        """Send and wait for the answer."""

    def post(self, verb: Verb) -> int:
        """Send, and return the request's id."""

    def fileno(self) -> int:
        """Descriptor that tells when to `drain`."""

    def drain(self) -> list[Reply | Update]:
        """Return what has arrived."""

    def close(self) -> None:
        """Let go."""


Connect = Callable[[Path], Client]


class Link:
    """The connection to the root; there may be none yet, and it may be made anew."""

    def __init__(self, run_dir: Path, connect: Connect) -> None:
        self.run_dir = run_dir
        self._connect = connect
        self._client: Client | None = None
        self._unanswered = 0

    @property
    def is_connected(self) -> bool:
        """Whether there is somebody to ask."""
        return self._client is not None

    def connect(self) -> None:
        """Connect; raises `NotFound` if there is no node."""
        self._client = self._connect(self.run_dir)

    def fileno(self) -> int | None:
        """Return the descriptor to wait for, if there is one."""
        return None if self._client is None else self._client.fileno()

    def post(self, verb: Verb) -> int | None:
        """Send `verb`; None if there is no node yet."""
        return None if self._client is None else self._client.post(verb)

    def subscribe(self) -> None:
        """Ask for views and facts for the next while."""
        if self._unanswered >= MAX_UNANSWERED:
            self._reconnect()
        self._unanswered += 1
        self.post(Subscribe(view_interval_s=VIEW_INTERVAL_S))

    def drain(self) -> list[Reply | Update]:
        """Return what has arrived."""
        arrived = [] if self._client is None else self._client.drain()
        if arrived:
            self._unanswered = 0
        return arrived

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _reconnect(self) -> None:
        self.close()
        self._unanswered = 0
        try:
            self.connect()
        except NotFound:
            return  # tried again later; whether the node is gone is judged elsewhere
