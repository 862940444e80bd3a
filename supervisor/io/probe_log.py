"""The log probe: a regular expression in what the program has written since its start."""

from __future__ import annotations

import os
import re
from pathlib import Path

from supervisor.io.rotation import data_start
from wippy.errors import Invalid

READ_BYTES = 256 * 2**10
"""Read in one attempt: what a chatty program writes in one interval, and 1 ms of the loop."""

MAX_SEARCHED_LENGTH = 4096
"""Bytes of a line that are searched: a pattern can take time that grows with its square."""


class Search:
    """A search that goes on where the last attempt ended.

    Args:
        path: The log; it need not exist yet.
        offset: Size of the log before the program was started.
        pattern: Regular expression; searched in each line.

    Raises:
        Invalid: The pattern is none.
    """

    def __init__(self, path: Path, offset: int, pattern: str) -> None:
        self._path = path
        self._at = offset
        self._partial = b""
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise Invalid(f"{pattern!r} is no regular expression: {error}") from error

    async def has_matched(self) -> bool:
        """Say whether a line written since the last attempt matches, an unfinished one too."""
        return any(self._matches(line) for line in self._new_lines())

    def _matches(self, line: bytes) -> bool:
        text = line[:MAX_SEARCHED_LENGTH].decode("utf-8", "replace")
        return self._pattern.search(text) is not None

    def _new_lines(self) -> list[bytes]:
        data = self._partial + self._read()
        lines = data.split(b"\n")
        self._partial = lines[-1][: 2 * MAX_SEARCHED_LENGTH]
        return lines

    def _read(self) -> bytes:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            if os.fstat(fd).st_size < self._at:  # rotated in the meantime, or truncated
                self._at, self._partial = data_start(fd), b""
            data = os.pread(fd, READ_BYTES, self._at)
            self._at += len(data)
        finally:
            os.close(fd)
        return data
