"""Frames: typed, bounded, and whatever else comes in is `Invalid`."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core.codec import FrameDecoder, encode
from wippy.errors import Invalid


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A frame."""

    number: int
    text: str = ""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Another."""


decoder: FrameDecoder[Ask | Stop] = FrameDecoder(Ask | Stop)


@given(st.integers(-(2**63), 2**63 - 1), st.text())
def test_a_frame_is_read_back(number: int, text: str) -> None:
    frame = encode(Ask(number, text))
    assert decoder.decode(frame) == Ask(number, text)
    assert decoder.decode(memoryview(frame)) == Ask(number, text)


def test_a_union_is_told_apart_by_its_tag() -> None:
    assert decoder.decode(encode(Stop())) == Stop()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_invalid(frame: bytes) -> None:
    with contextlib.suppress(Invalid):
        assert isinstance(decoder.decode(frame), Ask | Stop)


@given(st.binary(min_size=1, max_size=30), st.integers(0, 30))
def test_a_damaged_frame_is_a_frame_or_invalid(damage: bytes, at: int) -> None:
    frame = bytearray(encode(Ask(7, "seven")))
    frame[at : at + len(damage)] = damage
    with contextlib.suppress(Invalid):
        assert isinstance(decoder.decode(bytes(frame)), Ask | Stop)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x81\xa4type",
        msgspec.msgpack.encode({"type": "unknown"}),
        msgspec.msgpack.encode({"type": "ask", "number": "seven"}),
        msgspec.msgpack.encode({"type": "ask"}),
        msgspec.msgpack.encode([1, 2, 3]),
        b"\x82\xa4type\xa3ask\xa4text\xa1\xff",
        b"\x81\xa4more" + b"\x91" * 100_000 + b"\xc0",
    ],
)
def test_what_is_not_what_it_should_be_is_invalid(frame: bytes) -> None:
    with pytest.raises(Invalid, match="malformed frame"):
        decoder.decode(frame)


def test_unknown_fields_are_accepted_on_the_wire() -> None:
    frame = msgspec.msgpack.encode({"type": "ask", "number": 1, "newer": True})
    assert decoder.decode(frame) == Ask(1)


def test_a_frame_that_is_too_large_is_refused_unread() -> None:
    decoder = FrameDecoder[Ask](Ask, limit_bytes=32)
    assert decoder.decode(encode(Ask(1, "x" * 5))) == Ask(1, "x" * 5)
    with pytest.raises(Invalid, match="at most 32 are accepted"):
        decoder.decode(encode(Ask(1, "x" * 40)))
