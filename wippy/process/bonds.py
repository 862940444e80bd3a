"""Being told of the ends of others: monitors and links."""

from __future__ import annotations

from wippy.errors import NotFound
from wippy.runtime import guard
from wippy.runtime.doorway import here as _here
from wippy.runtime.doorway import in_loop as _in_loop
from wippy.runtime.peer import Peer
from wippy.runtime.plane import Plane


def monitor(target: str) -> None:
    """Have an EXIT event at the end of `target`; at once, with `NoProcess`, if it is not there.

    Two monitors, two events. A monitor of a name or a service is one of who has it now.

    Raises:
        NotFound: Nobody has that name, or the service cannot be reached now.
        MailboxFull: The calling actor has 100,000 events unread.
    """
    plane, local = _here()
    local.check_room()
    _in_loop(plane, lambda: plane.bonds.monitor(local, *_found(plane, target)))


def unmonitor(target: str) -> None:
    """Take back all monitors of `target`; no EXIT event of it comes from now on."""
    plane, local = _here()
    _in_loop(plane, lambda: plane.bonds.unmonitor(local, *_found(plane, target)))


def link(target: str) -> None:
    """Link the calling actor and `target`: an end of one that is not normal is the other's too, or
    a LINK_DOWN event where that traps links. Linking oneself, or again, changes nothing.

    Raises:
        NotFound, MailboxFull: As `monitor`.
    """
    plane, local = _here()
    guard.require_target("process.link", target)
    local.check_room()

    def work() -> None:
        peer, actor = _found(plane, target)
        if not (peer is plane.own and actor == local.number):
            plane.bonds.link(local, peer, actor)

    _in_loop(plane, work)


def unlink(target: str) -> None:
    """Take back a link."""
    plane, local = _here()
    _in_loop(plane, lambda: plane.bonds.unlink(local, *_found(plane, target)))


def _found(plane: Plane, target: str) -> tuple[Peer, int]:
    found = plane.post.find(target)
    if found is None:
        raise NotFound(f"{target} cannot be reached now: it is not running")
    return found
