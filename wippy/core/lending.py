"""Who gets which connection, and when one is closed. Pure: times are passed in.

Connections have numbers and belong to a generation: to what their entry said when they were
opened. The rules:

- Only connections of the newest generation are handed out. What is in use of an older one is left
  alone, and closed when its last user has given it back; what is idle of it is closed at once.
- Of the newest generation there are at most `max_connections`, and with older ones that are still
  in use at most twice as many: old work cannot keep new work from its connection, and entries that
  change all the time cannot pile connections up.
- Waiters are served in the order in which they came. An opening belongs to nobody: whoever is first
  when it is done gets the connection.
- An opening that fails fails the first waiter; it fails all of them where no connection is in use
  that could come back, so that nobody waits in line to hear the same.
- The connection that was used last is handed out first; the others can grow old and be closed.

What can conflict: an opening or a check ends after its generation did. Then the connection is
closed, and the waiters are served by the newest.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass

import msgspec


class Bounds(msgspec.Struct, frozen=True):
    """How connections are kept; see `wippy.core.resources.Pooling`.

    Attributes:
        max_connections: Of the newest generation, >= 1.
        idle_timeout_s: After which an unused one is closed.
        check_after_s: After which an unused one is checked before it is handed out.
        share: How many may use one connection at the same time, >= 1.
    """

    max_connections: int
    idle_timeout_s: float
    check_after_s: float
    share: int = 1


class Open(msgspec.Struct, frozen=True):
    """Open a connection; answer with `opened` or `failed`."""

    number: int


class Check(msgspec.Struct, frozen=True):
    """Ask a connection for a sign of life; answer with `checked`."""

    number: int


class Lend(msgspec.Struct, frozen=True):
    """A waiter has got a connection; it ends with `give_back`."""

    ticket: int
    number: int


class Refuse(msgspec.Struct, frozen=True):
    """A waiter gets none."""

    ticket: int


class Close(msgspec.Struct, frozen=True):
    """Close a connection, which nobody uses."""

    number: int


Action = Open | Check | Lend | Refuse | Close


class Phase(enum.StrEnum):
    """Of one connection: OPENING -> READY <-> CHECKING; it is forgotten when it is closed."""

    OPENING = "opening"
    READY = "ready"
    CHECKING = "checking"


@dataclass(slots=True)
class _Connection:
    number: int
    generation: int
    phase: Phase = Phase.OPENING
    users: int = 0
    alive_at_s: float = 0.0


class Lending:
    """The connections of one entry in one process.

    Attributes:
        generation: The newest; 0 before the first `adopt`.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._bounds = Bounds(1, 0.0, 0.0)
        self._connections: dict[int, _Connection] = {}
        self._waiting: deque[int] = deque()
        self._last_number = 0

    # --- events ----------------------------------------------------------------------------------

    def adopt(self, generation: int, bounds: Bounds, now_s: float) -> list[Action]:
        """The entry says this now: a new generation leads elsewhere, the same has new bounds."""
        self.generation, self._bounds = generation, bounds
        return [*self._close_unfit(), *self._serve(now_s)]

    def retire(self, generation: int) -> list[Action]:
        """There is no such entry any more, or the process ends: nobody gets anything until the next
        `adopt`."""
        self.generation = generation
        refused: list[Action] = [Refuse(ticket) for ticket in self._waiting]
        self._waiting.clear()
        return [*refused, *self._close_unfit()]

    def ask(self, ticket: int, now_s: float) -> list[Action]:
        """Somebody wants a connection, not before `adopt`; tickets are never used twice."""
        self._waiting.append(ticket)
        return self._serve(now_s)

    def withdraw(self, ticket: int) -> None:
        """Somebody who waits does so no more."""
        if ticket in self._waiting:
            self._waiting.remove(ticket)

    def opened(self, number: int, now_s: float) -> list[Action]:
        """An opening has succeeded."""
        return self._alive(number, now_s)

    def failed(self, number: int, now_s: float) -> list[Action]:
        """An opening has failed."""
        generation = self._connections.pop(number).generation
        refused: list[Action] = []
        if generation == self.generation and self._waiting:
            count = 1 if self._is_any_used() else len(self._waiting)
            refused = [Refuse(self._waiting.popleft()) for _ in range(count)]
        return [*refused, *self._serve(now_s)]

    def checked(self, number: int, now_s: float, *, is_alive: bool) -> list[Action]:
        """A check has ended."""
        if is_alive:
            return self._alive(number, now_s)
        return [self._close(number), *self._serve(now_s)]

    def give_back(self, number: int, now_s: float, *, is_good: bool) -> list[Action]:
        """A user is done with a connection; one that is not good is handed to nobody any more."""
        connection = self._connections[number]
        connection.users -= 1
        if is_good:
            connection.alive_at_s = now_s
        else:
            connection.generation = -1
            self._suspect_all()
        return [*self._close_unfit(), *self._serve(now_s)]

    def tidy(self, now_s: float) -> list[Action]:
        """Time has passed: close what nobody has used for too long."""
        oldest_s = now_s - self._bounds.idle_timeout_s
        return [self._close(it.number) for it in self._idle() if it.alive_at_s <= oldest_s]

    # --- questions -------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def open(self) -> int:
        """How many connections there are, with those that are being opened."""
        return len(self._connections)

    @property
    def users(self) -> int:
        """How many users have one."""
        return sum(it.users for it in self._connections.values())

    # --- rules -----------------------------------------------------------------------------------

    def _alive(self, number: int, now_s: float) -> list[Action]:
        connection = self._connections[number]
        connection.phase, connection.alive_at_s = Phase.READY, now_s
        if connection.generation != self.generation:
            return [self._close(number), *self._serve(now_s)]
        # It has just answered: whoever gets it now needs no check.
        lent = self._lend(connection)
        return [*lent, *self._close_unfit(), *self._serve(now_s)]

    def _serve(self, now_s: float) -> list[Action]:
        actions: list[Action] = []
        while self._waiting and (best := self._best()) is not None:
            if best.users or now_s - best.alive_at_s < self._bounds.check_after_s:
                actions += self._lend(best)
            elif len(self._waiting) > self._coming():
                best.phase = Phase.CHECKING
                actions.append(Check(best.number))
            else:
                break
        return [*actions, *self._open_more()]

    def _lend(self, connection: _Connection) -> list[Action]:
        lent: list[Action] = []
        while self._waiting and connection.users < self._bounds.share:
            connection.users += 1
            lent.append(Lend(self._waiting.popleft(), connection.number))
        return lent

    def _open_more(self) -> list[Action]:
        opened: list[Action] = []
        while len(self._waiting) > self._coming() and self._has_room():
            self._last_number += 1
            number = self._last_number
            self._connections[number] = _Connection(number, self.generation)
            opened.append(Open(number))
        return opened

    def _has_room(self) -> bool:
        newest, limit = len(self._newest()), self._bounds.max_connections
        return newest < limit and len(self._connections) < 2 * limit

    def _coming(self) -> int:
        """How many waiters will be served by what is under way."""
        on_the_way = [it for it in self._newest() if it.phase is not Phase.READY]
        return len(on_the_way) * self._bounds.share

    def _best(self) -> _Connection | None:
        free = [
            it for it in self._newest() if it.phase is Phase.READY and it.users < self._bounds.share
        ]
        return max(free, key=lambda it: it.alive_at_s, default=None)

    def _newest(self) -> list[_Connection]:
        return [it for it in self._connections.values() if it.generation == self.generation]

    def _idle(self) -> list[_Connection]:
        return [
            it for it in self._connections.values() if it.phase is Phase.READY and it.users == 0
        ]

    def _suspect_all(self) -> None:
        """What broke one connection, a server's restart perhaps, may have broken all: what is idle
        is checked before it is handed out, however short ago it was used."""
        for connection in self._idle():
            connection.alive_at_s = -math.inf

    def _is_any_used(self) -> bool:
        return any(it.users for it in self._newest())

    def _close_unfit(self) -> list[Action]:
        """Close the idle that are of an older generation, or more than there may be."""
        idle = self._idle()
        unfit = [it for it in idle if it.generation != self.generation]
        surplus = max(0, len(self._newest()) - self._bounds.max_connections)
        newest = sorted(
            (it for it in idle if it.generation == self.generation), key=lambda it: it.alive_at_s
        )
        return [self._close(it.number) for it in (*unfit, *newest[:surplus])]

    def _close(self, number: int) -> Close:
        del self._connections[number]
        return Close(number)
