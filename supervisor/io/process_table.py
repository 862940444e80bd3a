"""The run environment: the root's table of the processes it runs, for the root after it, and the
directory, for all processes of the node (`wippy.core.directory`).

Written by the root alone, never synced: a row is in the kernel's page cache when `put` returns, so
a `kill -9` of the root loses nothing; a reboot may lose or tear it all, and then it means nothing
any more, so the table of another boot is thrown away unread. A damaged one is put aside and a new
one begun: its loss must never stop a start.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import msgspec

from supervisor.io.lmdb_env import Format, LmdbEnv
from supervisor.io.lmdb_errors import explain
from supervisor.io.lmdb_tx import Tx
from wippy.core.directory import RUN_FOLDER
from wippy.core.directory import TABLE as DIRECTORY
from wippy.errors import Internal, Invalid, WippyError

BOOT_FILE = "boot_id"
OPENING_FILE = "opening"
DAMAGED_SUFFIX = ".damaged"
FIRST_MAP_BYTES = 16 * 2**20

PROCESSES = "processes"
GENERATIONS = "generations"
NODE = "node"
_NODE_KEY = b"node"

RUN_FORMAT = Format(
    name="run database",
    version=2,
    tables=(PROCESSES, GENERATIONS, NODE, DIRECTORY),
    migrations={1: lambda _tx: None},  # the directory is new, and begins empty
)


class ProcessRow(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was started and has not been confirmed dead.

    Attributes:
        child_id: Child id; with `generation` the key of the row.
        generation: Its start, from 1.
        boot_id: `/proc/sys/kernel/random/boot_id` when it was started.
        pid: OS pid.
        start_ticks: Field 22 of `/proc/<pid>/stat`: with boot id and pid, who it is.
        kind: Kind of the child.
        endpoint: Where its control socket connects to, or its own endpoint; empty if it has none.
        stop_signal: What asks it to stop.
        started_at_s: UTC, seconds since the epoch.
        is_foreign: A foreign program.
        stop_timeout_s: Time it has to obey.
    """

    child_id: str
    generation: int
    boot_id: str
    pid: int
    start_ticks: int
    kind: str = ""
    endpoint: str = ""
    stop_signal: int = 15
    started_at_s: float = 0.0
    is_foreign: bool = False
    stop_timeout_s: float = 10.0


class NodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a new root takes over besides processes.

    Attributes:
        root_starts: Roots so far.
        started_at_s: UTC start of the node, seconds since the epoch; 0 before the first root.
        restarts: Automatic restarts since then.
        held: Children that an operator holds down, sorted.
    """

    root_starts: int = 0
    started_at_s: float = 0.0
    restarts: int = 0
    held: tuple[str, ...] = ()


class ProcessTable:
    """The table, open for its one writer. Each method is one transaction, tens of microseconds.

    Args:
        run_dir: The node's run folder.
        boot_id: Of this boot of the machine.

    Attributes:
        lost: Why an earlier table could not be used, in words, for an alarm; empty if it could.

    Raises:
        PermissionDenied, Unavailable: The run folder cannot be written.
    """

    def __init__(self, run_dir: Path, boot_id: str) -> None:
        self.lost = ""
        self._folder = run_dir / RUN_FOLDER
        self._discard_other_boot(boot_id)
        try:
            self._env = self._open(boot_id)
        except (Invalid, Internal) as error:
            self._put_aside(str(error))
            self._env = self._open(boot_id)

    def put(self, row: ProcessRow) -> None:
        """Store a row, over one of the same child and generation; counts the generation too."""

        def work(tx: Tx) -> None:
            tx.put(PROCESSES, _row_key(row.child_id, row.generation), msgspec.msgpack.encode(row))
            _raise_generation(tx, row.child_id, row.generation)

        self._env.write(work)

    def delete(self, child_id: str, generation: int) -> None:
        """Remove a row, if it is there; its process is confirmed dead."""
        self._env.write(lambda tx: tx.delete(PROCESSES, _row_key(child_id, generation)))

    def rows(self) -> list[ProcessRow]:
        """Return all rows, by child id and generation."""
        decode = msgspec.msgpack.Decoder(ProcessRow).decode
        return self._env.read(lambda tx: [decode(row) for _, row in tx.scan(PROCESSES)])

    def note_generation(self, child_id: str, generation: int) -> None:
        """Count a start that has no process of its own (an actor of a pool)."""
        self._env.write(lambda tx: _raise_generation(tx, child_id, generation))

    def generations(self) -> dict[str, int]:
        """Return the last generation of each child: the next start is one more."""
        return self._env.read(
            lambda tx: {key.decode(): int(value) for key, value in tx.scan(GENERATIONS)}
        )

    def forget_generation(self, child_id: str) -> None:
        """Forget the generations of a child whose id is never used again."""
        self._env.write(lambda tx: tx.delete(GENERATIONS, child_id.encode()))

    def write_directory(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Store rows of the directory by key; None removes. Processes read them at once."""

        def work(tx: Tx) -> None:
            for key, row in rows.items():
                if row is None:
                    tx.delete(DIRECTORY, key)
                else:
                    tx.put(DIRECTORY, key, row)

        self._env.write(work)

    def clear_directory(self) -> None:
        """Remove all rows of the directory: nobody lives yet."""
        self._env.write(lambda tx: tx.clear(DIRECTORY))

    def clear_stale_readers(self) -> int:
        """Free the reader slots of killed processes, which hold back old pages; return how many."""
        return self._env.clear_stale_readers()

    def node(self) -> NodeRow:
        """Return what is known of the node."""
        return self._env.read(_read_node)

    def note_root_start(self, now_s: float) -> NodeRow:
        """Count a start of a root at `now_s` (UTC seconds) and return the row after it."""
        return self._change_node(
            lambda node: msgspec.structs.replace(
                node,
                root_starts=node.root_starts + 1,
                started_at_s=node.started_at_s or now_s,
            )
        )

    def note_restart(self) -> NodeRow:
        """Count an automatic restart."""
        return self._change_node(
            lambda node: msgspec.structs.replace(node, restarts=node.restarts + 1)
        )

    def set_held(self, child_ids: Collection[str]) -> None:
        """Store which children an operator holds down."""
        held = tuple(sorted(child_ids))
        self._change_node(lambda node: msgspec.structs.replace(node, held=held))

    def forget_node(self) -> None:
        """Begin anew, as a node that is started by a user and not by its guardian: counters and
        holds are cleared; the processes and the generations stay (they may still be running)."""
        self._env.write(lambda tx: tx.clear(NODE))

    def close(self) -> None:
        """Close it."""
        self._env.close()

    def _change_node(self, change: Callable[[NodeRow], NodeRow]) -> NodeRow:
        def work(tx: Tx) -> NodeRow:
            node = change(_read_node(tx))
            tx.put(NODE, _NODE_KEY, msgspec.msgpack.encode(node))
            return node

        return self._env.write(work)

    # --- opening ----------------------------------------------------------------------------------

    def _open(self, boot_id: str) -> LmdbEnv:
        """Open it and read it all; what kills a process that reads it is found out only once."""
        opening = self._folder / OPENING_FILE
        if opening.exists():
            raise Invalid("the process that opened it before died at it")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            opening.touch()
            try:
                env = self._open_checked()
            finally:
                opening.unlink()
            (self._folder / BOOT_FILE).write_text(boot_id)
        except OSError as error:
            raise explain(error, self._folder) from error
        return env

    def _open_checked(self) -> LmdbEnv:
        env = LmdbEnv(self._folder, RUN_FORMAT, is_synced=False, map_bytes=FIRST_MAP_BYTES)
        try:
            env.read(_check_rows)
        except (msgspec.DecodeError, ValueError) as error:
            env.close()
            raise Invalid(f"a row cannot be read: {error}") from error
        except WippyError:
            env.close()
            raise
        return env

    def _discard_other_boot(self, boot_id: str) -> None:
        try:
            found = (self._folder / BOOT_FILE).read_text()
        except (OSError, UnicodeDecodeError):
            return  # none yet, or a damaged one: opening it will tell
        if found != boot_id:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _put_aside(self, why: str) -> None:
        aside = self._folder.with_name(self._folder.name + DAMAGED_SUFFIX)
        try:
            if aside.is_dir():
                shutil.rmtree(aside)
            self._folder.rename(aside)
        except OSError as error:
            raise explain(error, self._folder) from error
        self.lost = (
            f"the process table could not be read ({why}); it is now {aside}, a new one was begun: "
            "processes of an earlier root are not known any more"
        )


def _row_key(child_id: str, generation: int) -> bytes:
    return child_id.encode() + b"\0" + generation.to_bytes(8, "big")


def _raise_generation(tx: Tx, child_id: str, generation: int) -> None:
    key = child_id.encode()
    known = tx.get(GENERATIONS, key)
    if known is None or int(known) < generation:
        tx.put(GENERATIONS, key, str(generation).encode())


def _read_node(tx: Tx) -> NodeRow:
    row = tx.get(NODE, _NODE_KEY)
    return NodeRow() if row is None else msgspec.msgpack.decode(row, type=NodeRow)


def _check_rows(tx: Tx) -> None:
    _read_node(tx)
    _consume(int(value) for _, value in tx.scan(GENERATIONS))
    decode = msgspec.msgpack.Decoder(ProcessRow).decode
    _consume(decode(row) for _, row in tx.scan(PROCESSES))


def _consume(values: Iterable[object]) -> None:
    for _ in values:
        pass
