"""What the kernel says of processes: CPU time, memory of their own, descendants."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return user and system time of all threads of `pid`, seconds (proc(5), stat)."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def unique_bytes(pid: int) -> int:
    """Return the memory that only `pid` has (USS): what its end would give back."""
    return _mapped_bytes(pid, "Private_")


def written_bytes(pid: int) -> int:
    """Return the memory that only `pid` has and has written: no files that it has mapped."""
    return _mapped_bytes(pid, "Private_Dirty")


def _mapped_bytes(pid: int, field: str) -> int:
    return 1024 * sum(
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith(field)
    )


def resident_bytes(pid: int) -> int:
    """Return the resident memory of `pid`."""
    return int(_stat(pid)[21]) * os.sysconf("SC_PAGE_SIZE")


def descendants(pid: int) -> list[int]:
    """Return the living processes below `pid`, itself included."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                children.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
    found, unseen = [], [pid]
    while unseen:
        found.append(unseen.pop())
        unseen += children.get(found[-1], [])
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields after the name, from field 3 on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
