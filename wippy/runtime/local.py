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
    watchers: dict[tuple[Peer, int], int] = field(default_factory=dict)
    links: set[tuple[Peer, int]] = field(default_factory=set)
    unanswered: dict[tuple[Peer, int], int] = field(default_factory=dict)
    waits: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    parent: tuple[Peer, int] | None = None
    traps_links: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    closers: dict[object, Callable[[], object]] = field(default_factory=dict)

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
