"""An actor of this process, as the message plane sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wippy.core.mailbox import Mailbox
from wippy.core.reasons import ExitReason, Normal
from wippy.errors import MailboxFull
from wippy.runtime.context import MAX_UNREAD, Event, EventChannel, EventKind
from wippy.runtime.peer import Outlet, Peer

MAX_UNANSWERED = 10_000
"""Calls that an actor has taken and not answered; past it the oldest is forgotten (its caller has
its time-out long since)."""


@dataclass(slots=True, eq=False)
class LocalActor:
    """What the plane keeps of an actor.

    Attributes:
        number: Its number in this process.
        pid: Its pid as text.
        events: Where EXIT and LINK_DOWN go.
        end: Ends it for a reason: a link's, or `terminate`'s.
        cancel: Asks it to stop: (reason, deadline_s).
        kill: Ends it now.
        mailbox: Its messages.
        outlets: Its ways to others, by what it calls them.
        watchers: Who wants to know of its end: (process, reference) to the actor there.
        links: (process, actor) that it is linked to.
        unanswered: Calls that it has got: (process, reference) to the actor there.
        waits: References of what it waits for.
        names: Names that it has registered.
        parent: (process, actor) that spawned it, where that was not told by a watch.
        traps_links: Links come as LINK_DOWN events.
        values: Context values, which its children inherit.
        is_bound: Policies may deny it something: each of its messages is checked.
        closers: Called at its end, by what they belong to.
    """

    number: int
    pid: str
    events: EventChannel
    end: Callable[[ExitReason], None] = lambda _reason: None
    cancel: Callable[[str, float], None] = lambda _reason, _deadline_s: None
    kill: Callable[[], None] = lambda: None
    mailbox: Mailbox = field(default_factory=Mailbox)
    outlets: dict[str, Outlet] = field(default_factory=dict)
    watchers: dict[tuple[Peer, int], int] = field(init=False)
    links: set[tuple[Peer, int]] = field(init=False)
    unanswered: dict[tuple[Peer, int], int] = field(init=False)
    waits: set[int] = field(init=False)
    names: set[str] = field(init=False)
    parent: tuple[Peer, int] | None = None
    traps_links: bool = False
    values: dict[str, Any] = field(init=False)
    is_bound: bool = False
    closers: dict[object, Callable[[], object]] = field(init=False)

    def __getattr__(self, name: str) -> Any:
        """Make one of the containers that most actors never need when it is first asked for: empty
        ones would be a kilobyte of each actor of a pool."""
        make = _MADE_WHEN_ASKED.get(name)
        if make is None:
            raise AttributeError(f"an actor has no {name!r}")
        made = make()
        setattr(self, name, made)
        return made

    def forget_callers(self, peer: Peer) -> None:
        """A process is gone: nobody there wants to know of this actor any more. Makes nothing, so
        that it can be asked of all actors."""
        for slot in (_WATCHERS, _UNANSWERED):
            try:
                table = slot.__get__(self)
            except AttributeError:
                continue  # never asked for
            for key in [key for key in table if key[0] is peer]:
                del table[key]

    def check_room(self) -> None:
        """Raise `MailboxFull` if it has more events unread than an actor that looks ever has."""
        if self.events.unread >= MAX_UNREAD:
            raise MailboxFull(
                f"{self.pid} has {MAX_UNREAD} events unread, so it can monitor or link nobody: "
                "read process.events()"
            )

    def tell_exit(self, sender: str, reason: ExitReason, value: Any, problem: str) -> None:
        """Give it the EXIT event of a monitor."""
        self.events.put(
            Event(EventKind.EXIT, problem, 0.0, sender=sender, exit=reason, value=value)
        )

    def tell_link_down(self, sender: str, reason: ExitReason) -> None:
        """A linked peer has ended: an event, the end, or nothing (supervision.md section 9)."""
        if self.traps_links:
            self.events.put(Event(EventKind.LINK_DOWN, "", 0.0, sender=sender, exit=reason))
        elif not isinstance(reason, Normal):
            self.end(reason)

    def note_call(self, peer: Peer, reference: int, sender: int) -> None:
        """Remember a call until it is answered."""
        self.unanswered[peer, reference] = sender
        if len(self.unanswered) > MAX_UNANSWERED:
            del self.unanswered[next(iter(self.unanswered))]


_MADE_WHEN_ASKED: dict[str, Callable[[], Any]] = {
    "watchers": dict,
    "links": set,
    "unanswered": dict,
    "waits": set,
    "names": set,
    "values": dict,
    "closers": dict,
}
# Their slots, which do not ask `__getattr__`.
_WATCHERS, _UNANSWERED = (LocalActor.__dict__[name] for name in ("watchers", "unanswered"))
