"""Names that actors are reached under."""

from __future__ import annotations

from wippy.core.directory import name_key
from wippy.core.messages import RegisterName, UnregisterName
from wippy.errors import AlreadyExists, Invalid
from wippy.runtime import guard
from wippy.runtime.doorway import here as _here
from wippy.runtime.doorway import in_loop as _in_loop


def register(name: str) -> None:
    """Register the calling actor as `name`, until its end; never waits.

    Where two register the same name at the same moment, the later gets a NAME_TAKEN event.

    Raises:
        AlreadyExists: Somebody has it; the message says who.
        Invalid: It can be no name.
    """
    if ":" in name or "/" in name:
        raise Invalid(f"{name!r} would be taken for an entry id or a pid: without ':' and '/'")
    name_key(name)
    plane, local = _here()
    guard.require("process.register", name)

    def work() -> None:
        holder = plane.names.get(name) or plane.post.directory.name(name)
        if holder is not None and str(holder) != local.pid:
            raise AlreadyExists(f"the name {name!r} is that of {holder}")
        if holder is None:
            local.names.add(name)
            plane.names[name] = local.pid
            plane.root.send(RegisterName(name, local.pid))

    _in_loop(plane, work)


def unregister(name: str) -> None:
    """Give up a name of the calling actor's; one that is not its own is no error."""
    plane, local = _here()

    def work() -> None:
        if name in local.names:
            local.names.discard(name)
            plane.names.pop(name, None)
            plane.root.send(UnregisterName(name, local.pid))

    _in_loop(plane, work)


def lookup(name: str) -> str | None:
    """Return the pid that has registered `name`, or of the service `name`; None if nobody has."""
    plane, _ = _here()
    if ":" in name:
        pid = plane.post.directory.service(name)
        return None if pid is None else str(pid)
    known = plane.names.get(name) or plane.post.directory.name(name)
    return None if known is None else str(known)
