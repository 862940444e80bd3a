"""Rows of the directory: who can be reached under which name, in the run environment.

The root alone writes them; every process reads them directly (LMDB). A row is there while who it
names can be reached: put at READY, removed before anybody is told of the end.

| key | value |
|---|---|
| `<entry id>` of a service | `Address` |
| `name:<registered name>` | `Address` |
| `known:<entry id>` of a service that was READY once, so may come back | `Address`, the last |
| `host:<entry id>` of a pool | `HostAddress`: its workers that take actors |
| `promised:<entry id>` of a pool | `HostAddress`: workers that are to come |
| `group:<name>`, a NUL, `<slot>.<generation>/<actor>` | how many times that actor is a member |
| `observers` | `Observers`: who wants what is published |
"""

from __future__ import annotations

import msgspec

from wippy.core.ids import Pid
from wippy.errors import Invalid

RUN_FOLDER = "run.lmdb"
"""The run environment within the run folder."""
MESSAGE_FOLDER = "m"
"""The folder of the sockets of processes within the run folder: `Birth.message_dir`."""
TABLE = "directory"
MAX_NAME_BYTES = 255
"""Of a registered name; a key of LMDB has at most 511 bytes."""


class Address(msgspec.Struct, frozen=True):
    """Where a service or a name is.

    Attributes:
        pid: `node/slot.generation/actor`.
        generation: Of the service (an actor of a pool has one of its own); that in the pid for a
            registered name.
    """

    pid: str
    generation: int


class HostAddress(msgspec.Struct, frozen=True):
    """The workers of a pool that take actors: (slot, generation, actors living there).

    The counts are some seconds old at most: good for placing, not for counting.
    """

    workers: tuple[tuple[str, int, int], ...]


class Observers(msgspec.Struct, frozen=True):
    """The processes with subscriptions to the observation bus: (slot, generation, patterns)."""

    processes: tuple[tuple[str, int, tuple[str, ...]], ...]


decode_address = msgspec.msgpack.Decoder(Address).decode
decode_host = msgspec.msgpack.Decoder(HostAddress).decode
decode_observers = msgspec.msgpack.Decoder(Observers).decode
decode_times = msgspec.msgpack.Decoder(int).decode
encode_row = msgspec.msgpack.Encoder().encode


def service_key(entry_id: str) -> bytes:
    """Return the key of a service."""
    return entry_id.encode()


def known_key(entry_id: str) -> bytes:
    """Return the key that says that a service is or was there. No entry id has two colons."""
    return b"known:" + entry_id.encode()


def name_key(name: str) -> bytes:
    """Return the key of a registered name; `Invalid` if it can be none."""
    key = name.encode(errors="surrogatepass")
    if not 1 <= len(key) <= MAX_NAME_BYTES or not name.isprintable():
        raise Invalid(
            f"{name[:80]!r} cannot be registered: a name is 1 to {MAX_NAME_BYTES} bytes of "
            "printable text"
        )
    return b"name:" + key


def host_key(entry_id: str) -> bytes:
    """Return the key of a pool."""
    return b"host:" + entry_id.encode()


OBSERVERS_KEY = b"observers"
"""No entry id: those have a colon."""


def promised_key(entry_id: str) -> bytes:
    """Return the key of the workers that a pool is to have; no entry id has two colons."""
    return b"promised:" + entry_id.encode()


def group_prefix(group: str) -> bytes:
    """Return what the keys of a group's members begin with."""
    # No name has a NUL, so no group's prefix begins like that of another.
    return b"group:" + group.encode(errors="surrogatepass") + b"\0"


def member_key(group: str, pid: Pid) -> bytes:
    """Return the key of a member."""
    return group_prefix(group) + f"{pid.slot}.{pid.generation}/{pid.actor}".encode()
