"""At most once: the answers given to the last requests, by request id.

They are written in the transaction that applies the request, so a request that is sent again, to
this keeper or the next, finds its answer, or has never been applied. The table is bounded: who
resends does so within seconds. (Requests that must not be applied twice even much later carry a
condition too: an expected version or sequence.)
"""

from __future__ import annotations

import msgspec

from supervisor.core.keeping import Answered
from supervisor.io.lmdb_tx import Tx
from supervisor.io.state_layout import APPLIED, APPLIED_ORDER, encode_row, number_key, number_of

APPLIED_LIMIT = 65_536
"""Answers kept: a few MiB."""

_decode_answer = msgspec.msgpack.Decoder(Answered).decode


def recall(tx: Tx, request_id: bytes) -> Answered | None:
    """Return the answer that was given to `request_id`, or None."""
    row = tx.get(APPLIED, request_id)
    answer: Answered | None = None if row is None else _decode_answer(row)
    return answer


def remember(tx: Tx, request_id: bytes, answer: Answered, *, limit: int = APPLIED_LIMIT) -> None:
    """Note `answer`, and forget the oldest above `limit`."""
    last = tx.last_key(APPLIED_ORDER)
    tx.append(APPLIED_ORDER, number_key(0 if last is None else number_of(last) + 1), request_id)
    tx.put(APPLIED, request_id, encode_row(answer))
    while tx.count(APPLIED_ORDER) > limit:
        _forget_oldest(tx)


def _forget_oldest(tx: Tx) -> None:
    oldest = tx.first_key(APPLIED_ORDER)
    if oldest is None:
        return
    request_id = tx.get(APPLIED_ORDER, oldest)
    if request_id is not None:
        tx.delete(APPLIED, request_id)
    tx.delete(APPLIED_ORDER, oldest)
