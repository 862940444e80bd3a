"""A keeper that kills itself (SIGKILL) at a point of a commit that `DIES_AT` names.

`write:N`: when the Nth row of `registry_changes` has been put, within the transaction.
`commit`: when all has been put, before the transaction is committed.
`answer`: when it has been committed, before anybody is answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import keeper_process

from supervisor.io.lmdb_env import LmdbEnv
from supervisor.io.lmdb_tx import Tx
from wippy.core.registry import REGISTRY_CHANGES

MOMENT, _, NUMBER = os.environ["DIES_AT"].partition(":")
put, write = Tx.put, LmdbEnv.write
rows = 0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def counting_put(tx: Tx, table: str, key: bytes, value: bytes = b"") -> None:
    global rows
    put(tx, table, key, value)
    rows += table == REGISTRY_CHANGES
    if MOMENT == "write" and rows == int(NUMBER):
        die()


def dying_write(env: LmdbEnv, work: Callable[[Tx], Any]) -> Any:
    def working(tx: Tx) -> Any:
        result = work(tx)
        if MOMENT == "commit" and rows:
            die()
        return result

    result = write(env, working)
    if MOMENT == "answer" and rows:
        die()
    return result


Tx.put = counting_put  # type: ignore[method-assign]
LmdbEnv.write = dying_write  # type: ignore[method-assign,assignment]

if __name__ == "__main__":
    asyncio.run(keeper_process.run())
