"""Frames between processes as bytes: built by joining what is encoded already, decoded at once.

A payload is encoded when it is sent, so that an error is its sender's; what it becomes part of
(a run, a frame) is only put around it. A frame is decoded by one typed call, which is what makes a
message cost 0.25 µs at its receiver and not 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from wippy.core import payload
from wippy.core.wire import MAX_FRAME_BYTES, WIRE_VERSION, Frame, Item
from wippy.errors import Invalid

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Frame, ext_hook=payload.decode_extension)

_SIX = b"\x96"
_RUN = _SIX + b"\x00"


def frame_head(to_generation: int, node: str, slot: str, generation: int) -> bytes:
    """Return all of a frame that comes before its items."""
    parts = (WIRE_VERSION, to_generation, node, slot, generation)
    return _SIX + b"".join(_encode(part) for part in parts)


def run_head(target: int, sender: int, topic: str) -> bytes:
    """Return all of a run that comes before its payloads."""
    return _RUN + _encode(target) + _encode(sender) + _encode(topic)


def whole_run(head: bytes, payloads: Sequence[bytes], cost: int) -> bytes:
    """Return a run of encoded payloads."""
    return b"".join((head, array_head(len(payloads)), *payloads, _encode(cost)))


def whole_frame(head: bytes, items: Sequence[bytes]) -> bytes:
    """Return a frame of encoded items."""
    return b"".join((head, array_head(len(items)), *items))


def item(value: Item) -> bytes:
    """Return an item; a payload within it stands there as `raw(encoded)`."""
    return _encode(value)


def raw(encoded: bytes) -> Any:
    """Return encoded data as a value that a struct takes and `item` leaves as it is."""
    return msgspec.Raw(encoded)


def array_head(length: int) -> bytes:
    """Return the head of a msgpack array."""
    if length < 16:
        return (0x90 | length).to_bytes(1, "big")
    if length < 2**16:
        return b"\xdc" + length.to_bytes(2, "big")
    return b"\xdd" + length.to_bytes(4, "big")


def decode(data: bytes) -> Frame:
    """Return the frame in `data`; `Invalid` says what is wrong with it."""
    if len(data) > MAX_FRAME_BYTES:
        raise Invalid(f"a frame of {len(data)} bytes; at most {MAX_FRAME_BYTES} are accepted")
    try:
        frame = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
        # TypeError: a dict whose key cannot be one (a list).
        raise Invalid(f"malformed frame: {error}") from error
    if frame.version != WIRE_VERSION:
        raise Invalid(f"a frame of version {frame.version}; this process speaks {WIRE_VERSION}")
    return frame
