"""What the runtime hands to code that must not import it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

from wippy.core.messages import Told


class SystemPort(Protocol):
    """A system process's view of the control socket; `main(port)` is its whole life.

    A target is `async def main(port: SystemPort) -> None`; it calls `ready()` once it serves,
    and returns after `cancelled()` has returned.
    """

    node: str
    slot: str
    generation: int
    settings: dict[str, Any]

    def ready(self) -> None:
        """Tell the root that the process serves."""

    def publish(self, topic: str, payload: dict[str, Any]) -> None:
        """Tell the root something of the process's own kind."""

    def told(self) -> Awaitable[Told]:
        """Wait for the next thing that the root tells."""

    def cancelled(self) -> Awaitable[str]:
        """Wait until the process is asked to stop; return the reason."""
