"""The directory: who can be reached, as every process of the node reads it.

The order is the promise: a row is there when a service has become READY, and it is gone before
anybody is told of the end, so whoever was told never finds the dead one. A row is written only when
it changes, and what belongs together in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from supervisor.root.names import Names
from wippy.core.directory import (
    Address,
    HostAddress,
    encode_row,
    host_key,
    known_key,
    name_key,
    promised_key,
    service_key,
)
from wippy.core.ids import Pid
from wippy.errors import Unavailable


class Rows(Protocol):
    """Where the rows are stored."""

    def write_directory(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Store rows by key, in one transaction; None removes."""


class Directory:
    """The directory of one root.

    Args:
        rows: Where it is stored; it must be empty.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._names = Names()
        self._services: dict[str, tuple[Pid, int]] = {}
        self._by_process: dict[tuple[str, int], set[str]] = {}
        self._hosts: dict[str, HostAddress] = {}
        self._promised: dict[str, HostAddress] = {}

    # --- services ---

    def put_service(self, id: str, pid: Pid, generation: int) -> None:
        """A service is READY: from now on it is found."""
        self._forget(id)
        self._services[id] = (pid, generation)
        self._by_process.setdefault((pid.slot, pid.generation), set()).add(id)
        row = encode_row(Address(str(pid), generation))
        # The second outlives the service: who calls it meanwhile waits, instead of being told that
        # there is none.
        self._rows.write_directory({service_key(id): row, known_key(id): row})

    def actor_gone(self, id: str, pid: Pid) -> None:
        """A supervised actor of a pool has ended: it, and what names it had, are not found."""
        gone: dict[bytes, None] = {}
        if id in self._services and self._services[id][0] == pid:
            gone[service_key(id)] = None
            self._forget(id)
        self._remove(gone, self._names.free_actor(pid))

    def process_gone(self, slot: str, generation: int) -> None:
        """An OS process has ended: nothing that lived in it is found."""
        ids = tuple(self._by_process.get((slot, generation), ()))
        for id in ids:
            self._forget(id)
        gone = dict.fromkeys(map(service_key, ids))
        self._remove(gone, self._names.free_process(slot, generation))

    def _forget(self, id: str) -> None:
        known = self._services.pop(id, None)
        if known is None:
            return
        key = (known[0].slot, known[0].generation)
        self._by_process[key].discard(id)
        if not self._by_process[key]:
            del self._by_process[key]

    def _remove(self, gone: dict[bytes, None], names: tuple[str, ...]) -> None:
        gone.update(dict.fromkeys(map(name_key, names)))
        if gone:
            self._rows.write_directory(gone)

    # --- names ---

    def claim(self, name: str, pid: Pid) -> Pid:
        """Give `name` to `pid` if nobody has it; return who has it now.

        Raises:
            Invalid: It can be no name.
            Unavailable: There are too many.
        """
        key = name_key(name)
        if self._names.holder(name) is None:
            if self._names.is_full:
                raise Unavailable("no more names can be registered in this node")
            self._rows.write_directory({key: encode_row(Address(str(pid), pid.generation))})
        return self._names.claim(name, pid)

    def free(self, name: str, pid: Pid) -> bool:
        """Take `name` from `pid`; False if it is not that pid's."""
        if not self._names.free(name, pid):
            return False
        self._remove({}, (name,))
        return True

    # --- hosts ---

    def put_host(self, id: str, workers: tuple[tuple[str, int, int], ...]) -> None:
        """Say which workers of a pool take actors; a pool without any is not found."""
        address = HostAddress(workers)
        if self._hosts.get(id, HostAddress(())) == address:
            return
        self._hosts[id] = address
        self._rows.write_directory({host_key(id): encode_row(address) if workers else None})

    def put_promised(self, id: str, workers: tuple[tuple[str, int, int], ...]) -> None:
        """Say which workers a pool is about to have."""
        address = HostAddress(workers)
        if self._promised.get(id, HostAddress(())) == address:
            return
        self._promised[id] = address
        self._rows.write_directory({promised_key(id): encode_row(address) if workers else None})
