"""Bytes of a terminal to names of keys.

A key is its character (`a`, `K`, `/`, `é`), or a name: `up`, `pgdn`, `enter`, `esc`, `space`,
`ctrl-c`, `alt-x`, `f1`. Sequences may arrive in pieces: what is not complete is handed back, and
comes in again in front of the next bytes. A lone ESC looks like the start of a sequence; who reads
waits `ESCAPE_S`, then calls `flush`.
"""

from __future__ import annotations

import re

ESCAPE_S = 0.05
"""Longer than the gap between the bytes of one key over ssh in practice, too short to be felt."""

MAX_PENDING_BYTES = 64
"""No key is longer; more is noise (a paste, a mouse) and is dropped."""

_CONTROL = {
    0x00: "ctrl-space", 0x08: "backspace", 0x09: "tab", 0x0A: "enter", 0x0D: "enter",
    0x1B: "esc", 0x20: "space", 0x7F: "backspace",
}  # fmt: skip
_LETTERS = {
    b"A": "up", b"B": "down", b"C": "right", b"D": "left", b"H": "home", b"F": "end",
    b"Z": "backtab", b"P": "f1", b"Q": "f2", b"R": "f3", b"S": "f4", b"M": "enter",
}  # fmt: skip
_NUMBERS = {
    1: "home", 2: "insert", 3: "delete", 4: "end", 5: "pgup", 6: "pgdn", 7: "home", 8: "end",
    11: "f1", 12: "f2", 13: "f3", 14: "f4", 15: "f5", 17: "f6", 18: "f7", 19: "f8", 20: "f9",
    21: "f10", 23: "f11", 24: "f12",
}  # fmt: skip
# ECMA-48: CSI, parameter bytes, intermediate bytes, one final byte.
_CSI = re.compile(rb"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])")
_CSI_START = re.compile(rb"\x1b\[[0-?]*[ -/]*\Z")


def decode(data: bytes) -> tuple[list[str], bytes]:
    """Return the keys in `data`, and the bytes of a key that is not complete yet."""
    keys: list[str] = []
    while data:
        key, used = _first(data)
        if used == 0:
            break
        if key:
            keys.append(key)
        data = data[used:]
    return keys, data if len(data) <= MAX_PENDING_BYTES else b""


def flush(pending: bytes) -> list[str]:
    """Return the keys in `pending` when nothing more is coming: ESC, and what followed it."""
    keys: list[str] = []
    while pending:
        key, used = ("esc", 1) if pending[:1] == b"\x1b" else _first(pending)
        if key:
            keys.append(key)
        pending = pending[max(used, 1) :]
    return keys


def _first(data: bytes) -> tuple[str, int]:
    """Return the first key and its length; length 0 if more is needed, "" for what is no key."""
    if data[0] == 0x1B:
        return _escape(data)
    if data[0] < 0x21 or data[0] == 0x7F:
        return _CONTROL.get(data[0]) or f"ctrl-{chr(data[0] + 0x60)}", 1
    return _character(data)


def _escape(data: bytes) -> tuple[str, int]:
    if len(data) == 1:
        return "", 0
    if data[1:2] == b"[":
        match = _CSI.match(data)
        if match is not None:
            return _csi_key(match["parameters"], match["final"]), match.end()
        # A byte that fits no sequence: give up on the two that began it.
        return ("", 0) if _CSI_START.match(data) else ("", 2)
    if data[1:2] == b"O":
        return ("", 0) if len(data) == 2 else (_LETTERS.get(data[2:3], ""), 3)
    if data[1:2] == b"\x1b":
        return "esc", 1
    key, used = _first(data[1:])
    return (f"alt-{key}", used + 1) if used else ("", 0)


def _csi_key(parameters: bytes, final: bytes) -> str:
    if final != b"~":
        return _LETTERS.get(final, "")
    number = parameters.split(b";")[0]
    return _NUMBERS.get(int(number), "") if number.isdigit() else ""


def _character(data: bytes) -> tuple[str, int]:
    size = _utf8_size(data[0])
    if size == 0:
        return "", 1
    if len(data) < size:
        # Wait only while what is there can still become a character.
        return ("", 0) if all(byte & 0xC0 == 0x80 for byte in data[1:]) else ("", 1)
    try:
        character = data[:size].decode()
    except UnicodeDecodeError:
        return "", 1
    return (character if character.isprintable() else ""), size


def _utf8_size(first: int) -> int:
    if first < 0x80:
        return 1
    if 0xC2 <= first <= 0xDF:
        return 2
    if 0xE0 <= first <= 0xEF:
        return 3
    return 4 if 0xF0 <= first <= 0xF4 else 0
