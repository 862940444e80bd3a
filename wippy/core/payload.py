"""Payloads: the data that messages carry, exactly as it was sent.

None, bool, int (64 bits), float, str, bytes, list, dict, datetime, UUID and Decimal; nothing else,
since everything else would arrive as something it was not: msgspec's own encoder turns a UUID, a
Decimal or a naive datetime into a string, and a tuple comes out of msgpack as a list. So ormsgpack
encodes (0.23 µs for a dict of 100 bytes), and refuses by type; msgspec decodes.

Three types travel as msgpack extensions:

| code | type | as |
|---|---|---|
| 1 | datetime | ISO 8601 text, with its offset if it has one |
| 2 | UUID | its 16 bytes |
| 3 | Decimal | its text |
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import ormsgpack

from wippy.errors import Invalid

MAX_DEPTH = 128
"""Nesting that a payload may have. The encoder's own limit is above it, the decoders' recursion
limits too."""
MAX_SHOWN_PARTS = 20
"""Parts of the place that an error names; a deeper one is shortened in the middle."""

DATETIME, UUID_, DECIMAL = 1, 2, 3

OPTIONS = (
    ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
"""Without them enums, dataclasses, tuples and subclasses would be turned into something else."""
_ANY_KEYS = OPTIONS | ormsgpack.OPT_NON_STR_KEYS
_KEYS = (str, int, bytes, float, bool, type(None))
_PLAIN = (str, bytes, float, bool, type(None), datetime, UUID, Decimal, bytearray, memoryview)
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1


def encode(payload: Any) -> bytes:
    """Return `payload` as msgpack.

    A bytearray or memoryview arrives as bytes. Keys of a dict may be str, int, bytes, float, bool
    or None.

    Raises:
        TypeError: It is no data; the message names the place: `payload["rows"][3]: a socket
            object`.
    """
    try:
        return ormsgpack.packb(payload, extend, OPTIONS)
    except TypeError as error:
        _check(payload, (), set())
        # Nothing is wrong with it: a dict has keys that are no strings, which costs a second look
        # at each, since the encoder would turn a UUID or a datetime into a string there.
        return _encode_checked(payload, error)


def decode_extension(code: int, data: memoryview) -> Any:
    """Return the value of a msgpack extension (the `ext_hook` of decoders); `Invalid` if it is
    none of ours."""
    text = bytes(data)
    try:
        if code == DATETIME:
            return datetime.fromisoformat(text.decode())
        if code == UUID_:
            return UUID(bytes=text)
        if code == DECIMAL:
            return Decimal(text.decode())
    except (ValueError, ArithmeticError) as error:
        raise Invalid(f"a malformed extension of type {code}: {error}") from error
    raise Invalid(f"an unknown extension of type {code}")


def decode(data: bytes) -> Any:
    """Return the payload encoded as `data`; `Invalid` if that is malformed."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
        # TypeError: a dict whose key cannot be one (a list).
        raise Invalid(f"a malformed payload: {error}") from error


def restore(value: Any) -> Any:
    """Return decoded data with our extensions as what they mean, where a decoder of the control
    socket has left them as they are."""
    if isinstance(value, msgspec.msgpack.Ext):
        return decode_extension(value.code, memoryview(value.data))
    if isinstance(value, list | tuple):
        return [restore(item) for item in value]
    if isinstance(value, dict):
        return {key: restore(item) for key, item in value.items()}
    return value


_decoder = msgspec.msgpack.Decoder(ext_hook=decode_extension)


def extend(value: Any) -> ormsgpack.Ext:
    """Return what the encoder does not know as an extension (its `default`), or `TypeError`."""
    kind = type(value)
    if kind is datetime:
        return ormsgpack.Ext(DATETIME, value.isoformat().encode())
    if kind is UUID:
        return ormsgpack.Ext(UUID_, value.bytes)
    if kind is Decimal:
        return ormsgpack.Ext(DECIMAL, str(value).encode())
    raise TypeError(kind.__name__)


def _encode_checked(payload: Any, first: TypeError) -> bytes:
    try:
        return ormsgpack.packb(payload, extend, _ANY_KEYS)
    except TypeError:
        raise TypeError(f"payload: {first}") from first


def _check(value: Any, place: tuple[Any, ...], above: set[int]) -> None:
    """Raise `TypeError` for the first thing in `value` that is no data."""
    kind = type(value)
    if kind is dict or kind is list:
        if id(value) in above:
            raise TypeError(f"{_shown(place)}: a {kind.__name__} that contains itself")
        if len(place) >= MAX_DEPTH:
            raise TypeError(f"{_shown(place)}: nested more than {MAX_DEPTH} deep")
        above.add(id(value))
        _check_items(value, place, above)
        above.discard(id(value))
    elif kind is int:
        if not _MIN_INT <= value <= _MAX_INT:
            raise TypeError(f"{_shown(place)}: an int of more than 64 bits; send it as str")
    elif kind is str:
        _check_text(value, _shown(place))
    elif kind not in _PLAIN:
        raise TypeError(f"{_shown(place)}: {_described(value)}")


def _check_items(value: Any, place: tuple[Any, ...], above: set[int]) -> None:
    if type(value) is list:
        for index, item in enumerate(value):
            _check(item, (*place, index), above)
        return
    for key, item in value.items():
        if type(key) not in _KEYS:
            raise TypeError(f"{_shown(place)}: {_described(key)} as a key")
        _check(key, (*place, key), above)
        _check(item, (*place, key), above)


def _check_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise TypeError(f"{where}: a str with surrogates, which is no text") from None


def _described(value: Any) -> str:
    kind = type(value)
    if kind is tuple:
        return "a tuple, which would arrive as a list; send a list"
    if kind in (set, frozenset):
        return f"a {kind.__name__}; send a list"
    article = "an" if kind.__name__[:1].lower() in "aeiou" else "a"
    return f"{article} {kind.__name__} object"


def _shown(place: tuple[Any, ...]) -> str:
    parts = [f"[{part!a}]" if not isinstance(part, str) else f'["{part}"]' for part in place]
    if len(parts) > MAX_SHOWN_PARTS:
        half = MAX_SHOWN_PARTS // 2
        parts = [*parts[:half], "[...]", *parts[-half:]]
    return "payload" + "".join(parts).encode("ascii", "backslashreplace").decode()
