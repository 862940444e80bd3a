"""The end of a log file, read again when it has changed: rotated, truncated or grown."""

from __future__ import annotations

import os
from pathlib import Path

TAIL_BYTES = 128 * 1024
"""Some screens to scroll back; `logs` has the rest."""


class LogTail:
    """Reads the end of one file at a time."""

    def __init__(self) -> None:
        self._path = ""
        self._seen: tuple[int, int, int] | None = None

    def read(self, path: str) -> tuple[tuple[str, ...], str] | None:
        """Return the last lines of `path` and a note if there are none; None if all is as it was
        at the last call."""
        if path != self._path:
            self._path, self._seen = path, None
            if not path:
                return (), ""
        if not path:
            return None
        try:
            return self._read_if_changed(Path(path))
        except OSError as error:
            is_told, self._seen = self._seen == _UNREADABLE, _UNREADABLE
            return None if is_told else ((), f"cannot read {path}: {error.strerror}")

    def _read_if_changed(self, path: Path) -> tuple[tuple[str, ...], str] | None:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            state = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if state == self._seen:
                return None
            self._seen = state
            start = max(0, stat.st_size - TAIL_BYTES)
            file.seek(start)
            text = file.read(TAIL_BYTES).decode(errors="replace")
        lines = text.splitlines()
        return tuple(lines[1:] if start else lines), ""


_UNREADABLE = (-1, -1, -1)
