"""The logs of children, as the root and the operators see them.

Children write their logs themselves (O_APPEND), so nothing here is on the path of a line. The
janitor keeps the files small; `tail_lines` and `Follower` read them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable

from supervisor.io.log_text import Follower, harmless, tail_lines
from supervisor.io.rotation import rotate
from wippy.errors import Unavailable

__all__ = ["Follower", "Janitor", "harmless", "rotate", "tail_lines"]

JANITOR_INTERVAL_S = 2.0
"""A child that writes 100 MB/s makes its log 200 MB too long; looking costs 2 µs a log."""


class Janitor(threading.Thread):
    """The thread that rotates logs, since rotating blocks on the disk. It never raises.

    Args:
        max_bytes: A log is rotated above this size.
        backups: Rotated files kept of each.
        on_error: Called in this thread with the path and a sentence, once for each trouble of
            each log, and again only after that log was rotated or the trouble is another.
        interval_s: Pause between two rounds.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        backups: int,
        on_error: Callable[[str, str], None],
        interval_s: float = JANITOR_INTERVAL_S,
    ) -> None:
        super().__init__(name="log-janitor", daemon=True)
        self._max_bytes = max_bytes
        self._backups = backups
        self._on_error = on_error
        self._interval_s = interval_s
        self._paths: tuple[str, ...] = ()
        self._troubles: dict[str, str] = {}
        self._stopping = threading.Event()

    def watch(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Look after exactly `paths` from now on; returns at once, from any thread."""
        self._paths = tuple(sorted({os.fspath(path) for path in paths}))

    def stop(self) -> None:
        """End after the rotation at work; returns at once."""
        self._stopping.set()

    def run(self) -> None:
        """Rotate what is too long until stopped."""
        while not self._stopping.wait(self._interval_s):
            self.sweep()

    def sweep(self) -> None:
        """Look at every log once."""
        for path in self._paths:
            if self._stopping.is_set():
                return
            self._look_at(path)

    def _look_at(self, path: str) -> None:
        try:
            if os.stat(path).st_size <= self._max_bytes:  # true of most, and cheap
                return
            is_rotated = rotate(path, max_bytes=self._max_bytes, backups=self._backups)
        except FileNotFoundError:
            return
        except OSError as error:
            self._tell(path, f"cannot rotate {path}: {error.strerror or error}")
        except Unavailable as error:
            self._tell(path, str(error))
        else:
            if is_rotated:
                self._troubles.pop(path, None)

    def _tell(self, path: str, trouble: str) -> None:
        if self._troubles.get(path) != trouble:
            self._troubles[path] = trouble
            self._on_error(path, trouble)
