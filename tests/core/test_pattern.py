"""Patterns over topics and entry ids: tables, and hypothesis against a slow, plain matcher."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core import pattern
from wippy.errors import Invalid

MATCHES = [
    ("shop.orders.paid", "shop.orders.paid"),
    ("shop.*.paid", "shop.orders.paid"),
    ("shop.ord*.paid", "shop.orders.paid"),
    ("shop.orders*", "shop.orders"),
    ("*", "shop"),
    ("**", "shop.orders.paid"),
    ("**", "app.db:postgres"),
    ("shop.**", "shop"),
    ("shop.**", "shop.orders.paid"),
    ("shop.**.paid", "shop.paid"),
    ("shop.**.paid", "shop.a.b.paid"),
    ("shop.**.paid", "shop.paid.paid"),
    ("**.paid", "shop.orders.paid"),
    ("**.paid", "paid"),
    ("**:db", "db"),
    ("app:*", "app:db"),
    ("app.*:db", "app.east:db"),
    ("app.**", "app.db:postgres"),
    ("app.**", "app:db"),
    ("app.**:db", "app.x.y:db"),
    ("app:pg_*", "app:pg_main"),
    ("**:db", "app.x:db"),
]
OTHERS = [
    ("shop.orders", "shop.orders.paid"),
    ("shop.*", "shop"),
    ("shop.*", "shop.orders.paid"),
    ("shop.*", "shop:orders"),
    ("*", "shop.orders"),
    ("app:*", "app.db"),
    ("app:*", "app.x:db"),
    ("shop.**.paid", "shop.orders"),
    ("shop.**", "shopping"),
    ("shop.ord*", "shop.or"),
    ("shop", "Shop"),
]


@pytest.mark.parametrize(("text", "name"), MATCHES)
def test_a_pattern_stands_for_a_name(text: str, name: str) -> None:
    assert pattern.parse(text).matches(name)


@pytest.mark.parametrize(("text", "name"), OTHERS)
def test_a_pattern_does_not_stand_for_another_name(text: str, name: str) -> None:
    assert not pattern.parse(text).matches(name)


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "a b", "a*b", "*a", "***", "a.***", "a**", "a\n", "a" * 256, ":"],
)
def test_what_is_no_pattern_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match=r"is no pattern: parts with"):
        pattern.parse(text)


@pytest.mark.parametrize("name", ["", "a*", "a..b", "a b", ".a", "a:", "x" * 256, "a\x00"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="is no name in parts"):
        pattern.check_name(name)


def test_a_pattern_of_too_many_parts_is_refused() -> None:
    with pytest.raises(Invalid, match="33 parts"):
        pattern.parse(".".join("a" * 33))


@pytest.mark.parametrize("check", [pattern.parse, pattern.check_name])
def test_what_is_no_text_is_a_type_error(check: object) -> None:
    with pytest.raises(TypeError, match="is a str, not 7"):
        check(7)  # type: ignore[operator]


WORDS = st.sampled_from(["a", "b", "ab"])
MARKS = st.sampled_from([".", ":"])
NAMES = st.lists(st.tuples(MARKS, WORDS), min_size=1, max_size=6)
PATTERNS = st.lists(
    st.tuples(MARKS, st.sampled_from(["a", "b", "a*", "*", "**"])), min_size=1, max_size=6
)
Parts = list[tuple[str, str]]


def plainly(pattern_parts: Parts, name: Parts) -> bool:
    """Try everything."""
    if not pattern_parts:
        return not name
    (mark, word), rest = pattern_parts[0], pattern_parts[1:]
    if word == "**":
        return any(plainly(rest, name[taken:]) for taken in range(len(name) + 1))
    if not name or (name[0][0] and name[0][0] != mark):
        return False
    is_like = name[0][1].startswith(word[:-1]) if word[-1] == "*" else name[0][1] == word
    return is_like and plainly(rest, name[1:])


@given(PATTERNS, NAMES)
def test_a_match_is_what_trying_everything_finds(parts: Parts, name: Parts) -> None:
    # The first part of both stands without a separator.
    parts, name = [("", parts[0][1]), *parts[1:]], [("", name[0][1]), *name[1:]]
    text = "".join(mark + word for mark, word in parts)
    whole = "".join(mark + word for mark, word in name)
    assert pattern.parse(text).matches(whole) is plainly(parts, name)


@given(st.text(max_size=40))
def test_any_text_is_a_pattern_or_invalid_and_never_anything_else(text: str) -> None:
    try:
        parsed = pattern.parse(text)
    except Invalid:
        return
    assert parsed.text == text
    assert len(parsed.parts) == len([it for it in text if it in ".:"]) + 1


def test_matching_does_not_explode_whoever_writes_the_pattern() -> None:
    text = ".".join(["**", "a"] * 16)
    assert not pattern.parse(text).matches(".".join(["a"] * 126 + ["b"]))
