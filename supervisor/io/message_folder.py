"""The folder of the sockets between processes: `<run_dir>/m`, mode 0700.

A process makes its own socket and is often killed before it can remove it. The root removes it
then; no path is ever used by two processes, since a generation is part of it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from wippy.core.directory import MESSAGE_FOLDER
from wippy.core.ids import socket_name
from wippy.errors import Unavailable


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
            self.path.mkdir(mode=0o700, exist_ok=True)
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
