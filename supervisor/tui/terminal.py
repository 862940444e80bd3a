"""The terminal: raw mode, alternate screen, size, and giving it all back; and the signals.

Keys that make signals (^C, ^Z) arrive as keys: the node's processes may share our process group,
and a ^C for the viewer is no business of theirs.
"""

from __future__ import annotations

import os
import select
import signal
import termios
from types import FrameType, TracebackType
from typing import Any, Self

READ_BYTES = 4096
FALLBACK_SIZE = (80, 24)

_TAKE = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J"
"""Alternate screen, no cursor, no wrapping at the right edge, clear."""
_GIVE_BACK = "\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"


class Terminal:
    """A terminal that is ours between `take` and `give_back`; both may be called again.

    A terminal that went away (closed window, lost connection) sets `is_gone`; nothing raises.
    """

    def __init__(self, in_fd: int = 0, out_fd: int = 1, encoding: str = "utf-8") -> None:
        self.in_fd = in_fd
        self.out_fd = out_fd
        self.is_gone = False
        self._encoding = encoding
        self._is_ours = False
        self._saved: list[Any] | None = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.give_back()

    def take(self) -> None:
        """Make the terminal ours: raw keys, alternate screen."""
        try:
            if self._saved is None:
                self._saved = termios.tcgetattr(self.in_fd)
            self._is_ours = True
            termios.tcsetattr(self.in_fd, termios.TCSADRAIN, _raw(self._saved))
        except (OSError, termios.error):
            self.is_gone = True
        self.write(_TAKE)

    def give_back(self) -> None:
        """Put everything back as it was found."""
        if not self._is_ours:
            return
        self._is_ours = False
        self.write(_GIVE_BACK)
        if self._saved is None:
            return
        try:
            # Not DRAIN: a terminal that takes no more output would hold us here for ever.
            termios.tcsetattr(self.in_fd, termios.TCSANOW, self._saved)
        except (OSError, termios.error):
            self.is_gone = True

    def write(self, text: str) -> None:
        """Write all of `text`."""
        data = memoryview(text.encode(self._encoding, errors="replace"))
        try:
            while data and not self.is_gone:
                data = data[os.write(self.out_fd, data) :]
        except BlockingIOError:
            select.select([], [self.out_fd], [], 1.0)
            self.write(bytes(data).decode(self._encoding, errors="replace"))
        except OSError:
            self.is_gone = True

    def can_write(self) -> bool:
        """Say whether output is taken: not while ^S or a stuck connection holds it."""
        return bool(select.select([], [self.out_fd], [], 0)[1])

    def read(self) -> bytes:
        """Return the bytes that were typed; call it when `in_fd` is readable."""
        try:
            data = os.read(self.in_fd, READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError:
            data = b""
        if not data:
            self.is_gone = True
        return data

    def size(self) -> tuple[int, int]:
        """Return width and height in cells."""
        try:
            width, height = os.get_terminal_size(self.out_fd)
        except OSError:
            return FALLBACK_SIZE
        # Some serial lines report 0 by 0.
        return (width, height) if width > 0 and height > 0 else FALLBACK_SIZE


def _raw(saved: list[Any]) -> list[Any]:
    """Return the settings for keys as they are typed; output processing stays, so that a traceback
    of ours is readable."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, control = saved
    iflag &= ~(termios.IXON | termios.ICRNL | termios.INLCR | termios.ISTRIP)
    lflag &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    control = list(control)
    control[termios.VMIN], control[termios.VTIME] = b"\x01", b"\x00"
    return [iflag, oflag, cflag, lflag, ispeed, ospeed, control]


class Signals:
    """Signals as bytes of a pipe, so that the loop waits for them as for everything else."""

    WATCHED = (
        signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT,
        signal.SIGTSTP, signal.SIGCONT,
    )  # fmt: skip

    def __enter__(self) -> Self:
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_fd = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, _noted) for number in self.WATCHED}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self.fd)
        os.close(self._write_fd)

    def drain(self) -> list[int]:
        """Return the signals that have come, each once, in order."""
        try:
            return list(dict.fromkeys(os.read(self.fd, READ_BYTES)))
        except BlockingIOError:
            return []


def _noted(number: int, frame: FrameType | None) -> None:
    """Do nothing: the wakeup descriptor has told the loop."""


def stop_self() -> None:
    """Stop this process, as ^Z would; returns when it is continued."""
    os.kill(os.getpid(), signal.SIGSTOP)
