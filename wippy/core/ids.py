"""Names: entry ids, slots and pids.

An *entry id* is `namespace:name` (`app.workers:handler`). A *slot* is the place of an OS process
in the tree: the id of its service, or `host#n` for worker n of a pool. A *pid* is
`node/slot.generation/actor`: it says where an actor lives, and since the generation is part of it,
a message to a dead actor can never reach its successor.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from wippy.errors import Invalid

MAX_ID_LENGTH = 128
"""Entry ids become file names, process titles and LMDB keys (511 bytes); 128 fits all three."""

_PART = r"[A-Za-z_][A-Za-z0-9_\-]*"
ENTRY_ID = re.compile(rf"^(?P<namespace>{_PART}(?:\.{_PART})*):(?P<name>{_PART}(?:\.{_PART})*)\Z")
NAMESPACE = re.compile(rf"^{_PART}(?:\.{_PART})*\Z")
NAME = NAMESPACE
NODE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,62}\Z")
_PID = re.compile(
    r"^(?P<node>[^/]+)/(?P<slot>[^/]+)\.(?P<generation>[0-9]{1,18})/(?P<actor>[0-9]{1,18})\Z"
)


def split_id(entry_id: str) -> tuple[str, str]:
    """Return (namespace, name) of an entry id; `Invalid` says what an id looks like."""
    match = ENTRY_ID.match(entry_id) if len(entry_id) <= MAX_ID_LENGTH else None
    if match is None:
        raise Invalid(f"{entry_id!r} is no entry id; one looks like 'app.workers:handler'")
    return match["namespace"], match["name"]


def qualify(name: str, namespace: str) -> str:
    """Return `name` as a full id: a bare name belongs to `namespace`."""
    return name if ":" in name else f"{namespace}:{name}"


def worker_slot(host_id: str, number: int) -> str:
    """Return the slot of worker `number` (from 1) of the pool `host_id`."""
    return f"{host_id}#{number}"


def socket_name(slot: str, generation: int) -> str:
    """Return the file name, in the message folder, of the socket of one generation of a slot.

    Slots may be longer than a socket's path (107 bytes); their hash is not.
    """
    return f"{hashlib.blake2b(slot.encode(), digest_size=8).hexdigest()}.{generation}"


SPAWNED_MARK = "~"
"""In the slot of a process that an actor has spawned: `<process id>~<8 random characters>`."""


class Pid(msgspec.Struct, frozen=True):
    """Where an actor lives. `str(pid)` is what user code sees.

    Attributes:
        node: Name of the node.
        slot: Place of the OS process in the tree.
        generation: The start of that slot, from 1.
        actor: Number of the actor within the OS process; 0 is the only actor of a dedicated one.
    """

    node: str
    slot: str
    generation: int
    actor: int = 0

    def __str__(self) -> str:
        return f"{self.node}/{self.slot}.{self.generation}/{self.actor}"

    @classmethod
    def parse(cls, text: str) -> Pid:
        """Return the pid written as `text`, or raise `Invalid`."""
        match = _PID.match(text)
        if match is None:
            raise Invalid(f"{text!r} is no pid; one looks like 'node/app:worker.3/0'")
        return cls(match["node"], match["slot"], int(match["generation"]), int(match["actor"]))
