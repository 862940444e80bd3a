"""Finding and ending processes that a test has left behind."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from pathlib import Path

MARK = "LEFT_BY_TEST"
GRACE_S = 20.0
"""What is about to end may take this long on a busy machine."""


def end_leftovers(signs: Sequence[bytes]) -> list[str]:
    """Wait for the processes that carry one of `signs` in their command line or environment;
    kill those that do not end in time, and return what they were."""
    deadline_s = time.monotonic() + GRACE_S
    killed: list[str] = []
    while found := find(signs):
        for pid, what in found.items():
            if not _is_gone_by(pid, deadline_s):
                killed.append(f"{pid} {what}")
                _kill(pid)
    return killed


def find(signs: Sequence[bytes]) -> dict[int, str]:
    """Return the living processes, other than this one, that carry one of `signs`."""
    found: dict[int, str] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdecimal() or int(entry) == os.getpid():
            continue
        command = _read(f"/proc/{entry}/cmdline")
        if not command:
            continue  # a zombie, a kernel thread, or gone
        text = command + b"\0" + _read(f"/proc/{entry}/environ")
        if any(sign in text for sign in signs):
            found[int(entry)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""  # gone, or somebody else's


def _is_gone_by(pid: int, deadline_s: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000))
    finally:
        os.close(descriptor)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    _is_gone_by(pid, time.monotonic() + GRACE_S)
