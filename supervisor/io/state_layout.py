"""Layout of the state environment: tables, keys, rows (docs/journal.md describes them).

Numbers in keys are big-endian, so that byte order is their order. Rows are msgpack with field
names: unknown fields are accepted, new ones have defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, takewhile
from pathlib import Path

import msgspec

from supervisor.core.facts import Fact
from supervisor.core.registry.changeset import Change, Changeset
from supervisor.core.registry.version import Version
from supervisor.io.lmdb_env import META, Format
from supervisor.io.lmdb_tx import Tx
from wippy.core.entry import DATA_KIND, EntryDoc, EntryPlace, decode_doc
from wippy.core.registry import (
    REGISTRY,
    REGISTRY_BY_KIND,
    REGISTRY_CHANGES,
    REGISTRY_VERSIONS,
    STATE_FOLDER,
    STATE_VERSION,
    ChangeRow,
    StoredEntry,
    decode_change_row,
    decode_stored,
    decode_version,
    encode_row,
    kind_prefix,
    number_key,
    number_of,
)
from wippy.errors import NotFound

__all__ = [
    "REGISTRY",
    "REGISTRY_BY_KIND",
    "REGISTRY_CHANGES",
    "REGISTRY_VERSIONS",
    "ChangeRow",
    "StoredEntry",
    "encode_row",
    "kind_prefix",
    "number_key",
    "number_of",
]

FACTS = "facts"
FACTS_BY_SEQ = "facts_by_seq"
FACTS_BY_CHILD = "facts_by_child"
FACTS_BY_TIME = "facts_by_time"
REGISTRY_FILES = "registry_files"
REGISTRY_PLACES = "registry_places"
APPLIED = "applied"
APPLIED_ORDER = "applied_order"

SOURCE_KEY = b"registry_source"
"""In `meta`: the configuration that was loaded last."""
SEEN_KEY = b"registry_seen"
"""In `meta`: the digest of its files as they were then; empty where it is not known."""


def _documents(tx: Tx) -> None:
    """Format 1 held a copy of typed entries, which no document can be made of. It came from files
    alone, so the files fill the registry again; the numbers of its versions go on."""
    last = tx.last_key(REGISTRY_VERSIONS)
    for table in (REGISTRY, REGISTRY_CHANGES, REGISTRY_VERSIONS, APPLIED, APPLIED_ORDER):
        tx.clear(table)
    if last is not None:
        comment = "migrated from format 1: the entries are read from the files again"
        version = Version(number=number_of(last), at_s=0.0, author="keeper", comment=comment)
        tx.put(REGISTRY_VERSIONS, last, encode_row(version))


STATE_FORMAT = Format(
    name="state database",
    version=STATE_VERSION,
    migrations={1: _documents},
    tables=(
        FACTS,
        FACTS_BY_SEQ,
        FACTS_BY_CHILD,
        FACTS_BY_TIME,
        REGISTRY,
        REGISTRY_BY_KIND,
        REGISTRY_FILES,
        REGISTRY_PLACES,
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


decode_fact_row = msgspec.msgpack.Decoder(FactRow).decode
decode_place = msgspec.msgpack.Decoder(EntryPlace).decode


def state_folder(state_dir: Path) -> Path:
    """Return the folder of the state environment."""
    return state_dir / STATE_FOLDER


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


def versions_of(tx: Tx, entry_id: str) -> Iterator[Version]:
    """Yield the versions that changed an entry, newest first."""
    for key, row in tx.scan_back(REGISTRY_VERSIONS):
        if tx.get(REGISTRY_CHANGES, change_key(number_of(key), entry_id)) is not None:
            yield decode_version(row)


def read_entry(tx: Tx, entry_id: str) -> StoredEntry | None:
    """Return an entry, or None."""
    row = tx.get(REGISTRY, entry_id.encode())
    return None if row is None else decode_stored(row)


def read_entries(tx: Tx) -> dict[str, bytes]:
    """Return every entry's encoded document by id, in the order of the ids."""
    return {key.decode(): bytes(decode_stored(row).doc) for key, row in tx.scan(REGISTRY)}


