"""The registry as every process knows it: tables and rows of the state environment, and the frames
by which it is changed.

The keeper alone writes; every process reads the tables directly (LMDB). docs/journal.md describes
both. A request travels as two frames, its id of 16 bytes and a body; the answer has the same id.

| table | key | value |
|---|---|---|
| `registry` | entry id | version that wrote it, origin, document |
| `registry_by_kind` | kind, NUL, entry id | |
| `registry_versions` | number, 8 bytes, big-endian | `Version` |
| `registry_changes` | version, entry id | both sides |
"""

from __future__ import annotations

import msgspec

from wippy.core.codec import FrameDecoder
from wippy.core.entry import EntryChange
from wippy.core.policy import Identity
from wippy.errors import Failure

STATE_FOLDER = "state.lmdb"
"""The environment within the state folder."""
STATE_VERSION = 2
"""Of its format."""
META = "meta"
FORMAT_KEY = b"format"
REGISTRY = "registry"
REGISTRY_BY_KIND = "registry_by_kind"
REGISTRY_VERSIONS = "registry_versions"
REGISTRY_CHANGES = "registry_changes"

KEEPER_SOCKET = "keeper"
"""Name of the keeper's socket in the run folder."""
REQUEST_ID_BYTES = 16
MAX_KEEPER_FRAME_BYTES = 256 * 2**20
"""Of a request to the keeper: all files of a node go in one, so that they are one version. A
hundred thousand entries of 300 bytes and their code come to 40 MiB."""
MAX_CHANGES_BYTES = 16 * 2**20
"""Of the changes of one process: as any other frame."""
REGISTRY_COMMITTED = "registry.committed"
"""Topic under which the keeper tells the root of a committed version: `{"version": 7}`."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the registry.

    Attributes:
        number: From 1, without gaps.
        at_s: When, UTC seconds since the epoch.
        author: Who.
        comment: Why.
        origin: Where the entries came from; empty for a change at run time.
        created: Entries created.
        updated: Entries updated.
        deleted: Entries deleted.
    """

    number: int
    at_s: float
    author: str = ""
    comment: str = ""
    origin: str = ""
    created: int = 0
    updated: int = 0
    deleted: int = 0


class StoredEntry(msgspec.Struct, frozen=True, array_like=True):
    """A row of `registry`, its document left as it is (an encoded `EntryDoc`)."""

    version: int
    origin: str
    doc: msgspec.Raw


class ChangeRow(msgspec.Struct, frozen=True):
    """What a version did to one entry, as encoded documents; None is "not there"."""

    old: bytes | None
    new: bytes | None


encode_row = msgspec.msgpack.Encoder().encode
decode_stored = msgspec.msgpack.Decoder(StoredEntry).decode
decode_version = msgspec.msgpack.Decoder(Version).decode
decode_change_row = msgspec.msgpack.Decoder(ChangeRow).decode


def number_key(number: int) -> bytes:
    """Return the key of a number, 0 to 2**64 - 1."""
    return number.to_bytes(8, "big")


def number_of(key: bytes) -> int:
    """Return the number at the end of a key."""
    return int.from_bytes(key[-8:], "big")


def kind_prefix(kind: str) -> bytes:
    """Return the beginning of the keys of a kind in `registry_by_kind`."""
    return kind.encode() + b"\0"


# --- frames: to the keeper -----------------------------------------------------------------------


class ApplyChanges(msgspec.Struct, frozen=True, kw_only=True, tag="apply_changes"):
    """Change entries, all or none, as one version. Answer: `Committed`.

    Attributes:
        changes: Of different entries.
        author: Who does it.
        comment: Why.
        origin: Where it comes from; empty for a change at run time.
        expected_version: Version it was based on; another is a `Conflict`. None takes any.
        credential: Shows who asks (a process's own, as the root gave it); empty shows nobody.
        identity: As whom it is asked, within what the one shown may; None: as that one.
        is_forced: An operator's, that may leave nobody who could change the policies back.
    """

    changes: tuple[EntryChange, ...]
    author: str = ""
    comment: str = ""
    origin: str = ""
    expected_version: int | None = None
    credential: bytes = b""
    identity: Identity | None = None
    is_forced: bool = False


class ApplyVersion(msgspec.Struct, frozen=True, kw_only=True, tag="apply_version"):
    """Make a new version that has the entries of `version`. Answer: `Committed`. The last three
    as in `ApplyChanges`."""

    version: int
    author: str = ""
    comment: str = ""
    expected_version: int | None = None
    credential: bytes = b""
    identity: Identity | None = None
    is_forced: bool = False


class Committed(msgspec.Struct, frozen=True, tag="committed"):
    """The registry is at `version`, on the disk.

    Attributes:
        version: Its version now.
        changed: Entries that differ from the version before; 0: there is no new version.
        overridden: Entries that were changed at run time and now are what their files say again.
        kept: Entries that differ from their files, since they were changed at run time (the first
            hundred of each).
    """

    version: int
    changed: int
    overridden: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The keeper with this OS pid serves."""

    pid: int


RegistryAnswer = Committed | Failure | Welcome

from_keeper: FrameDecoder[RegistryAnswer] = FrameDecoder(RegistryAnswer)
