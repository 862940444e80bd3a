"""The code of an actor: where it is found, what is said when it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_root import FakeRoot

from wippy.core.messages import CodeRef, Ready
from wippy.core.reasons import Error, Normal, StartFailed
from wippy.errors import Invalid, NotFound
from wippy.runtime import loader


@pytest.fixture(autouse=True)
def unchanged_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_source_file_is_read_again_at_each_load_even_within_one_clock_tick(tmp_path: Path) -> None:
    source = tmp_path / "workers.py"
    code = CodeRef(method="main", path=str(source))
    source.write_text("def main(): return 1\n")
    first = loader.load(code, "app:a")
    source.write_text("def main(): return 2\n")
    assert (first(), loader.load(code, "app:b")()) == (1, 2)


def test_each_load_of_source_has_globals_of_its_own() -> None:
    code = CodeRef(
        method="main", text="seen = []\ndef main(x):\n    seen.append(x)\n    return seen\n"
    )
    one, two = loader.load(code, "app:c/1"), loader.load(code, "app:c/2")
    assert (one(1), two(2)) == ([1], [2])
    loader.unload("app:c/1")
    assert "app:c/1" not in sys.modules


def test_dataclass_with_string_annotations_works_in_source_code() -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Point:\n    x: int\ndef main(): return Point(1).x\n"
    )
    assert loader.load(CodeRef(method="main", text=text), "app:d")() == 1


def test_module_is_found_on_the_search_path_first(tmp_path: Path) -> None:
    (tmp_path / "only_here_7.py").write_text("def main(): return __name__\n")
    code = CodeRef(method="main", module="only_here_7", search_path=str(tmp_path))
    assert loader.load(code, "app:e")() == "only_here_7"
    assert sys.path[0] == str(tmp_path)
    loader.put_first_on_path(str(tmp_path))
    assert sys.path.count(str(tmp_path)) == 1


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (CodeRef(method="m", path="/nowhere/x.py"), NotFound, "there is no source file /nowhere/x"),
        (CodeRef(method="m", path="/"), Invalid, "cannot read /: Is a directory"),
        (CodeRef(method="m", module="no_such.mod"), NotFound, "there is no module 'no_such'"),
        (CodeRef(method="m"), Invalid, "neither 'source' nor 'module'"),
        (
            CodeRef(method="handlr", text="def handler(): pass", origin="a.yaml:3"),
            NotFound,
            "a.yaml:3 has no function 'handlr'; did you mean 'handler'?",
        ),
        (CodeRef(method="m", text="m = 3", origin="a.yaml:3"), Invalid, "is no function but int"),
        (
            CodeRef(method="m", text="x = 1\ndef m(:\n", origin="a.yaml:3"),
            Invalid,
            "SyntaxError in a.yaml, line 4: invalid syntax: def m(:",
        ),
        (CodeRef(method="m", text="x\0", origin="a.yaml:3"), Invalid, "a.yaml:3"),
        (
            CodeRef(method="m", text="raise SystemExit(3)", origin="a.yaml:3"),
            Invalid,
            "a.yaml:3 exited with status 3 when loaded",
        ),
        (
            CodeRef(method="m", text="1/0", origin="a.yaml:3"),
            Invalid,
            "a.yaml:3 raised ZeroDivisionError when loaded: division by zero",
        ),
    ],
)
def test_what_is_wrong_with_the_code_is_said(
    code: CodeRef, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        loader.load(code, "app:f")
    assert words in str(caught.value)


def test_missing_import_inside_a_module_is_not_taken_for_the_module(tmp_path: Path) -> None:
    (tmp_path / "imports_8.py").write_text("import no_such_thing\n")
    code = CodeRef(method="main", module="imports_8", search_path=str(tmp_path))
    with pytest.raises(Invalid, match="module imports_8 raised ModuleNotFoundError"):
        loader.load(code, "app:g")


def test_code_that_cannot_be_loaded_is_a_failed_start_with_its_cause(root: FakeRoot) -> None:
    child = root.actor("def helper():\n    raise ValueError('bad')\nhelper()\n")
    reason = child.ended()
    assert isinstance(reason, StartFailed)
    assert reason.detail == "app.yaml:7 raised ValueError when loaded: bad"
    assert isinstance(reason.cause, Error)
    assert 'File "app.yaml", line 8, in helper' in reason.cause.traceback
    assert "raise ValueError('bad')" in root.log()
    assert child.status() == 1


def test_syntax_error_is_a_failed_start_that_shows_the_line(root: FakeRoot) -> None:
    child = root.actor("def main(:\n")
    reason = child.ended()
    assert isinstance(reason, StartFailed)
    assert reason.detail == "SyntaxError in app.yaml, line 7: invalid syntax: def main(:"
    assert "def main(:" in root.log()


def test_missing_method_is_a_failed_start(root: FakeRoot) -> None:
    reason = root.actor("def handler(): pass\n", method="handlr").ended()
    assert isinstance(reason, StartFailed)
    assert "did you mean 'handler'?" in reason.detail


def test_actor_of_a_source_file_can_import_its_neighbours(root: FakeRoot, tmp_path: Path) -> None:
    (tmp_path / "neighbour_9.py").write_text("WORD = 'found'\n")
    source = tmp_path / "main.py"
    source.write_text(
        "import neighbour_9\nasync def main():\n    print(neighbour_9.WORD, __file__)\n"
    )
    code = CodeRef(method="main", path=str(source), search_path=str(tmp_path))
    child = root.actor("", code=code)
    child.expect(Ready)
    assert child.ended() == Normal()
    assert root.log() == f"found {source}\n"
