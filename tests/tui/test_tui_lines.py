"""Cutting, padding, cleaning and ASCII."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from supervisor.core.view import ASCII_GLYPHS, GLYPHS
from supervisor.tui.lines import clean, exactly, fit, styled, to_ansi, to_ascii, width_of, wrap
from supervisor.tui.screen import difference

ANY_TEXT = st.text(max_size=80)


@given(ANY_TEXT, st.integers(1, 60))
def test_a_fitted_text_has_exactly_the_cells_asked_for(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit(text, width, align="right")) == width


@given(ANY_TEXT, st.integers(0, 60))
def test_a_line_is_cut_or_padded_to_the_width(text: str, width: int) -> None:
    line = [styled(text, "bold"), styled("tail")]
    assert width_of(exactly(line, width)) == width


@given(ANY_TEXT, st.integers(2, 60))
def test_wrapped_pieces_fit_and_lose_nothing(text: str, width: int) -> None:
    pieces = wrap(text, width)
    assert all(cell_len(piece) <= width for piece in pieces)
    assert "".join(pieces) == clean(text)


def test_a_wide_character_is_never_cut_in_two() -> None:
    assert fit("日本語", 4) == "日 …"
    assert fit("日本語", 6) == "日本語"


@given(st.text())
def test_nothing_that_a_child_prints_reaches_the_terminal_as_a_control(text: str) -> None:
    assert all(char.isprintable() for char in clean(text))


def test_escape_sequences_are_taken_out_whole() -> None:
    assert clean("\x1b[31mred\x1b[0m \x1b]0;title\x07and\x1b[2J more\r") == "red and more·"
    assert clean("a\tb") == "a   b"


@pytest.mark.parametrize("state", GLYPHS)
def test_ascii_shows_the_ascii_glyph_of_each_state(state: str) -> None:
    assert to_ascii(GLYPHS[state]) == ASCII_GLYPHS[state]  # type: ignore[index]


@given(ANY_TEXT)
def test_ascii_keeps_the_width(text: str) -> None:
    shown = to_ascii(clean(text))
    assert shown.isascii()
    assert len(shown) == sum(map(cell_len, clean(text)))


def test_without_colour_bold_and_reverse_stay() -> None:
    line = [styled("x", "bold red reverse")]
    assert to_ansi(line, color=False, ascii_only=False) == "\x1b[1;7mx\x1b[0m"
    assert to_ansi(line, color=True, ascii_only=False) == "\x1b[1;7;31mx\x1b[0m"
    assert to_ansi(line, color=True, ascii_only=False, plain=True) == "x"


def test_only_lines_that_changed_are_written() -> None:
    text = difference(["one", "two", "three"], ["one", "TWO", "three"])
    assert "\x1b[2;1HTWO" in text
    assert "one" not in text


def test_nothing_is_written_where_nothing_changed() -> None:
    assert difference(["one"], ["one"]) == ""


def test_an_unknown_screen_is_cleared_and_written_whole() -> None:
    text = difference([], ["one", "two"])
    assert "\x1b[2J" in text
    assert "one" in text
    assert "two" in text
