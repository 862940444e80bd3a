"""Entries that are handed over in YAML, outside of the configuration's files."""

from __future__ import annotations

import pytest

from supervisor.core.config.entry_text import read_entries
from supervisor.core.config.problems import ConfigErrors
from wippy.core.entry import EntryDoc


def read(text: str) -> list[EntryDoc]:
    return read_entries(text.encode(), "stdin", folder="/etc/shop", environ={"PORT": "7"})


def test_an_entry_with_its_whole_id_a_list_of_them_and_a_file_say_the_same() -> None:
    entry = "kind: registry.entry, meta: {a: 1}, data: {port: '${env:PORT}'}"
    wanted = [EntryDoc(id="app.x:db", kind="registry.entry", meta={"a": 1}, data={"port": 7})]
    assert read(f"{{id: 'app.x:db', {entry}}}") == wanted
    assert read(f"- {{id: 'app.x:db', {entry}}}") == wanted
    assert read(f"version: '1.0'\nnamespace: app.x\nentries: [{{name: db, {entry}}}]") == wanted


def test_relative_paths_start_at_the_given_folder() -> None:
    (doc,) = read("{id: 'app:c', kind: process.py, source: 'file://w.py', method: main}")
    assert (doc.folder, doc.data["source"]) == ("/etc/shop", "file://w.py")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id: app:web\nkind: process.servce\n", "stdin:2:7: error: unknown kind 'process.servce'"),
        ("id: nonsense\nkind: registry.entry\n", "stdin:1:1: error"),
        ("- 5\n", "stdin:1:3: error: an entry here is a mapping with id, kind"),
        ("- {kind: registry.entry}\n", "stdin:1:3: error"),
        ("5", "stdin:1:1: error"),
        ("id: [", "stdin:1"),
        ("", "the file is empty"),
        ("[{id: 'a:b', kind: registry.entry}, {id: 'a:b', kind: registry.entry}]", "given twice"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        read(text)
    assert said in str(raised.value)
