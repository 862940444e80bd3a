"""Durations and sizes as users write them: `100ms`, `5s`, `2m`, `1h`; `512MiB`."""

from __future__ import annotations

import re

from wippy.errors import Invalid

_NUMBER = re.compile(r"^\s*(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[A-Za-zµ]*)\s*$")
SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
MAX_DURATION_S = 10 * 365 * 86400.0
"""Ten years: longer than any process, short enough that no timer overflows."""


TOO_MANY_BYTES = 2**63
"""8 EiB: one more than the kernel's own counters hold."""


def parse_duration_s(text: str) -> float:
    """Return `text` in seconds; `Invalid` says how durations are written."""
    match = _NUMBER.match(text)
    if match is None or match["unit"] not in SECONDS:
        raise Invalid(f"{text!r} is no duration; write for instance 100ms, 5s, 2m or 1h")
    seconds = float(match["number"]) * SECONDS[match["unit"]]
    if seconds > MAX_DURATION_S:
        raise Invalid(f"{text!r} is longer than ten years")
    return seconds


def parse_size_bytes(text: str) -> int:
    """Return `text` in bytes; `Invalid` says how sizes are written."""
    match = _NUMBER.match(text)
    if match is None or match["unit"] not in BYTES:
        raise Invalid(f"{text!r} is no size; write for instance 64KiB, 512MiB or 2GiB")
    size_bytes = float(match["number"]) * BYTES[match["unit"]]
    if size_bytes >= TOO_MANY_BYTES:
        raise Invalid(f"{text!r} is 8 EiB or more")
    return int(size_bytes)


def format_duration(seconds: float) -> str:
    """Return `seconds` for people: `9ms`, `4.2s`, `3m12s`, `5h03m`, `2d04h`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    whole = round(seconds)
    for size, unit, small, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // small:02d}{small_unit}"
    return f"{whole // 60}m{whole % 60:02d}s"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, which takes an s in the plural: `1 restart`, `3 restarts`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_bytes(size_bytes: int) -> str:
    """Return a size for people, four to six characters: `812B`, `7.4M`, `1.2G`."""
    if size_bytes < 1024:
        return f"{size_bytes}B"
    size = float(size_bytes)
    for unit in "KMGT":
        size /= 1024
        if size < 999.5 or unit == "T":
            break
    return f"{size:.1f}{unit}" if size < 99.95 else f"{size:.0f}{unit}"
