"""The code of an actor: where it is found, what is said when it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_root import FakeRoot

from wippy.core.messages import CodeRef, LibraryRef, Ready
from wippy.core.reasons import Error, Normal, StartFailed
from wippy.errors import Invalid, NotFound
from wippy.runtime import judge, loader


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


# --- imports -------------------------------------------------------------------------------------

TEXTS = LibraryRef(text="seen = []\ndef hello(x):\n    seen.append(x)\n    return seen\n")


def test_a_library_is_a_global_of_the_code_before_it_runs() -> None:
    text = "FIRST = list(texts.hello(0))\ndef main(): return FIRST, texts.hello(1)\n"
    code = CodeRef(
        method="main", text=text, imports={"texts": "app:texts"}, libraries={"app:texts": TEXTS}
    )
    assert loader.load(code, "app:h")() == ([0], [0, 1])


def test_a_library_of_two_importers_is_loaded_once_for_an_actor_and_again_for_the_next() -> None:
    middle = "def add(x): return texts.hello(x)\n"
    code = CodeRef(
        method="main",
        text="def main(x):\n    a.add(x)\n    b.add(x)\n    return list(texts.seen)\n",
        imports={"a": "app:a", "b": "app:b", "texts": "app:texts"},
        libraries={
            "app:texts": TEXTS,
            "app:a": LibraryRef(text=middle, imports={"texts": "app:texts"}),
            "app:b": LibraryRef(text=middle, imports={"texts": "app:texts"}),
        },
    )
    one, two = loader.load(code, "app:i/1"), loader.load(code, "app:i/2")
    assert (one(1), two(2), one(3)) == ([1, 1], [2, 2], [1, 1, 3, 3])


def test_unloading_an_actor_forgets_its_libraries_and_no_others() -> None:
    code = CodeRef(
        method="main", text="def main(): ...", imports={"t": "app:t"}, libraries={"app:t": TEXTS}
    )
    loader.load(code, "app:j/1")
    loader.load(code, "app:j/2")
    assert sys.modules["app:t/1"] is not sys.modules["app:t/2"]
    loader.unload("app:j/1")
    assert {"app:j/1", "app:t/1"}.isdisjoint(sys.modules)
    assert {"app:j/2", "app:t/2"} <= set(sys.modules)
    loader.unload("app:j/2")


def test_type_hints_of_two_actors_are_those_of_each() -> None:
    text = (
        "from __future__ import annotations\nimport typing\nclass Row: ...\n"
        "class Page:\n    row: Row\n"
        "def main(): return typing.get_type_hints(Page)['row'] is Row\n"
    )
    one, two = (loader.load(CodeRef(method="main", text=text), f"app:k/{n}") for n in (1, 2))
    assert one()
    assert two()


def test_a_library_may_be_a_file_or_a_module(tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text("WHERE = __file__\n")
    code = CodeRef(
        method="main",
        text="def main(): return lib.WHERE, js.dumps([1])\n",
        imports={"lib": "app:lib", "js": "app:js"},
        libraries={
            "app:lib": LibraryRef(path=str(tmp_path / "lib.py")),
            "app:js": LibraryRef(module="json"),
        },
    )
    assert loader.load(code, "app:l")() == (str(tmp_path / "lib.py"), "[1]")


@pytest.mark.parametrize(
    ("library", "words"),
    [
        (LibraryRef(text="1/0", origin="b.yaml:9"), "b.yaml:9 raised ZeroDivisionError"),
        (LibraryRef(text="def x(:", origin="b.yaml:9"), "SyntaxError in b.yaml, line 9"),
        (LibraryRef(path="/nowhere/lib.py"), "there is no source file /nowhere/lib.py"),
        (LibraryRef(text="", imports={"x": "app:x"}, origin="b.yaml:9"), "imports app:x, which is"),
        (LibraryRef(module="json", imports={"x": "app:x"}), "cannot have 'imports'"),
    ],
)
def test_a_library_that_cannot_be_loaded_leaves_nothing(library: LibraryRef, words: str) -> None:
    code = CodeRef(
        method="main",
        text="def main(): ...",
        imports={"first": "app:first", "bad": "app:bad"},
        libraries={"app:first": TEXTS, "app:bad": library},
    )
    with pytest.raises((Invalid, NotFound), match=words):
        loader.load(code, "app:m/7")
    assert not [name for name in sys.modules if name.endswith("/7")]


def test_an_actor_tells_the_line_of_its_library_in_the_document(root: FakeRoot) -> None:
    library = LibraryRef(text="def fail():\n    raise ValueError('bad')\n", origin="lib.yaml:30")
    code = CodeRef(
        method="main",
        text="async def main():\n    lib.fail()\n",
        origin="app.yaml:7",
        imports={"lib": "app:lib"},
        libraries={"app:lib": library},
    )
    child = root.actor("", code=code)
    child.expect(Ready)
    reason = child.ended()
    assert isinstance(reason, Error)
    assert 'File "app.yaml", line 8, in main\n    lib.fail()' in reason.traceback
    assert 'File "lib.yaml", line 31, in fail\n    raise ValueError' in reason.traceback


def test_an_error_of_an_actors_own_class_is_named_without_the_actors_number() -> None:
    text = "class Rejected(Exception): ...\ndef main(): raise Rejected('no')\n"
    with pytest.raises(Exception, match="no") as caught:
        loader.load(CodeRef(method="main", text=text), "app:n/12")()
    reason = judge.error_reason(caught.value)
    assert isinstance(reason, Error)
    assert reason.type == "app:n.Rejected"


def test_source_code_is_in_no_package() -> None:
    code = CodeRef(method="main", text="from . import x\ndef main(): ...")
    with pytest.raises(Invalid, match="no known parent package"):
        loader.load(code, "app.workers:o")


# --- how long it takes ---------------------------------------------------------------------------


def test_a_load_is_quick_only_after_a_quick_one_of_the_same_code() -> None:
    code = CodeRef(method="main", text="# quick, once known\ndef main(): ...\n", origin="q.yaml:1")
    assert not loader.is_quick(code)
    loader.load(code, "app:p/1")
    assert loader.is_quick(code)
    changed = CodeRef(method="main", text="# another\ndef main(): ...\n", origin="q.yaml:1")
    assert not loader.is_quick(changed)


def test_a_load_whose_body_takes_its_time_is_never_quick() -> None:
    text = (
        "import time\nend = time.perf_counter() + 0.01\n"
        "while time.perf_counter() < end: pass\ndef main(): ...\n"
    )
    code = CodeRef(method="main", text=text, origin="q.yaml:9")
    loader.load(code, "app:q/1")
    assert not loader.is_quick(code)


def test_a_load_is_as_quick_as_the_slowest_of_its_libraries() -> None:
    library = LibraryRef(text="# not seen before\n", origin="q.yaml:20")
    code = CodeRef(method="main", text="def main(): ...\n", origin="q.yaml:30")
    loader.load(code, "app:r/1")
    both = CodeRef(
        method="main",
        text="def main(): ...\n",
        origin="q.yaml:30",
        imports={"a": "app:a"},
        libraries={"app:a": library},
    )
    assert loader.is_quick(code)
    assert not loader.is_quick(both)
