"""The folder of the sockets between processes: `<run_dir>/m`.

The run folder is closed to all but the runtime's user, so nobody else gets here but a process that
stood here before it gave up that user's rights (`wippy.runtime.foothold`). That one may pass, so
that it can connect; it may not list the folder, nor make or remove anything in it.

A process makes its own socket and is often killed before it can remove it. The root removes it
then; no path is ever used by two processes, since a generation is part of it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from wippy.core.directory import MESSAGE_FOLDER
from wippy.core.ids import socket_name
from wippy.errors import Unavailable

FOLDER_MODE = 0o711


class MessageFolder:
    """The folder, made anew: whoever had a socket in it is dead.

    Args:
        run_dir: The node's run folder.

    Raises:
        Unavailable: It cannot be made.
    """

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / MESSAGE_FOLDER
        try:
            shutil.rmtree(self.path, ignore_errors=True)
            run_dir.chmod(0o700)
            self.path.mkdir(exist_ok=True)
            self.path.chmod(FOLDER_MODE)
        except OSError as error:
            raise Unavailable(f"cannot make {self.path}: {error}; is the disk full?") from error

    def remove(self, slot: str, generation: int) -> None:
        """Remove the socket of a dead process, if it had one.

        Raises:
            Unavailable: It is there and cannot be removed.
        """
        path = self.path / socket_name(slot, generation)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"cannot remove {path}: {error}") from error
