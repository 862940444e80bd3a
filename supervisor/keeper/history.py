"""The history of the node: facts, each stored once, the oldest forgotten.

Facts are numbered in the order in which they arrive, which a clock that is set back cannot
change; trimming and reading go by that number. Everything is checked before anything is written.
"""

from __future__ import annotations

from itertools import islice

import msgspec

from supervisor.core.facts import Fact
from supervisor.core.keeping import MAX_RUN_ID_LENGTH, Appended, AppendHistory
from supervisor.io import state_layout as layout
from supervisor.io.lmdb_tx import Tx
from wippy.errors import Invalid

MAX_CHILD_ID_BYTES = 256
"""Of a fact's child id: an entry id (128) and a number."""
MAX_AT_S = 1e12
"""Times are stored as microseconds in 64 bits."""
MAX_SEQ = 2**63
TRIM_MAX = 10_000
"""Facts forgotten by one append at most: after the limit was lowered, no commit takes seconds."""


class _FactKeys(msgspec.Struct, frozen=True):
    seq: int
    at_s: float = 0.0
    id: str = ""


class _RowKeys(msgspec.Struct, frozen=True):
    """As much of a row as its index needs, even where the rest is of a newer program."""

    run_id: str
    fact: _FactKeys


_decode_keys = msgspec.msgpack.Decoder(_RowKeys).decode


def append(tx: Tx, request: AppendHistory, *, limit: int) -> Appended:
    """Store the facts that are new, forget the oldest above `limit`; `Invalid` stores nothing."""
    _check(request)
    new = 0
    for fact in request.facts:
        if tx.get(layout.FACTS_BY_SEQ, layout.seq_key(request.run_id, fact.seq)) is None:
            _store(tx, request.run_id, fact)
            new += 1
    _trim(tx, limit)
    return Appended(new)


def _check(request: AppendHistory) -> None:
    run_id = request.run_id
    if not 0 < len(run_id.encode()) <= MAX_RUN_ID_LENGTH or "\0" in run_id:
        raise Invalid(f"{run_id!r} is no run id: 1 to {MAX_RUN_ID_LENGTH} bytes without NUL")
    for fact in request.facts:
        if not 0 < fact.seq < MAX_SEQ:
            raise Invalid(f"a fact has the sequence number {fact.seq}; they begin at 1")
        if not 0 <= fact.at_s < MAX_AT_S:
            raise Invalid(f"fact {fact.seq} is of the time {fact.at_s}")
        if len(fact.id.encode()) > MAX_CHILD_ID_BYTES or "\0" in fact.id:
            raise Invalid(f"fact {fact.seq} is about {fact.id!r}, which is no child id")


def _store(tx: Tx, run_id: str, fact: Fact) -> None:
    last = tx.last_key(layout.FACTS)
    number = 1 if last is None else layout.number_of(last) + 1
    key = layout.number_key(number)
    tx.append(layout.FACTS, key, layout.encode_row(layout.FactRow(run_id, fact)))
    tx.put(layout.FACTS_BY_SEQ, layout.seq_key(run_id, fact.seq), key)
    tx.put(layout.FACTS_BY_TIME, layout.time_key(fact.at_s, number))
    if fact.id:
        tx.put(layout.FACTS_BY_CHILD, layout.child_key(fact.id, number))


def _trim(tx: Tx, limit: int) -> None:
    surplus = min(tx.count(layout.FACTS) - limit, TRIM_MAX)
    for key, row in list(islice(tx.scan(layout.FACTS), max(0, surplus))):
        _forget(tx, layout.number_of(key), _decode_keys(row))


def _forget(tx: Tx, number: int, row: _RowKeys) -> None:
    tx.delete(layout.FACTS, layout.number_key(number))
    tx.delete(layout.FACTS_BY_SEQ, layout.seq_key(row.run_id, row.fact.seq))
    tx.delete(layout.FACTS_BY_TIME, layout.time_key(row.fact.at_s, number))
    if row.fact.id:
        tx.delete(layout.FACTS_BY_CHILD, layout.child_key(row.fact.id, number))
