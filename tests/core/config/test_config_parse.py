"""YAML text to nodes with places: bounded, never surprised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.config import parse
from supervisor.core.config.nodes import Mapping, Scalar, Sequence, Style, resolve
from supervisor.core.config.parse import Document
from supervisor.core.spec import Place


def read(text: str | bytes) -> Document:
    return parse.parse(text.encode() if isinstance(text, str) else text, "a.yaml")


def only_problem(text: str | bytes) -> str:
    (problem,) = read(text).problems
    return f"{problem.place.line}:{problem.place.column} {problem.message}"


def test_every_key_and_value_knows_its_place() -> None:
    root = read("a: 1\nb:\n  - x\n  - {c: 'd'}\n").root
    assert isinstance(root, Mapping)
    (_, one), (key, items) = root.pairs
    assert one == Scalar(Place("a.yaml", 1, 4), "1")
    assert key.place == Place("a.yaml", 2, 1)
    assert isinstance(items, Sequence)
    inner = items.items[1]
    assert isinstance(inner, Mapping)
    assert inner.pairs[0][1] == Scalar(Place("a.yaml", 4, 9), "d", Style.QUOTED)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("False", False),
        ("yes", "yes"), ("no", "no"), ("12", 12), ("-3", -3), ("0o17", 15), ("0x1F", 31),
        ("0022", 22), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("1.0.0", "1.0.0"),
        ("5s", "5s"), ("1_000", "1_000"), ("2026-01-01", "2026-01-01"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_a_quoted_number_is_a_string() -> None:
    assert Scalar(Place(""), "12", Style.QUOTED).value() == "12"


def test_merged_mappings_give_way_to_keys_of_their_own() -> None:
    root = read("base: &base {a: 1, b: 2}\nown:\n  <<: *base\n  a: 3\n").root
    assert isinstance(root, Mapping)
    own = root.pairs[1][1]
    assert isinstance(own, Mapping)
    values = {key.text: value.text for key, value in own.pairs if isinstance(value, Scalar)}
    assert values == {"a": "3", "b": "2"}


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    document = read(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.problems == ()
    assert document.lines == ("a: 1", "b: 2", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: 1\nb: \xff\n", "2:4 not UTF-8: byte 0xff"),
        ("a: 1\nb: \x07\n", "2:4 not valid YAML: control character U+0007"),
        ("a:\n\tb: 1\n", "2:1 a tab in the indentation; YAML allows only spaces"),
        ("a:\n  b: 1\n \t c: 2\n", "3:2 a tab in the indentation; YAML allows only spaces"),
        ("", "0:1 the file is empty"),
        ("# only this\n", "0:1 the file is empty"),
        ("---\n", "0:1 the file is empty"),
        ("a: 1\na: 2\n", "2:1 duplicate key 'a'; the first is in line 1"),
        ("? [a]\n: 1\n", "1:3 a key must be a word, not a list or a mapping"),
        ("<<: 5\n", "1:5 '<<' takes a mapping, or a list of mappings"),
        ("a: &a [*a]\n", "1:8 unknown alias '*a'"),
        ("a: !thing b\n", "1:4 YAML tag '!thing' is not allowed here"),
        ("a: 1\n---\nb: 1\n", "2:1 a second document in one file"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str | bytes, said: str) -> None:
    assert only_problem(text) == said


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    data = b"a: 1\n" + b"#" * parse.MAX_FILE_BYTES
    assert only_problem(data) == f"0:1 {len(data)} bytes; at most 4 MiB are read"


def test_the_limit_of_nodes_counts_what_aliases_stand_for() -> None:
    ten = "[" + ", ".join(["x"] * 10) + "]"
    levels = [f"a0: &a0 {ten}"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)
    ]
    assert "more than 100000 keys and values" in only_problem("\n".join(levels))


def test_depth_is_limited_without_and_with_aliases() -> None:
    deep = "[" * 10_000 + "]" * 10_000
    assert "nested deeper than 32 levels" in only_problem(deep)
    chain = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60)]
    assert "nested deeper than 32 levels, aliases expanded" in only_problem("\n".join(chain))


def test_exactly_the_limit_of_nodes_is_accepted() -> None:
    # The outer mapping, its key and the list are nodes too.
    text = "a: [" + ", ".join(["x"] * (parse.MAX_NODES - 3)) + "]"
    assert read(text).problems == ()
    assert "more than" in only_problem(text[:-1] + ", x]")


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    document = read(data)
    assert document.root is not None or document.problems


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#?%@ \n\t<\\x0\u2028", max_size=60))
def test_no_text_raises(text: str) -> None:
    document = read(text)
    assert document.root is not None or document.problems
