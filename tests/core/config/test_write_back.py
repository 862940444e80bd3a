"""Entries written back into the text of their file: comments, order, layout of the rest stay."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.config.write_back import new_file, read_contents, write_back
from supervisor.core.config.yaml_edit import Edit
from wippy.errors import Conflict, Invalid

TEXT = """\
# the shop
version: "1.0"
namespace: app

entries:
  # the database
  - name: db          # app:db
    kind: registry.entry
    data: {host: db1,   port: 5432}  # ports
    # about meta
    meta:   {type: db.sql}

  # code
  - name: code
    kind: process.py
    source: |
      async def main():
          pass   # x

    method: main
  # the web
  - {name: web, kind: process.service, process: code,
     lifecycle: {auto_start: false}}
  - name: last
    kind: process.service
    process: code   # runs code
    # restart
    lifecycle:
      restart: transient
      requires:
        - app:web
        - app:db2   # hm
    # end
"""
Entries = dict[str, Any]


def edits(change: Callable[[Entries], object], text: str = TEXT) -> list[Edit]:
    old = read_contents(text, "a.yaml").entries
    new = copy.deepcopy(old)
    change(new)
    return [
        Edit(name, old.get(name), new.get(name))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


def difference(change: Callable[[Entries], object], text: str = TEXT) -> list[str]:
    """Return the lines that are gone (-) and new (+)."""
    written = write_back(text, "a.yaml", edits(change, text))
    lines = difflib.ndiff(text.splitlines(), written.splitlines())
    return [line for line in lines if line[0] in "+-"]


def delete(name: str) -> Callable[[Entries], object]:
    return lambda entries: entries.pop(name)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (
            lambda e: e["db"]["data"].update(port=1),
            [
                "-     data: {host: db1,   port: 5432}  # ports",
                "+     data: {host: db1, port: 1}       # ports",
            ],
        ),
        (lambda e: e["db"].pop("meta"), ["-     meta:   {type: db.sql}"]),
        (
            lambda e: e["code"].update(source="async def main():\n    return 1\n"),
            ["-           pass   # x", "+           return 1"],
        ),
        (lambda e: e["last"]["lifecycle"].pop("restart"), ["-       restart: transient"]),
        (lambda e: e["last"].pop("process"), ["-     process: code   # runs code"]),
        (
            lambda e: e["last"]["lifecycle"]["requires"].append("app:db9"),
            ["+         - app:db9"],
        ),
        (
            lambda e: e["last"]["lifecycle"]["requires"].pop(0),
            ["-         - app:web"],
        ),
        (
            lambda e: e["last"]["lifecycle"].update(stop_timeout="3s"),
            ["+       stop_timeout: 3s"],
        ),
        (
            delete("web"),
            [
                "-   - {name: web, kind: process.service, process: code,",
                "-      lifecycle: {auto_start: false}}",
            ],
        ),
    ],
)
def test_only_the_lines_of_the_change_differ(
    change: Callable[[Entries], object], wanted: list[str]
) -> None:
    assert difference(change) == wanted


@pytest.mark.parametrize("name", ["db", "code", "web", "last"])
def test_comments_of_others_survive_a_deleted_entry(name: str) -> None:
    lines = [line.split("#")[1] for line in TEXT.splitlines() if line.strip().startswith("#")]
    own = {"db": [" about meta"], "last": [" restart"]}.get(name, [])
    written = write_back(TEXT, "a.yaml", edits(delete(name)))
    assert [line for line in lines if f"#{line}" not in written] == own


def test_a_new_entry_comes_last_in_blocks() -> None:
    data = {"text": "a\nb\n", "looks": "2024-01-01", "mask": "0022", "env": "${env:X}", "n": 1.0}
    assert difference(lambda e: e.update(new={"kind": "registry.entry", "data": data})) == [
        "+   - name: new",
        "+     kind: registry.entry",
        "+     data:",
        "+       text: |",
        "+         a",
        "+         b",
        "+       looks: '2024-01-01'",
        "+       mask: '0022'",
        "+       env: $${env:X}",
        "+       n: 1.0",
    ]


def test_variables_stay_variables_whatever_they_were() -> None:
    text = TEXT.replace("host: db1", 'host: "${env:HOST:-db1}"')
    old = {
        "kind": "registry.entry",
        "meta": {"type": "db.sql"},
        "data": {"host": "h", "port": 5432},
    }
    new = {**old, "data": {"host": "h", "port": 1}}
    written = write_back(text, "a.yaml", [Edit("db", old, new)])
    assert 'data: {host: "${env:HOST:-db1}", port: 1}' in written
    replaced = write_back(text, "a.yaml", [Edit("db", old, {**old, "data": {"host": "x"}})])
    assert 'data: {host: "x"}' in replaced


def test_what_is_written_back_already_is_no_change() -> None:
    made = edits(lambda e: e["db"]["data"].update(port=1)) + edits(delete("web"))
    written = write_back(TEXT, "a.yaml", made)
    assert write_back(written, "a.yaml", made) == written


def test_a_file_that_was_changed_since_is_refused() -> None:
    made = edits(lambda e: e["db"]["data"].update(port=1))
    with pytest.raises(Conflict, match=r"a\.yaml: db was changed in the file since it was loaded"):
        write_back(TEXT.replace("5432", "77"), "a.yaml", made)
    with pytest.raises(Conflict):
        write_back(TEXT.replace("name: db ", "name: gone "), "a.yaml", made)


def test_a_file_that_is_no_yaml_is_refused_with_its_place() -> None:
    with pytest.raises(Invalid, match=r"a\.yaml:5:\d+"):
        write_back(TEXT.replace("namespace: app", "namespace: [app"), "a.yaml", [])


def test_an_alias_that_is_shared_is_never_changed_under_another_entry() -> None:
    text = (
        'version: "1.0"\nnamespace: app\nentries:\n'
        "  - {name: a, kind: registry.entry, data: &d {x: 1}}\n"
        "  - {name: b, kind: registry.entry, data: *d}\n"
    )
    with pytest.raises(Invalid, match="b cannot be written back"):
        write_back(text, "a.yaml", edits(lambda e: e["b"].update(data={"x": 2}), text))


def test_lists_that_are_not_indented_stay_so() -> None:
    text = 'version: "1.0"\nnamespace: app\nentries:\n- name: a\n  kind: registry.entry\n'
    made = edits(lambda e: e.update(b={"kind": "registry.entry", "data": {}}), text)
    written = write_back(text, "a.yaml", made)
    assert written == text + "- name: b\n  kind: registry.entry\n  data: {}\n"


CHARACTERS = st.sampled_from("ab1.-:#{}[]'\"\\ \n\u00e4$,&*!|>%@`~")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False)
    | st.text(CHARACTERS, max_size=9)
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["host", "port", "more"]), DATA))
def test_any_data_is_written_so_that_it_reads_alike(data: dict[str, Any]) -> None:
    made = edits(lambda e: e["db"].update(data=data))
    written = write_back(TEXT, "a.yaml", made)  # it reads what it has written, and compares
    assert written == TEXT or made
    new_file("app", {"x": {"kind": "registry.entry", "data": data}})
