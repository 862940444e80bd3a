"""Frames as bytes: any sequence of messages comes back, and nothing that comes in can raise but
`Invalid`."""

from __future__ import annotations

import string
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core import framing, payload, wire
from wippy.errors import Invalid

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=40)
    | st.datetimes()
    | st.uuids()
    | st.decimals(allow_nan=False)
)
data = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
topics = st.text(alphabet=string.ascii_letters, min_size=1, max_size=20)
numbers = st.integers(0, 2**59)
runs = st.lists(st.tuples(numbers, numbers, topics, st.lists(data, max_size=20)), max_size=20)


def _frame(runs: list[tuple[int, int, str, list[Any]]]) -> bytes:
    items = [
        framing.whole_run(
            framing.run_head(target, sender, topic),
            [payload.encode(one) for one in payloads],
            len(payloads),
        )
        for target, sender, topic, payloads in runs
    ]
    return framing.whole_frame(framing.frame_head(3, "node", "app:slot", 7), items)


@given(runs)
def test_any_sequence_of_messages_comes_back_in_order_and_as_it_was_sent(
    runs: list[tuple[int, int, str, list[Any]]],
) -> None:
    frame = framing.decode(_frame(runs))
    assert (frame.to_generation, frame.node, frame.slot, frame.generation) == (
        3,
        "node",
        "app:slot",
        7,
    )
    seen = [
        (item.target, item.sender, item.topic, item.payloads)
        for item in frame.items
        if isinstance(item, wire.Run)
    ]
    assert seen == runs
    assert _types(seen) == _types(runs)


@pytest.mark.parametrize("count", [0, 15, 16, 65_535, 65_536])
def test_runs_of_every_length_of_head_come_back(count: int) -> None:
    frame = framing.decode(_frame([(0, 0, "t", [None] * count)]))
    (run,) = frame.items
    assert isinstance(run, wire.Run)
    assert len(run.payloads) == count


@given(st.binary(max_size=200))
def test_garbage_is_invalid_and_nothing_else(garbage: bytes) -> None:
    with pytest.raises(Invalid):
        framing.decode(garbage)


@given(runs, st.data())
def test_a_frame_that_was_cut_is_invalid(runs: list[Any], draw: st.DataObject) -> None:
    whole = _frame(runs)
    cut = draw.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Invalid):
        framing.decode(whole[:cut])


@given(runs, st.data())
def test_a_frame_with_a_byte_changed_is_a_frame_or_invalid(
    runs: list[Any], draw: st.DataObject
) -> None:
    changed = bytearray(_frame(runs))
    at = draw.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= draw.draw(st.integers(1, 255))
    try:
        frame = framing.decode(bytes(changed))
    except Invalid:
        return
    assert frame.version == wire.WIRE_VERSION


def test_a_frame_of_another_version_names_both() -> None:
    head = b"\x96" + bytes([wire.WIRE_VERSION + 1]) + framing.frame_head(1, "n", "s", 1)[2:]
    with pytest.raises(Invalid, match=f"speaks {wire.WIRE_VERSION}"):
        framing.decode(framing.whole_frame(head, []))


def test_a_frame_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(Invalid, match="at most"):
        framing.decode(bytes(wire.MAX_FRAME_BYTES + 1))


def test_extensions_inside_a_frame_mean_what_they_meant() -> None:
    sent = [datetime(2026, 1, 2, 3, 4, 5, 6), Decimal("1.10")]
    (run,) = framing.decode(_frame([(1, 2, "t", sent)])).items
    assert isinstance(run, wire.Run)
    assert run.payloads == sent


def _types(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_types(one) for one in value]
    if isinstance(value, dict):
        return {key: _types(one) for key, one in value.items()}
    return type(value)
