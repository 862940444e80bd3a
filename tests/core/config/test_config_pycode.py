"""What a source defines, found without running it."""

from __future__ import annotations

import pytest

from supervisor.core.config.pycode import Broken, Names, Signature, inspect


def names(source: str) -> Names:
    found = inspect(source, "x.py")
    assert isinstance(found, Names)
    return found


@pytest.mark.parametrize(
    ("source", "signature"),
    [
        ("async def run(): ...", Signature(0, 0)),
        ("def run(a, b=1): ...", Signature(1, 2)),
        ("def run(a, /, b): ...", Signature(2, 2)),
        ("def run(a, *more): ...", Signature(1, None)),
        ("def run(*, key=1): ...", Signature(0, 0)),
        ("def run(*, key): ...", None),
        ("@wrapped\ndef run(): ...", None),
        ("class run: ...", None),
        ("run = other", None),
        ("run: object = other", None),
        ("(other, run) = 1, 2", None),
        ("import run.inner", None),
        ("from other import x as run", None),
        ("if True:\n  def run(a): ...", Signature(1, 1)),
        ("try:\n  import run\nexcept ImportError:\n  run = None", None),
        ("with open('x'):\n  run = 1", None),
        ("match 1:\n  case 1:\n    run = 1", None),
    ],
)
def test_every_way_to_define_a_name_is_seen(source: str, signature: Signature | None) -> None:
    found = names(source)
    assert found.functions["run"] == signature
    assert not found.is_open


@pytest.mark.parametrize("source", ["from other import *", "def __getattr__(name): ..."])
def test_a_module_that_may_define_more_is_open(source: str) -> None:
    assert names(source).is_open


def test_names_inside_of_functions_do_not_count() -> None:
    assert list(names("def outer():\n  def inner(): ...").functions) == ["outer"]


@pytest.mark.parametrize(
    ("source", "line"),
    [("x = 1\nx = = 2\n", 2), ("return 1\n", 1), ("def f():\nx\n", 2), ("'unclosed\n", 1)],
)
def test_syntax_errors_have_their_line(source: str, line: int) -> None:
    found = inspect(source, "x.py")
    assert isinstance(found, Broken)
    assert found.line == line
    assert found.text == source.splitlines()[line - 1]


@pytest.mark.parametrize("source", [b"a\0b", b"# coding: nonsense\n", b"\xff\xfe", "(" * 5000])
def test_what_is_no_python_at_all_is_broken_too(source: bytes | str) -> None:
    assert isinstance(inspect(source, "x.py"), Broken)


def test_bytes_are_decoded_as_their_cookie_says() -> None:
    found = inspect("# coding: latin-1\ndef f(): return 'ä'\n".encode("latin-1"), "x.py")
    assert isinstance(found, Names)


@pytest.mark.parametrize(
    ("source", "names_"),
    [
        ("def a(): ...\nasync def b(): ...\nclass c: ...", {"a", "b", "c"}),
        ("import a.b\nfrom x import y as z\nq = r = 1", {"a", "z", "q", "r"}),
        ("if x:\n  import a\ntry:\n  import b\nexcept ImportError:\n  b = None", set()),
        ("a: int\na += 1", set()),
    ],
)
def test_what_is_defined_whenever_the_code_runs_is_known(source: str, names_: set[str]) -> None:
    assert names(source).certain == names_


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_what_is_only_for_type_checkers_is_not_defined(test: str) -> None:
    found = names(f"if {test}:\n  import a\nelse:\n  import b\n")
    assert list(found.functions) == ["b"]
