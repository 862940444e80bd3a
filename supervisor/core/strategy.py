"""What a child's end means: restarted or not, and who goes down with it (supervision.md 2).

| restart | normal, shutdown | abnormal |
|---|---|---|
| permanent | restart | restart |
| transient | kept, `done` | restart |
| temporary | removed | removed |

A strategy acts only when the dead child is to be restarted: a temporary child's crash or a
transient child's clean exit never touches a sibling.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from supervisor.core.spec import Restart, Strategy


class Verdict(enum.StrEnum):
    """What becomes of a child that ended by itself."""

    RESTART = "restart"
    DONE = "done"
    REMOVE = "remove"


def verdict(restart: Restart, *, abnormal: bool) -> Verdict:
    """Return what becomes of a child with this restart type after such an end."""
    match restart:
        case Restart.PERMANENT:
            return Verdict.RESTART
        case Restart.TRANSIENT:
            return Verdict.RESTART if abnormal else Verdict.DONE
        case Restart.TEMPORARY:
            return Verdict.REMOVE


def affected(strategy: Strategy, order: Sequence[str], dead: str) -> tuple[str, ...]:
    """Return the siblings that are stopped and started with `dead`, in start order."""
    match strategy:
        case Strategy.ONE_FOR_ONE | Strategy.DYNAMIC:
            return ()
        case Strategy.REST_FOR_ONE:
            return tuple(order[order.index(dead) + 1 :])
        case Strategy.ONE_FOR_ALL:
            return tuple(child for child in order if child != dead)
