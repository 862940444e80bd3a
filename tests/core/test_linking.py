"""All the code that an actor needs, in one value."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.linking import code_ref, link, load_order
from supervisor.core.spec import Code, Entry, FunctionEntry, LibraryCode, LibraryEntry
from wippy.core.messages import CodeRef, LibraryRef


def library(name: str, *imports: str) -> LibraryEntry:
    return LibraryEntry(
        id=name, code=LibraryCode(text=name, imports={each: each for each in imports})
    )


def entries(*all_: Entry) -> dict[str, Entry]:
    return {entry.id: entry for entry in all_}


def test_every_library_that_is_reached_comes_once_and_after_what_it_imports() -> None:
    known = entries(library("a", "c", "b"), library("b", "d"), library("c", "d"), library("d"),
                    library("unused"))  # fmt: skip
    code = Code(method="run", text="", imports={"x": "a", "y": "d"})
    assert list(link(code, known).libraries) == ["d", "c", "b", "a"]


def test_a_function_is_imported_as_a_library() -> None:
    function = FunctionEntry(
        id="f", code=Code(method="run", path="/f.py", imports={"a": "a"}, search_path="/etc")
    )
    linked = link(Code(method="m", imports={"f": "f"}), entries(function, library("a")))
    assert linked.libraries == {
        "a": LibraryCode(text="a"),
        "f": LibraryCode(path="/f.py", imports={"a": "a"}),
    }


def test_a_thousand_in_a_row_and_twice_each_are_a_thousand() -> None:
    known = entries(*(library(f"l{n}", f"l{n + 1}", f"l{n + 1}") for n in range(1000)),
                    library("l1000"))  # fmt: skip
    assert len(link(Code(method="m", imports={"x": "l0"}), known).libraries) == 1001


@given(st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=4)))
def test_an_order_has_all_that_is_reached_and_is_right_where_there_is_no_circle(
    imports: dict[int, list[int]],
) -> None:
    # Only from larger to smaller: no circle.
    forward = {str(n): [str(m) for m in inner if m < n] for n, inner in imports.items()}
    order = load_order(forward, lambda id: forward.get(id, ()))
    assert len(order) == len(set(order))
    for name in forward:
        assert all(order.index(inner) < order.index(name) for inner in forward[name])
    # With circles: still an end, and still everything once.
    every = {str(n): [str(m) for m in inner] for n, inner in imports.items()}
    found = load_order(every, lambda id: every.get(id, ()))
    assert sorted(found) == sorted({*every, *(m for inner in every.values() for m in inner)})


def test_a_process_is_told_every_field_of_code() -> None:
    assert set(CodeRef.__struct_fields__) == set(Code.__struct_fields__)
    assert set(LibraryRef.__struct_fields__) == set(LibraryCode.__struct_fields__)
    code = Code(
        method="run",
        text="x",
        origin="/a.yaml:3",
        search_path="/etc",
        imports={"a": "app:a"},
        libraries={"app:a": LibraryCode(path="/a.py", imports={"b": "app:b"})},
        mailbox_messages=7,
    )
    sent = code_ref(code)
    assert msgspec.to_builtins(sent) == msgspec.to_builtins(code)
    assert isinstance(sent.libraries["app:a"], LibraryRef)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=CodeRef) == sent
