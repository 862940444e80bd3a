"""Payloads: what arrives is what was sent; what is no data is named with its place."""

from __future__ import annotations

import enum
import socket
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core.payload import MAX_DEPTH, decode_extension, encode, restore
from wippy.errors import Invalid

decode = msgspec.msgpack.Decoder(ext_hook=decode_extension).decode

ZONES = st.sampled_from([None, UTC, timezone(timedelta(hours=-9, minutes=-30))])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=ZONES)
    | st.uuids()
    | st.decimals(allow_nan=False)
)
KEYS = st.text() | st.integers(-(2**63), 2**63 - 1) | st.binary() | st.none()
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20
)


def same(one: Any, other: Any) -> bool:
    """Say whether two values are equal and of the same types, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, datetime):
        return one == other and one.utcoffset() == other.utcoffset()
    return bool(one == other)


@given(DATA)
def test_data_arrives_as_it_was_sent(value: Any) -> None:
    assert same(decode(encode(value)), value)


@given(DATA)
def test_data_that_came_over_the_control_socket_is_restored(value: Any) -> None:
    assert same(restore(msgspec.msgpack.decode(encode(value), strict=False)), value)


class Colour(enum.Enum):
    RED = 1


class Flag(enum.IntFlag):
    ON = 1


@dataclass
class Point:
    x: int = 0


class Text(str):
    """A subclass: it would arrive as a plain str."""


def loop() -> list[Any]:
    value: list[Any] = []
    value.append({"again": value})
    return value


NO_DATA: dict[str, tuple[Any, str]] = {
    "a tuple": ((1,), "payload: a tuple, which would arrive as a list; send a list"),
    "a set": ({"a": {1}}, 'payload["a"]: a set; send a list'),
    "an enum": ([Colour.RED], "payload[0]: a Colour object"),
    "a flag": ([Flag.ON], "payload[0]: a Flag object"),
    "a dataclass": ({"p": [0, Point()]}, 'payload["p"][1]: a Point object'),
    "an object": ([[object()]], "payload[0][0]: an object object"),
    "a subclass of str": ({"t": Text("x")}, 'payload["t"]: a Text object'),
    "a subclass of dict": (OrderedDict(a=1), "payload: an OrderedDict object"),
    "a large int": ([2**64], "payload[0]: an int of more than 64 bits; send it as str"),
    "a tuple as a key": ({"a": {(1,): 2}}, 'payload["a"]: a tuple, which would arrive'),
    "a UUID as a key": ({UUID(int=1): 2}, "payload: an UUID object as a key"),
    "surrogates": ({"x": "\ud800"}, 'payload["x"]: a str with surrogates'),
    "an object behind a key that is no str": ({7: {b"k": print}}, "payload[7][b'k']: a"),
    "itself": (loop(), 'payload[0]["again"]: a list that contains itself'),
}


@pytest.mark.parametrize("case", NO_DATA)
def test_what_is_no_data_is_named_with_its_place(case: str) -> None:
    value, said = NO_DATA[case]
    with pytest.raises(TypeError) as caught:
        encode(value)
    assert str(caught.value).startswith(said)


def test_a_socket_in_a_list_in_a_dict_is_found() -> None:
    with socket.socket() as it, pytest.raises(TypeError) as caught:
        encode({"rows": [1, 2, 3, it]})
    assert str(caught.value) == 'payload["rows"][3]: a socket object'


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_is_bounded_and_what_is_within_the_bound_arrives() -> None:
    assert decode(encode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(TypeError) as caught:
        encode(nested(5000))
    assert f"nested more than {MAX_DEPTH} deep" in str(caught.value)
    assert len(str(caught.value)) < 200


@given(st.integers(0, 255).filter(lambda code: code not in (1, 2, 3)), st.binary(max_size=40))
def test_an_extension_that_is_none_of_ours_is_invalid(code: int, data: bytes) -> None:
    with pytest.raises(Invalid):
        decode_extension(code, memoryview(data))


@given(st.sampled_from([1, 2, 3]), st.binary(max_size=40))
def test_a_malformed_extension_is_invalid_or_a_value_of_its_type(code: int, data: bytes) -> None:
    kinds = {1: datetime, 2: UUID, 3: Decimal}
    try:
        assert type(decode_extension(code, memoryview(data))) is kinds[code]
    except Invalid:
        return
