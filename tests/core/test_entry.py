"""Documents of entries: plain data, and errors that name the place."""

from __future__ import annotations

import math
from typing import Any

import pytest

from wippy.core.entry import MAX_ENTRY_BYTES, EntryDoc, check, decode_doc, encode_doc, fields_of
from wippy.errors import Invalid


def of(data: Any, kind: str = "registry.entry") -> EntryDoc:
    return EntryDoc(id="a:b", kind=kind, data=data)


def nested(depth: int) -> dict[str, Any]:
    return {"x": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rows": [1, {"x": {1}}]}, r'data\["rows"\]\[1\]\["x"\]: a set, which is no plain data'),
        ({"a": (1,)}, r'data\["a"\]: a tuple \(a list is\), which is no plain data'),
        ({"a": b"1"}, r'data\["a"\]: a bytes'),
        ({"a": {1: 2}}, r'data\["a"\]: a int as a key; use a str'),
        ({"a": 2**64}, r'data\["a"\]: an int of more than 64 bits'),
        ({"a": "\udcff"}, r'data\["a"\]: a str with surrogates'),
        ({"\udcff": 1}, "data: a str with surrogates"),
        (nested(100), "nested more than 64 deep"),
        ([], "data must be a dict, not a list"),
    ],
)
def test_what_is_no_plain_data_is_named_with_its_place(data: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        check(of(data))


def test_plain_data_is_accepted_and_comes_back_as_it_was() -> None:
    data = {"a": [None, True, 1, -(2**63), 2**64 - 1, 1.5, math.inf, "é", {"": []}]}
    check(of(data))
    assert decode_doc(encode_doc(of(data))) == of(data)


@pytest.mark.parametrize("entry_id", ["b", "a:", "a:b:c", "a:1", ""])
def test_an_id_that_is_none_is_refused(entry_id: str) -> None:
    with pytest.raises(Invalid, match="no entry id"):
        check(EntryDoc(id=entry_id, kind="x"))


def test_an_entry_that_is_too_large_is_refused() -> None:
    with pytest.raises(Invalid, match="an entry has at most"):
        check(of({"x": "x" * MAX_ENTRY_BYTES}))
    with pytest.raises(Invalid, match="no kind"):
        check(of({}, kind="k" * 65))


def test_the_fields_of_plain_data_stand_under_data() -> None:
    assert fields_of(of({"a": 1})) == {"data": {"a": 1}}
    assert fields_of(of({"method": "m"}, kind="process.py")) == {"method": "m"}
