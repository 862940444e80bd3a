"""Bytes to keys: whole, split anywhere, and noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.tui.keys import MAX_PENDING_BYTES, decode, flush

KEYS = [
    (b"a", "a"), (b"K", "K"), (b" ", "space"), (b"/", "/"), (b"\r", "enter"), (b"\n", "enter"),
    (b"\t", "tab"), (b"\x7f", "backspace"), (b"\x08", "backspace"), (b"\x03", "ctrl-c"),
    (b"\x1a", "ctrl-z"), (b"\x0c", "ctrl-l"), (b"\x00", "ctrl-space"),
    (b"\x1b[A", "up"), (b"\x1bOA", "up"), (b"\x1b[B", "down"), (b"\x1b[C", "right"),
    (b"\x1b[D", "left"), (b"\x1b[H", "home"), (b"\x1bOF", "end"), (b"\x1b[1~", "home"),
    (b"\x1b[4~", "end"), (b"\x1b[5~", "pgup"), (b"\x1b[6~", "pgdn"), (b"\x1b[3~", "delete"),
    (b"\x1bOP", "f1"), (b"\x1b[11~", "f1"), (b"\x1b[24~", "f12"), (b"\x1b[Z", "backtab"),
    (b"\x1b[1;5A", "up"), (b"\x1b[5;2~", "pgup"), (b"\x1bx", "alt-x"),
    (b"\x1b\x7f", "alt-backspace"),
    ("é".encode(), "é"), ("日".encode(), "日"), ("🙂".encode(), "🙂"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "key"), KEYS)
def test_each_key_is_known_by_its_bytes(data: bytes, key: str) -> None:
    assert decode(data) == ([key], b"")


@pytest.mark.parametrize(("data", "key"), KEYS)
def test_a_key_split_anywhere_is_the_same_key(data: bytes, key: str) -> None:
    for cut in range(1, len(data)):
        first, pending = decode(data[:cut])
        assert first == [], f"{data[:cut]!r} is no key yet"
        assert decode(pending + data[cut:]) == ([key], b"")


@given(st.lists(st.sampled_from(KEYS), max_size=8), st.data())
def test_keys_typed_in_one_burst_come_in_order_however_they_are_split(
    typed: list[tuple[bytes, str]], data: st.DataObject
) -> None:
    burst = b"".join(each for each, _ in typed)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(burst)), max_size=4)))
    seen: list[str] = []
    pending = b""
    for start, end in zip([0, *cuts], [*cuts, len(burst)], strict=True):
        names, pending = decode(pending + burst[start:end])
        seen += names
    assert seen == [key for _, key in typed]
    assert pending == b""


def test_a_lone_escape_waits_and_is_escape_when_nothing_follows() -> None:
    assert decode(b"\x1b") == ([], b"\x1b")
    assert flush(b"\x1b") == ["esc"]


def test_escape_and_then_an_arrow_are_two_keys() -> None:
    assert decode(b"\x1b\x1b[A") == (["esc", "up"], b"")


def test_half_a_sequence_that_nothing_follows_is_typed_text() -> None:
    assert decode(b"\x1b[") == ([], b"\x1b[")
    assert flush(b"\x1b[") == ["esc", "["]


@pytest.mark.parametrize("noise", [b"\x1b[99~", b"\x1b[?1;2c", b"\x1b[200~", b"\xff", b"\xc3("])
def test_what_is_no_key_is_dropped_and_the_next_key_is_not(noise: bytes) -> None:
    keys, pending = decode(noise + b"q")
    assert keys[-1] == "q"
    assert pending == b""


@given(st.binary(max_size=300))
def test_no_bytes_break_it_and_what_is_kept_is_bounded(noise: bytes) -> None:
    keys, pending = decode(noise)
    assert len(pending) <= MAX_PENDING_BYTES
    assert all(keys)
    assert all(flush(pending))
