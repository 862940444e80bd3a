"""Layout of the state environment: tables, keys, rows (docs/journal.md describes them).

Numbers in keys are big-endian, so that byte order is their order. Rows are msgpack with field
names: unknown fields are accepted, new ones have defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from supervisor.core.facts import Fact
from supervisor.core.registry.changeset import Change, Changeset
from supervisor.core.registry.version import Version
from supervisor.io.lmdb_env import Format
from supervisor.io.lmdb_tx import Tx

STATE_FOLDER = "state.lmdb"
"""The environment within the state folder."""

FACTS = "facts"
FACTS_BY_SEQ = "facts_by_seq"
FACTS_BY_CHILD = "facts_by_child"
FACTS_BY_TIME = "facts_by_time"
REGISTRY = "registry"
REGISTRY_VERSIONS = "registry_versions"
REGISTRY_CHANGES = "registry_changes"
APPLIED = "applied"
APPLIED_ORDER = "applied_order"

STATE_FORMAT = Format(
    name="state database",
    version=1,
    tables=(
        FACTS,
        FACTS_BY_SEQ,
        FACTS_BY_CHILD,
        FACTS_BY_TIME,
        REGISTRY,
        REGISTRY_VERSIONS,
        REGISTRY_CHANGES,
        APPLIED,
        APPLIED_ORDER,
    ),
)


class FactRow(msgspec.Struct, frozen=True):
    """A fact and the root that saw it."""

    run_id: str
    fact: Fact


class EntryRow(msgspec.Struct, frozen=True):
    """An entry: its value, the version that wrote it, and where it came from."""

    value: bytes
    version: int
    origin: str = ""


class ChangeRow(msgspec.Struct, frozen=True):
    """What a version did to one entry; None is "not there"."""

    old: bytes | None
    new: bytes | None


encode_row = msgspec.msgpack.Encoder().encode
decode_fact_row = msgspec.msgpack.Decoder(FactRow).decode
decode_entry_row = msgspec.msgpack.Decoder(EntryRow).decode
decode_change_row = msgspec.msgpack.Decoder(ChangeRow).decode
decode_version = msgspec.msgpack.Decoder(Version).decode


def state_folder(state_dir: Path) -> Path:
    """Return the folder of the state environment."""
    return state_dir / STATE_FOLDER


def number_key(number: int) -> bytes:
    """Return the key of a number, 0 to 2**64 - 1."""
    return number.to_bytes(8, "big")


def number_of(key: bytes) -> int:
    """Return the number at the end of a key."""
    return int.from_bytes(key[-8:], "big")


def text_prefix(text: str) -> bytes:
    """Return the beginning of keys that start with `text`; its end is marked with a NUL."""
    return text.encode() + b"\0"


def seq_key(run_id: str, seq: int) -> bytes:
    """Return the key of a fact in `facts_by_seq`."""
    return text_prefix(run_id) + number_key(seq)


def child_key(child_id: str, number: int) -> bytes:
    """Return the key of fact `number` in `facts_by_child`."""
    return text_prefix(child_id) + number_key(number)


def time_key(at_s: float, number: int) -> bytes:
    """Return the key of fact `number` in `facts_by_time`: microseconds, then the number."""
    return number_key(max(0, round(at_s * 1e6))) + number_key(number)


def change_key(version: int, entry_id: str) -> bytes:
    """Return the key of a change in `registry_changes`."""
    return number_key(version) + entry_id.encode()


def current_version(tx: Tx) -> int:
    """Return the registry's version; 0 before the first."""
    last = tx.last_key(REGISTRY_VERSIONS)
    return 0 if last is None else number_of(last)


def read_version(tx: Tx, number: int) -> Version | None:
    """Return version `number`, or None."""
    row = tx.get(REGISTRY_VERSIONS, number_key(number))
    return None if row is None else decode_version(row)


def read_versions(tx: Tx, limit: int) -> list[Version]:
    """Return the last `limit` versions, newest first."""
    rows = tx.scan_back(REGISTRY_VERSIONS)
    return [decode_version(row) for _, row in islice(rows, max(0, limit))]


def read_entry(tx: Tx, entry_id: str) -> EntryRow | None:
    """Return an entry, or None."""
    row = tx.get(REGISTRY, entry_id.encode())
    return None if row is None else decode_entry_row(row)


def read_entries(tx: Tx) -> dict[str, bytes]:
    """Return every entry's value by id, in the order of the ids."""
    return {key.decode(): decode_entry_row(row).value for key, row in tx.scan(REGISTRY)}


def read_changes(tx: Tx, version: int) -> Changeset:
    """Return what version `version` changed."""
    rows = tx.scan(REGISTRY_CHANGES, number_key(version))
    return Changeset(tuple(_change(key, row) for key, row in rows))


def read_facts(tx: Tx, child_id: str = "") -> Iterator[FactRow]:
    """Yield facts (of one child, if given) newest first; one that cannot be read is skipped.

    A newer wippy-supervisor may have written kinds of facts that this one does not know.
    """
    for row in _fact_rows(tx, child_id):
        try:
            yield decode_fact_row(row)
        except msgspec.ValidationError:
            continue


def _fact_rows(tx: Tx, child_id: str) -> Iterator[bytes]:
    if not child_id:
        yield from (row for _, row in tx.scan_back(FACTS))
        return
    for key, _ in tx.scan_back(FACTS_BY_CHILD, text_prefix(child_id)):
        row = tx.get(FACTS, key[-8:])
        if row is not None:
            yield row


def _change(key: bytes, row: bytes) -> Change:
    change = decode_change_row(row)
    return Change(key[8:].decode(), change.old, change.new)
