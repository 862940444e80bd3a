"""The run folder under a node that runs: cleaners of /tmp, and people, delete it.

What is connected stays so, but nobody new can reach a socket whose name is gone, and the process
table is lost to the next root. So the node makes the folder anew and begins anew in it: everything
is stopped in order, by the connections that still stand, and the guardian starts another root.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from supervisor.io.node_file import BLUEPRINT, SOCKET, NodeFile, replace_file, write_node_file

if TYPE_CHECKING:
    from supervisor.root.root import Root

START_ANEW_CODE = 79
"""What a root ends with that wants a successor: it tells the guardian no code for the node."""


class RunFolder:
    """Looks whether the root's socket still has its name.

    Args:
        root: Whose folder it is; its socket is bound.
        log_format: As in the node file.
    """

    def __init__(self, root: Root, log_format: str) -> None:
        self._root = root
        self._log_format = log_format
        self._path = Path(root.runtime.run_dir)
        self._made = _inode(self._path / SOCKET)
        self._noting: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin anew if the folder, or the socket in it, was deleted."""
        root = self._root
        if root.is_closing or _inode(self._path / SOCKET) == self._made:
            return
        lost = f"the run folder {self._path}, or what was in it, was deleted"
        try:
            self._restore()
        except OSError as error:
            root.alarm(f"{lost}, and cannot be made anew: {error}; the node is stopped")
            root.shut_down(lost, code=1)
            return
        root.alarm(f"{lost}: everything is stopped in order, and started anew")
        root.shut_down(lost, code=START_ANEW_CODE)

    def note_blueprint(self) -> None:
        """Leave the blueprint for the next root; raises `OSError`."""
        replace_file(self._path / BLUEPRINT, msgspec.msgpack.encode(self._root.blueprint))

    def note_blueprint_soon(self) -> None:
        """The same from a thread; what cannot be written is an alarm."""

        async def note() -> None:
            try:
                await asyncio.to_thread(self.note_blueprint)
            except OSError as error:
                self._root.alarm(f"changed settings are lost with this root: {error}")

        self._noting = self._root.loop.create_task(note())

    def _restore(self) -> None:
        """Leave what the guardian and the next root read there, and clients."""
        root = self._root
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.note_blueprint()
        node = NodeFile(
            node=root.runtime.node,
            source=root.blueprint.source,
            state_dir=root.runtime.state_dir,
            run_dir=root.runtime.run_dir,
            log_dir=root.runtime.log_dir,
            guardian_pid=root.guardian_pid,
            root_pid=os.getpid(),
            log_format=self._log_format,
        )
        write_node_file(self._path, node)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
