"""A configuration that stands elsewhere than when it was loaded last."""

from __future__ import annotations

from supervisor.core.registry.relocation import relocate
from wippy.core.entry import CodeText, EntryDoc, decode_doc, encode_doc


def moved(folder: str, path: str, old: str, new: str) -> tuple[str, str]:
    doc = EntryDoc(id="a:b", kind="process.py", folder=folder, code=CodeText(path, "x"))
    found = decode_doc(relocate({"a:b": encode_doc(doc)}, old, new)["a:b"])
    assert found.code is not None
    return found.folder, found.code.path


def test_paths_below_the_old_folder_are_below_the_new_one() -> None:
    assert moved("/a/c", "/a/c/w.py", "/a/c", "/b") == ("/b", "/b/w.py")
    assert moved("/a/c/sub", "/a/c/sub/w.py", "/a/c", "/b") == ("/b/sub", "/b/sub/w.py")
    assert moved("/a", "/a/w.py", "/", "/b") == ("/b/a", "/b/a/w.py")


def test_what_lies_elsewhere_stays() -> None:
    assert moved("/a/cc", "/usr/w.py", "/a/c", "/b") == ("/a/cc", "/usr/w.py")
    data = {"a:b": encode_doc(EntryDoc(id="a:b", kind="registry.entry", data={"x": "/a/c"}))}
    assert relocate(data, "/a/c", "/b") == data
