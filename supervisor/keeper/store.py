"""What the keeper stores through: LMDB on one machine, PostgreSQL across several (later)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from supervisor.core.keeping import (
    Answered,
    AppendHistory,
    ApplyChanges,
    ApplyVersion,
    BackedUp,
    ForgetVersions,
    LoadRegistry,
)
from supervisor.core.registry.access import ANYBODY, Asker

Stored = AppendHistory | LoadRegistry | ApplyChanges | ApplyVersion | ForgetVersions
"""Requests that change the store."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A request, its id, when it came (UTC seconds since the epoch), and who asks."""

    request_id: bytes
    request: Stored
    at_s: float
    asker: Asker = ANYBODY


class Store(Protocol):
    """Applies groups of requests, each at most once. Methods block; no two `apply` at a time.

    Attributes:
        level: How durable an applied group is, for `status`: `os`, `process` or `replicated`.
    """

    level: str

    def apply(self, group: Sequence[Stamped]) -> list[Answered]:
        """Apply `group` in its order, in one transaction; return the answers once it is durable.

        A request that cannot be applied is answered with a `Failure` and changes nothing; the
        others are not concerned. One whose id was applied before gets that answer again.

        Raises:
            Unavailable: Nothing of the group was applied; it may be tried again (full disk).
            WippyError: Nothing was applied, and the store is of no use any more.
        """
        ...

    def backup(self, request_id: bytes, target: Path) -> BackedUp:
        """Copy the store into the new folder `target`; may run beside `apply`.

        Raises:
            AlreadyExists: `target` is there, and was not made by this very request.
            Unavailable: No room.
        """
        ...

    def clear_stale_readers(self) -> int:
        """Free what dead readers hold back; return how many there were."""
        ...

    def close(self) -> None:
        """Close it."""
        ...
