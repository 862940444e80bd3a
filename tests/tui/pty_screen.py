"""The live tree in a terminal of its own: a pty, a process, and what is on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 60.0
REPOSITORY = Path(__file__).resolve().parents[2]
LAUNCHER = """
import sys
from pathlib import Path
from supervisor.tui.app import run

run_dir = Path(sys.argv[1])
options = dict(pair.split("=") for pair in sys.argv[2:])
exit_file = run_dir / "exit"

def node_exit():
    return int(exit_file.read_text() or 0) if exit_file.exists() else None

class Broken:
    def __init__(self, run_dir): pass
    def post(self, verb): raise RuntimeError("a bug")
    def fileno(self): return 0
    def drain(self): return []
    def close(self): pass

owns = options.get("owns") == "yes"
extra = {"connect": Broken} if "broken" in options else {}
sys.exit(run(run_dir, owns_node=owns, node_exit=node_exit if owns else None,
             read_only="read_only" in options, **extra))
"""
_CODES = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?(?:25|7|2026)[hl]")
_STEP = re.compile(r"\x1b\[(\d+);1H|\x1b\[H\x1b\[2J|\x1b\[\?1049[hl]")


class PtyScreen:
    """Runs the live tree of `run_dir` in a pty of `width` by `height` cells."""

    def __init__(
        self, run_dir: Path, *options: str, width: int = 120, height: int = 30, **environ: str
    ) -> None:
        self._master, self._slave = pty.openpty()
        self.resize(width, height, is_told=False)
        self.before = termios.tcgetattr(self._slave)
        self._raw = b""
        clean = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(run_dir), *options],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            cwd=REPOSITORY,
            env={**clean, "TERM": "xterm", "LC_ALL": "C.UTF-8", "TZ": "UTC", **environ},
        )

    @property
    def raw(self) -> str:
        """All that was ever written."""
        return self._raw.decode(errors="replace")

    def lines(self) -> list[str]:
        """Return what the screen shows, line by line, without styles."""
        shown: dict[int, str] = {}
        parts = _STEP.split(_CODES.sub("", self.raw))
        for row, text in zip(parts[1::2], parts[2::2], strict=True):
            if row is None:
                shown = {}
            else:
                shown[int(row)] = text
        return [shown.get(row, "") for row in range(1, max(shown, default=0) + 1)]

    def wait_for(self, *words: str) -> str:
        """Wait until all `words` are on the screen at once; return the screen."""
        return self.wait(lambda text: all(word in text for word in words), " and ".join(words))

    def wait(self, is_there: Callable[[str], bool], what: str) -> str:
        """Wait until the screen is as `is_there` wants it."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not is_there(text := "\n".join(self.lines())):
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"no {what!r} on the screen:\n{text}\n{self.raw[-500:]!r}"
            self._read(min(left_s, 1.0))
        return text

    def type(self, keys: str) -> None:
        """Type `keys`."""
        os.write(self._master, keys.encode())

    def resize(self, width: int, height: int, *, is_told: bool = True) -> None:
        """Give the terminal another size, and tell the process as the kernel would."""
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        if is_told:
            self.process.send_signal(signal.SIGWINCH)

    def ended(self) -> int:
        """Wait for the end of the process; return its exit code."""
        deadline_s = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline_s, f"still runs:\n{self.raw[-2000:]}"
            self._read(0.05)
        self._read(0.0)
        return self.process.returncode

    def is_given_back(self) -> bool:
        """Say whether the terminal is as it was found."""
        last = self.raw.rfind("\x1b[?1049l")
        return (
            last > self.raw.rfind("\x1b[?1049h")
            and self.raw.rfind("\x1b[?25h") > self.raw.rfind("\x1b[?25l")
            and self.raw.rfind("\x1b[?7h") > self.raw.rfind("\x1b[?7l")
            and termios.tcgetattr(self._slave) == self.before
        )

    def hang_up(self) -> None:
        """Close the terminal window."""
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def close(self) -> None:
        """End what still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
        if self._master >= 0:
            self.hang_up()

    def _read(self, timeout_s: float) -> None:
        while self._master >= 0 and select.select([self._master], [], [], timeout_s)[0]:
            self._raw += os.read(self._master, 65536)
            timeout_s = 0.0
