"""How problems are shown."""

from __future__ import annotations

from supervisor.core.config.problems import (
    MAX_SHOWN,
    ConfigErrors,
    Problem,
    did_you_mean,
    render,
    render_one,
)
from supervisor.core.spec import Place
from wippy.errors import Failure, Invalid


def problem(line: int = 1, column: int = 1, text: str = "", file: str = "a.yaml") -> Problem:
    return Problem(place=Place(file, line, column), message="wrong", line=text)


def test_the_caret_stands_under_the_column() -> None:
    assert render_one(problem(3, 5, "a: [x]")).splitlines()[1:] == ["  a: [x]", "      ^"]


def test_the_caret_stands_right_after_wide_characters_and_tabs() -> None:
    assert render_one(problem(1, 4, "日本\tx")).splitlines()[2] == "  " + " " * 5 + "^"


def test_control_characters_never_reach_the_terminal() -> None:
    assert "\x1b" not in render_one(problem(1, 1, "\x1b[31mred"))


def test_a_very_long_line_is_cut_around_the_column() -> None:
    shown = render_one(problem(1, 5001, "a" * 5000 + "X" + "b" * 5000)).splitlines()
    assert len(shown[1]) < 200
    assert shown[1][shown[2].index("^")] == "X"


def test_a_problem_of_a_whole_file_has_no_line() -> None:
    assert render_one(problem(0)) == "a.yaml: error: wrong"


def test_problems_come_by_file_and_place_each_once_and_the_count_last() -> None:
    errors = ConfigErrors([problem(2), problem(1, file="b.yaml"), problem(1), problem(2)])
    places = [str(each.place) for each in errors.problems]
    assert places == ["a.yaml:1:1", "a.yaml:2:1", "b.yaml:1:1"]
    assert str(errors).endswith("\n3 errors")


def test_only_the_first_of_very_many_are_shown() -> None:
    many = [problem(line) for line in range(1, MAX_SHOWN + 51)]
    shown = render(many)
    assert shown.count("error: wrong") == MAX_SHOWN
    assert shown.endswith(f"{MAX_SHOWN + 50} errors, of which the first {MAX_SHOWN} are shown")


def test_the_nearest_word_is_named_only_if_it_is_near() -> None:
    assert did_you_mean("retsart", ["restart", "requires"]) == "did you mean 'restart'?"
    assert did_you_mean("zzz", ["restart", "requires"]) == ""


def test_configuration_errors_are_invalid_and_cross_processes() -> None:
    errors = ConfigErrors([problem()])
    assert isinstance(errors, Invalid)
    assert "wrong" in str(Failure.of(errors).to_error())
