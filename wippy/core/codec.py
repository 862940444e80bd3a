"""Bytes of control frames: msgpack, typed, bounded, validated before use.

A frame that is not what it should be raises `Invalid`; who reads from a socket counts it and
drops it, or answers with the error. Nothing is ever unpickled.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from wippy.errors import Invalid

MAX_FRAME_BYTES = 16 * 2**20
"""Larger control frames are refused unread: no job, status or registry of ours comes near."""

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()


def encode(message: Any) -> bytes:
    """Return `message` (a struct of one of the frame unions) as msgpack."""
    return _encoder.encode(message)


class FrameDecoder(Generic[T]):
    """Decodes the frames of one direction of one socket.

    Args:
        union: The union of the frame structs that may arrive.
        limit_bytes: Larger frames are refused unread.
    """

    def __init__(self, union: Any, *, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(union)

    def decode(self, frame: bytes | memoryview) -> T:
        """Return the message in `frame`; `Invalid` says what is wrong with it."""
        if len(frame) > self._limit_bytes:
            limit = self._limit_bytes
            raise Invalid(f"a frame of {len(frame)} bytes; at most {limit} are accepted")
        try:
            return self._decoder.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid(f"malformed frame: {error}") from error