def read_structural(tx: Tx) -> Iterator[EntryDoc]:
    """Yield the documents of all entries that are more than plain data, by kind; what plain data
    there is costs nothing."""
    plain = kind_prefix(DATA_KIND)
    behind_plain = DATA_KIND.encode() + b"\1"
    before = takewhile(lambda row: row[0] < plain, tx.scan(REGISTRY_BY_KIND))
    for key, _ in chain(before, tx.scan(REGISTRY_BY_KIND, start=behind_plain)):
        row = read_entry(tx, key.partition(b"\0")[2].decode())
        if row is not None:
            yield decode_doc(row.doc)


def read_files(tx: Tx) -> dict[str, bytes]:
    """Return every entry's encoded document as its file last said it."""
    return {key.decode(): row for key, row in tx.scan(REGISTRY_FILES)}


def read_file(tx: Tx, entry_id: str) -> bytes | None:
    """Return an entry's encoded document as its file last said it, or None."""
    return tx.get(REGISTRY_FILES, entry_id.encode())


def read_place(tx: Tx, entry_id: str) -> EntryPlace | None:
    """Return where an entry stands, if it is in a file."""
    row = tx.get(REGISTRY_PLACES, entry_id.encode())
    return None if row is None else decode_place(row)


def read_source(tx: Tx) -> str:
    """Return the configuration that was loaded last; empty where there was none."""
    return (tx.get(META, SOURCE_KEY) or b"").decode()


def oldest_version(tx: Tx) -> int:
    """Return the oldest version whose entries are known: 0 until one was forgotten."""
    first = tx.first_key(REGISTRY_VERSIONS)
    if first is None:
        return 0
    row = tx.get(REGISTRY_VERSIONS, first)
    is_beginning = number_of(first) == 1 and row is not None and decode_version(row).at_s > 0
    return 0 if is_beginning else number_of(first)


def check_version(tx: Tx, version: int) -> None:
    """Raise `NotFound` for a version that is not there, not yet or not any more."""
    current, oldest = current_version(tx), oldest_version(tx)
    if not 0 <= version <= current:
        raise NotFound(f"the registry has no version {version}; it is at version {current}")
    if version < oldest:
        raise NotFound(f"version {version} of the registry was forgotten; the oldest is {oldest}")


def changes_since(tx: Tx, version: int) -> Iterator[Changeset]:
    """Yield what the versions after `version` changed, oldest first."""
    return (read_changes(tx, n) for n in range(version + 1, current_version(tx) + 1))


def read_changes(tx: Tx, version: int) -> Changeset:
    """Return what version `version` changed."""
    rows = tx.scan(REGISTRY_CHANGES, number_key(version))
    return Changeset(tuple(_change(key, row) for key, row in rows))


def changed_structural(tx: Tx, version: int) -> Iterator[str]:
    """Yield the ids of what was, or is, more than plain data, and was changed after `version`; one
    that was changed twice comes twice."""
    for key, row in tx.scan(REGISTRY_CHANGES, start=number_key(version + 1)):
        change = decode_change_row(row)
        if not (_is_plain(change.old) and _is_plain(change.new)):
            yield key[8:].decode()


def read_facts(tx: Tx, child_id: str = "") -> Iterator[FactRow]:
    """Yield facts (of one child, if given) newest first; one that cannot be read is skipped.

    A newer wippy-supervisor may have written kinds of facts that this one does not know.
    """
    for row in _fact_rows(tx, child_id):
        try:
            yield decode_fact_row(row)
        except msgspec.ValidationError:
            continue


def _is_plain(doc: bytes | None) -> bool:
    return doc is None or _decode_kind(doc).kind == DATA_KIND


class _Kind(msgspec.Struct):
    kind: str


_decode_kind = msgspec.msgpack.Decoder(_Kind).decode


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
