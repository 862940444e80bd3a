"""Frames between the keeper and those who ask it to store something (ROUTER and DEALER).

A message is two frames: the *request id*, 16 bytes made by the asker, and a body (msgpack). The
answer carries the same id. A request that was not answered is sent again under the same id, to
the same keeper or the next: it is applied at most once. An answer other than `Failure` means that
what was asked is on the disk.

    asker                                keeper
      │  ── (empty) ───────────────────►  │   ZMQ_PROBE_ROUTER: a connection was made
      │  ◄───────────── "" + Welcome ───  │   the keeper serves: send (again) what is unanswered
      │  ── id + request ──────────────►  │
      │  ◄───────────── id + answer ────  │
"""

from __future__ import annotations

import msgspec

from supervisor.core.facts import Fact
from wippy.core.codec import FrameDecoder
from wippy.core.entry import EntryDoc, EntryPlace
from wippy.core.registry import (
    KEEPER_SOCKET,
    MAX_KEEPER_FRAME_BYTES,
    REQUEST_ID_BYTES,
    ApplyChanges,
    ApplyVersion,
    Committed,
    Welcome,
)
from wippy.errors import Failure

__all__ = [
    "KEEPER_SOCKET",
    "REQUEST_ID_BYTES",
    "Answered",
    "AppendHistory",
    "Appended",
    "ApplyChanges",
    "ApplyVersion",
    "Asked",
    "BackedUp",
    "Backup",
    "Committed",
    "ForgetVersions",
    "Forgotten",
    "FromKeeper",
    "LoadRegistry",
    "Welcome",
    "from_keeper",
    "to_keeper",
]

WELCOME_ID = b""

MAX_RUN_ID_LENGTH = 64
MAX_TEXT_LENGTH = 4096
"""Of author, comment and origin."""


class AppendHistory(msgspec.Struct, frozen=True, tag="append_history"):
    """Store facts of the root `run_id`, each once by its `seq` (from 1). Answer: `Appended`."""

    run_id: str
    facts: tuple[Fact, ...]


class LoadRegistry(msgspec.Struct, frozen=True, kw_only=True, tag="load_registry"):
    """These are the files: merge them into the registry (`registry.merge`). Answer: `Committed`.

    Attributes:
        docs: Every entry of the files, valid and with each other.
        places: Where they stand, by id.
        author: Who does it.
        comment: Why.
        origin: Where the entries come from: the configuration folder.
        seen: Digest of the files, to be remembered with what they said; empty: it is not known.
        expected_version: Version it was based on; another is a `Conflict`. None takes any.
        credential: The root's own: only an operator loads files.
    """

    docs: tuple[EntryDoc, ...]
    places: dict[str, EntryPlace] = {}
    author: str = ""
    comment: str = ""
    origin: str = ""
    seen: str = ""
    expected_version: int | None = None
    credential: bytes = b""


class Backup(msgspec.Struct, frozen=True, tag="backup"):
    """Copy the state environment into the new folder `path` (absolute), which can then serve as
    a state folder. Answer: `BackedUp`."""

    path: str


class ForgetVersions(msgspec.Struct, frozen=True, tag="forget_versions"):
    """Forget all versions of the registry but the last `keep` (at least 1), for the root, which
    shows its `credential`. Answer: `Forgotten`."""

    keep: int
    credential: bytes = b""


Asked = AppendHistory | LoadRegistry | ApplyChanges | ApplyVersion | ForgetVersions | Backup


class Appended(msgspec.Struct, frozen=True, tag="appended"):
    """`count` of the facts were new."""

    count: int


class BackedUp(msgspec.Struct, frozen=True, tag="backed_up"):
    """The copy is on the disk; it has `size_bytes`."""

    size_bytes: int


class Forgotten(msgspec.Struct, frozen=True, tag="forgotten"):
    """`count` versions were forgotten; `oldest` is the oldest that can be looked at (0: all)."""

    count: int
    oldest: int


Answered = Appended | Committed | Forgotten | BackedUp | Failure


FromKeeper = Appended | Committed | Forgotten | BackedUp | Failure | Welcome

to_keeper: FrameDecoder[Asked] = FrameDecoder(Asked, limit_bytes=MAX_KEEPER_FRAME_BYTES)
from_keeper: FrameDecoder[FromKeeper] = FrameDecoder(FromKeeper)
