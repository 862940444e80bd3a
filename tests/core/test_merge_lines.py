"""A change of one layout is carried over to another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.merge_lines import carry_over

LINES = st.lists(st.sampled_from("abcdef"), max_size=12).map("\n".join)


@given(LINES, LINES)
def test_a_text_in_the_same_layout_becomes_the_text_after(text: str, after: str) -> None:
    assert carry_over(text, text, after) == after


@given(LINES, LINES)
def test_without_a_change_the_layout_stays(text: str, before: str) -> None:
    assert carry_over(text, before, before) == text


@given(LINES, LINES, LINES)
def test_any_three_texts_can_be_merged(text: str, before: str, after: str) -> None:
    merged = carry_over(text, before, after)
    assert set(merged.splitlines()) <= {*text.splitlines(), *after.splitlines()}


@pytest.mark.parametrize(
    ("text", "before", "after", "wanted"),
    [
        ("a\nB1\nB2\nc\n", "a\nb\nc\n", "a\nb\nx\n", "a\nB1\nB2\nx\n"),  # below other layout
        ("a\nB1\nB2\nc\n", "a\nb\nc\n", "x\nb\nc\n", "x\nB1\nB2\nc\n"),  # above it
        ("a\nB1\nB2\nc\n", "a\nb\nc\n", "a\ny\nc\n", "a\ny\nc\n"),  # within it
        ("a\n\n\nc\n", "a\nc\n", "a\nx\nc\n", "a\n\n\nx\nc\n"),  # empty lines that layout drops
        ("A\n", "a\n", "a\nb\n", "A\nb\n"),  # at the end
        ("A\nb\n", "a\nb\n", "a\n", "A\n"),
    ],
)
def test_only_what_the_change_touches_is_replaced(
    text: str, before: str, after: str, wanted: str
) -> None:
    assert carry_over(text, before, after) == wanted
