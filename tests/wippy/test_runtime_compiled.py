"""Compiled sources: when they are compiled again, and what tracebacks show of them."""

from __future__ import annotations

import linecache
import os
import time
import traceback
from pathlib import Path

import pytest

from wippy.core.messages import CodeRef
from wippy.errors import NotFound
from wippy.runtime import compiled

OLD_NS = time.time_ns() - 3600 * 10**9


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that were made a moment ago count as old."""
    monkeypatch.setattr(compiled, "SETTLED_NS", -(10**12))


def test_the_same_text_at_the_same_place_is_compiled_once() -> None:
    first = compiled.of_text("def main(): ...\n", "/x/once.yaml:3")
    again = compiled.of_text("def main(): ..." + "\n", "/x/once.yaml:3")
    assert first is again
    assert compiled.of_text("def main(): ...\n", "/x/once.yaml:4") is not first


@pytest.mark.usefixtures("settled")
def test_an_unchanged_file_is_neither_read_nor_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    first = compiled.of_file(str(path))
    monkeypatch.setattr(compiled, "_read", None)
    assert compiled.of_file(str(path)) is first
    assert compiled.find(CodeRef(method="x", path=str(path))) is first


def test_a_file_written_a_moment_ago_is_not_trusted_by_its_times(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    first = compiled.of_file(str(path))
    assert compiled.find(CodeRef(method="x", path=str(path))) is None
    path.write_text("x = 2\n")
    os.utime(path, ns=times)
    assert compiled.of_file(str(path)) is not first


@pytest.mark.usefixtures("settled")
def test_a_file_put_in_place_with_an_old_time_is_read_again(tmp_path: Path) -> None:
    path, other = tmp_path / "a.py", tmp_path / "b.py"
    for each, text in ((path, "x = 1\n"), (other, "x = 2\n")):
        each.write_text(text)
        os.utime(each, ns=(OLD_NS, OLD_NS))
    first = compiled.of_file(str(path))
    other.replace(path)
    assert compiled.of_file(str(path)) is not first


@pytest.mark.usefixtures("settled")
def test_a_file_that_is_gone_is_not_found_whatever_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    compiled.of_file(str(path))
    path.unlink()
    assert compiled.find(CodeRef(method="x", path=str(path))) is None
    with pytest.raises(NotFound, match="there is no source file"):
        compiled.of_file(str(path))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "SOURCES", 4)
    sources = [compiled.of_text(f"x = {n}\n", "/x/bounded.yaml:1") for n in range(9)]
    assert len(compiled._by_text) <= 4
    assert compiled.of_text("x = 8\n", "/x/bounded.yaml:1") is sources[8]
    assert compiled.of_text("x = 0\n", "/x/bounded.yaml:1") is not sources[0]


def test_the_file_and_line_of_inline_code_are_those_of_its_document(tmp_path: Path) -> None:
    document = tmp_path / "app.yaml"
    document.write_text("a\nb\n    def main():\n        1 / 0\n")
    source = compiled.of_text("def main():\n    1 / 0\n", f"{document}:3")
    names: dict[str, object] = {}
    exec(source.code, names)
    with pytest.raises(ZeroDivisionError) as caught:
        names["main"]()  # type: ignore[operator]  # what was just defined
    shown = "".join(traceback.format_exception(caught.value))
    assert f'File "{document}", line 4, in main\n    1 / 0\n    ~~^~~\n' in shown


def test_tracebacks_show_what_runs_also_when_the_document_has_changed(tmp_path: Path) -> None:
    document = tmp_path / "app.yaml"
    document.write_text("one\ntwo\nthree\n")
    compiled.of_text("x = 1\n", f"{document}:2")
    compiled.of_text("y = 1\nz = 2\n", f"{document}:7")
    document.write_text("all new\n" * 10)
    linecache.checkcache()
    lines = [linecache.getline(str(document), number) for number in (2, 7, 8)]
    assert lines == ["x = 1\n", "y = 1\n", "z = 2\n"]


def test_code_that_comes_back_is_shown_again(tmp_path: Path) -> None:
    origin = f"{tmp_path}/back.yaml:1"
    for text in ("x = 1\n", "x = 2\n", "x = 1\n"):
        compiled.of_text(text, origin)
        assert linecache.getline(f"{tmp_path}/back.yaml", 1) == text


def test_an_encoding_that_inline_code_declares_is_only_a_comment() -> None:
    source = compiled.of_text("# coding: latin-1\nword = 'ä'\n", "/x/coding.yaml:1")
    names: dict[str, object] = {}
    exec(source.code, names)
    assert names["word"] == "ä"


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        ("/x/app.yaml:12", ("/x/app.yaml", 12)),
        ("/x/a:b/app.yaml:1", ("/x/a:b/app.yaml", 1)),
        ("<app:handler>", ("<app:handler>", 1)),
        ("/x/app.yaml", ("/x/app.yaml", 1)),
        ("", ("<code>", 1)),
    ],
)
def test_a_place_is_a_file_and_a_line(origin: str, place: tuple[str, int]) -> None:
    assert compiled.place_of(origin) == place


def test_a_text_that_was_sent_runs_under_its_files_name_whatever_the_file_says_by_now(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sent.py"
    path.write_text("something = 'else'\nmuch = 'longer'\n")
    text = "def fail():\n    raise ValueError('sent')\n"
    names: dict[str, object] = {}
    exec(compiled.of_sent(text, str(path)).code, names)
    fail = names["fail"]
    assert callable(fail)
    with pytest.raises(ValueError, match="sent") as caught:
        fail()
    shown = "".join(traceback.format_exception(caught.value))
    assert f'File "{path}", line 2, in fail' in shown
    assert "    raise ValueError('sent')" in shown
    newer = compiled.of_sent(text.replace("sent", "newer"), str(path))
    assert newer is not compiled.of_sent(text, str(path))


def test_a_sent_text_is_found_where_the_forkserver_has_compiled_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ahead.py"
    path.write_bytes("# -*- coding: latin-1 -*-\r\nx = 'é'\r\n".encode("latin-1"))
    ahead = compiled.of_file(str(path))
    text = "# -*- coding: latin-1 -*-\nx = 'é'\n"
    code = CodeRef(method="main", path=str(path), text=text)
    assert compiled.find(code) is ahead
    assert compiled.of_sent(text, str(path)) is ahead
