"""Reading the logs of children: the last lines, and following, across rotations of either kind.

What a child writes is not to be trusted: bad UTF-8 is replaced, and escape sequences and control
characters are made harmless before a line reaches anybody's terminal.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

from supervisor.io.rotation import MAX_LINE_BYTES, data_start, front_blank_bytes

TAIL_BYTES = 64 * 2**10
"""Read for the last lines: a screenful of long lines; more would only delay the answer."""

FOLLOW_BYTES = 2**20
"""Read at one time by a follower, and how far back it looks for its place after a rotation."""

_ANCHOR_BYTES = 512
"""Text before a follower's place by which it finds the place again."""

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC and the other strings: titles, links
    r"|\x1b[ -/]*[0-~]"
)
_HARMFUL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def tail_lines(
    path: str | os.PathLike[str], count: int, *, max_bytes: int = TAIL_BYTES
) -> list[str]:
    """Return the last `count` lines of the log at `path`, oldest first.

    Lines that were rotated away a moment ago are taken from `path.1`. A log that does not exist
    has no lines.

    Args:
        path: The log.
        count: Lines at most.
        max_bytes: Bytes at most that are read of each file; a line cut by this is left out.
    """
    path = os.fspath(path)
    lines, is_whole = _last_lines(path, max_bytes)
    if is_whole and len(lines) < count:
        older, _ = _last_lines(f"{path}.1", max_bytes)
        lines = older + lines
    return [harmless(line) for line in lines[-count:]] if count > 0 else []


def harmless(line: str | bytes) -> str:
    """Return one line of output as text that does nothing to a terminal.

    Colours and other escape sequences are taken out, other control characters (and those that
    turn the direction of text) are written as `\\x07`; of a line redrawn with carriage returns,
    its last state is kept. Tabs stay.
    """
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    last_state = text.rstrip("\r").rpartition("\r")[2]
    return _HARMFUL.sub(_written_out, _SEQUENCE.sub("", last_state))


class Follower:
    """The new lines of a log as they come, for `logs -f`.

    It keeps its place when the log is rotated (by its offset in a punched file, by the text
    before it in a collapsed one) and begins anew when it is truncated or replaced. A reader that
    falls behind by more than a whole rotation loses what was thrown away.

    Args:
        path: The log; it need not exist yet.
        backlog: Lines already there that the first `read` returns.
    """

    def __init__(self, path: str | os.PathLike[str], *, backlog: int = 0) -> None:
        self._path = os.fspath(path)
        self._at = 0
        self._anchor = b""
        self._partial = b""
        self._backlog = tail_lines(self._path, backlog) if backlog else []
        fd = _open(self._path)
        if fd is not None:
            try:
                self._place(fd, os.fstat(fd).st_size)
            finally:
                os.close(fd)

    def read(self) -> list[str]:
        """Return the lines that were completed since the last call, oldest first; never waits."""
        first, self._backlog = self._backlog, []
        fd = _open(self._path)
        if fd is None:
            return first
        try:
            rest = b"" if self._is_in_place(fd) else self._find_place(fd)
            new = os.pread(fd, FOLLOW_BYTES, self._at)
            if new:
                self._place(fd, self._at + len(new))
        finally:
            os.close(fd)
        return first + self._completed(rest + new)

    def lines(self, *, interval_s: float = 0.2) -> Iterator[str]:
        """Yield lines for ever, looking for new ones every `interval_s` seconds."""
        while True:
            new = self.read()
            yield from new
            if not new:
                time.sleep(interval_s)

    def _completed(self, data: bytes) -> list[str]:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > MAX_LINE_BYTES:
            lines.append(self._partial)
            self._partial = b""
        return [harmless(line) for line in lines]

    def _place(self, fd: int, at: int) -> None:
        self._at = at
        begin = max(0, at - _ANCHOR_BYTES)
        self._anchor = os.pread(fd, at - begin, begin).lstrip(b"\0")

    def _is_in_place(self, fd: int) -> bool:
        begin = self._at - len(self._anchor)
        return os.pread(fd, len(self._anchor), begin) == self._anchor and begin >= 0

    def _find_place(self, fd: int) -> bytes:
        """Set the place in a log that was rotated or replaced; return what is older, unread."""
        front, size = data_start(fd), os.fstat(fd).st_size
        if 0 < front <= self._at <= size:
            self._place(fd, self._at)  # punched: offsets stay
            return b""
        older = _read_end(f"{self._path}.1", FOLLOW_BYTES)
        head = os.pread(fd, FOLLOW_BYTES, front)
        blank = front_blank_bytes(head) if front == 0 else 0
        # Together they are the log as it was: the rotation cut it in two between them.
        place = (older + head[blank:]).rfind(self._anchor)
        if place < 0 or not self._anchor:
            self._partial = b""
            self._place(fd, front + blank)
            return b""
        place += len(self._anchor)
        self._place(fd, front + blank + max(0, place - len(older)))
        return older[place:]


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _last_lines(path: str, max_bytes: int) -> tuple[list[bytes], bool]:
    """Return the complete lines within the last `max_bytes`, and whether that is all there is."""
    fd = _open(path)
    if fd is None:
        return [], True
    try:
        front, size = data_start(fd), os.fstat(fd).st_size
        begin = max(front, size - max_bytes)
        data = os.pread(fd, size - begin, begin)
    finally:
        os.close(fd)
    is_whole = begin == front
    if front == begin == 0:
        data = data[front_blank_bytes(data) :]
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if not is_whole and len(lines) > 1:
        lines = lines[1:]
    return lines, is_whole


def _read_end(path: str, max_bytes: int) -> bytes:
    fd = _open(path)
    if fd is None:
        return b""
    try:
        size = os.fstat(fd).st_size
        return os.pread(fd, max_bytes, max(0, size - max_bytes))
    finally:
        os.close(fd)


def _open(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
