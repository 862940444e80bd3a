"""Durations and sizes as users write and read them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core.units import (
    BYTES,
    MAX_DURATION_S,
    SECONDS,
    counted,
    format_bytes,
    format_duration,
    parse_duration_s,
    parse_size_bytes,
)
from wippy.errors import Invalid


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("100ms", 0.1), ("5s", 5.0), ("2m", 120.0), ("1h", 3600.0), ("1.5s", 1.5), ("0s", 0.0),
     (" 5 s ", 5.0), ("1d", 86400.0), ("250us", 0.00025), ("250µs", 0.00025)],
)  # fmt: skip
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5s", "5 sec", "5S", "1e3s", "5s5s", "５s", "nan s", "11000d",
             "9" * 400 + "s", "1.s", ".5s"]
)  # fmt: skip
def test_what_is_no_duration_is_refused_in_words(text: str) -> None:
    with pytest.raises(Invalid, match=r"duration|ten years"):
        parse_duration_s(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("64KiB", 65536), ("512MiB", 2**29), ("2GiB", 2**31), ("1.5KiB", 1536), ("10B", 10),
     ("1MB", 10**6), ("1TiB", 2**40), ("0B", 0)],
)  # fmt: skip
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "5", "MiB", "-1B", "5mb", "5M", "1e3B", "9" * 30 + "B", "9" * 400 + "B"]
)
def test_what_is_no_size_is_refused_in_words(text: str) -> None:
    with pytest.raises(Invalid, match=r"size|8 EiB"):
        parse_size_bytes(text)


@given(st.text())
def test_any_text_is_a_value_or_invalid(text: str) -> None:
    for parse in (parse_duration_s, parse_size_bytes):
        with contextlib.suppress(Invalid):
            assert parse(text) >= 0


@given(st.integers(0, 10**6), st.sampled_from(sorted(SECONDS)))
def test_a_duration_never_exceeds_ten_years(number: int, unit: str) -> None:
    try:
        assert parse_duration_s(f"{number}{unit}") <= MAX_DURATION_S
    except Invalid:
        assert number * SECONDS[unit] > MAX_DURATION_S


@given(st.integers(0, 10**6), st.sampled_from(sorted(BYTES)))
def test_whole_sizes_are_exact(number: int, unit: str) -> None:
    assert parse_size_bytes(f"{number}{unit}") == number * BYTES[unit]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0ms"), (0.009, "9ms"), (0.9994, "999ms"), (0.9996, "1.0s"), (4.2, "4.2s"),
     (9.94, "9.9s"), (9.96, "10s"), (59.4, "59s"), (59.96, "1m00s"), (192.0, "3m12s"),
     (3599.6, "1h00m"), (18180.0, "5h03m"), (86399.6, "1d00h"), (187200.0, "2d04h")],
)  # fmt: skip
def test_durations_are_short_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(0.0, 400 * 86400.0))
def test_a_shown_duration_never_shows_sixty_of_anything(seconds: float) -> None:
    shown = format_duration(seconds)
    assert len(shown) <= 7
    assert "60s" not in shown
    assert "60m" not in shown
    assert "24h" not in shown


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (812, "812B"), (1023, "1023B"), (1024, "1.0K"), (7_759_462, "7.4M"),
     (2**30 * 12 // 10, "1.2G"), (999 * 2**20, "999M"), (1000 * 2**20, "1.0G"), (2**40, "1.0T")],
)  # fmt: skip
def test_sizes_are_short_for_people(size: int, text: str) -> None:
    assert format_bytes(size) == text


@given(st.integers(0, 2**49))
def test_a_shown_size_has_at_most_six_characters(size: int) -> None:
    assert 2 <= len(format_bytes(size)) <= 6


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 restarts"), (1, "1 restart"), (2, "2 restarts")]
)
def test_a_noun_is_in_the_plural_unless_there_is_one(count: int, text: str) -> None:
    assert counted(count, "restart") == text
