"""Documents: what a file says is what its document says, for every kind and every field."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.config.decode import Draft, decode
from supervisor.core.config.documents import document_of, draft_of, in_registry, located, typed_of
from supervisor.core.config.kinds import KINDS
from supervisor.core.config.parse import parse
from supervisor.core.config.problems import Problem, place_text
from supervisor.core.spec import DataEntry, Place, ProcessEntry
from supervisor.io.files import load
from wippy.core.entry import CodeText, EntryDoc, EntryPlace, decode_doc, encode_doc
from wippy.errors import Invalid

EVERYTHING = """\
version: "1.0"
namespace: app
entries:
  - {name: pool, kind: process.host, workers: "${env:N}", umask: 0022, user: 0,
     env: {V: 1.10, W: 8080}}
  - {name: wide, kind: process.host, workers: {min: 1, max: 3, grow_at: 7}, memory: 64MiB}
  - {name: alone, kind: process.host, isolation: dedicated, nice: 010, cwd: ../x}
  - name: inline
    kind: process.py
    method: main
    on_change: upgrade
    mailbox: {size: 5}
    imports: {lib: library}
    source: |
      def main(*words): return "${env:N}"
  - {name: short, kind: process.py, module: json, method: dumps,
     meta: {a: [1, 2.5, null, "3", true]}}
  - name: library
    kind: library.py
    source: |-
      VALUE = 1
  - {name: boss, kind: supervisor, strategy: rest_for_one, children: [w, p],
     intensity: {within: 2m}}
  - {name: many, kind: supervisor, strategy: dynamic, template: t, count: 2}
  - {name: t, kind: process.service, process: inline, input: ["${env:N}", 0x10, 1e3, .inf, "7"]}
  - name: w
    kind: process.service
    process: app:inline
    host: pool
    security: {actor: web, policies: [p1], groups: [g]}
    lifecycle: {restart: transient, stop_timeout: 0s, backoff: {factor: 2, jitter: 0.5}}
  - {name: p, kind: exec.service, command: [sleep, 1e3, 010], stop_signal: 15, readiness: none}
  - {name: q, kind: exec.service, command: sleep 5, stop_signal: INT,
     readiness: {log: up, timeout: 1s}}
  - {name: r, kind: exec.service, command: x, readiness: {notify: true}}
  - name: f
    kind: function.py
    module: json
    method: dumps
    pool: {kind: adaptive, min: 1, max: 4}
    retry: {attempts: 3, max_delay: 1s, non_retryable: [ValueError]}
  - {name: d, kind: registry.entry, data: {url: "$${env:X}", n: "${env:N}", deep: [{a: 1}]}}
  - name: p1
    kind: security.policy
    actions: "*"
    resources: [app:*]
    effect: deny
    conditions: [{field: actor.id, operator: in, value: [a]}, {field: x, operator: exists}]
"""


def drafts(text: str) -> dict[str, Draft]:
    document = parse(text.encode(), "app.yaml")
    read = decode(document, file_path="/etc/s/app.yaml", environ={"N": "2"}, may_have_runtime=False)
    assert read.reading.problems == []
    return {draft.id: draft for draft in read.drafts}


EVERY = drafts(EVERYTHING)


def test_the_example_has_every_kind() -> None:
    assert {draft.kind for draft in EVERY.values()} == set(KINDS)


@pytest.mark.parametrize("entry_id", EVERY)
def test_a_document_means_what_its_file_means(entry_id: str) -> None:
    draft = EVERY[entry_id]
    doc, place = document_of(draft)
    assert decode_doc(encode_doc(doc)) == doc
    wanted = msgspec.structs.replace(located(draft, "/etc/s"), place=Place("x"))
    assert msgspec.structs.replace(typed_of(doc, place, "/etc/s"), place=Place("x")) == wanted


def test_a_document_is_in_the_words_of_the_file_with_variables_filled_in() -> None:
    doc, place = document_of(EVERY["app:pool"])
    assert doc.data == {"workers": 2, "umask": "0022", "user": 0, "env": {"V": "1.10", "W": 8080}}
    assert place == EntryPlace("app.yaml", 4, 5)
    doc, _ = document_of(EVERY["app:d"])
    assert doc.data == {"url": "${env:X}", "n": 2, "deep": [{"a": 1}]}
    doc, place = document_of(EVERY["app:inline"])
    assert doc.data["source"] == 'def main(*words): return "${env:N}"\n'
    assert place.code_at == "/etc/s/app.yaml:15"


def test_where_an_entry_stands_is_no_part_of_its_document() -> None:
    moved = drafts(EVERYTHING.replace("entries:\n", "entries:\n\n# moved\n\n"))
    for entry_id, draft in EVERY.items():
        there, here = document_of(moved[entry_id]), document_of(draft)
        assert there[0] == here[0]
        assert there[1].line == here[1].line + 3


def problems(doc: EntryDoc) -> list[str]:
    found = map(in_registry, draft_of(doc).reading.problems)
    return [f"{place_text(p.place)}: {p.message}" for p in found]


def test_what_is_wrong_in_a_document_is_named_with_its_entry_and_the_place_inside() -> None:
    lifecycle = {"restart": "allways", "backoff": {"factor": "much"}}
    doc = EntryDoc(
        id="app:x", kind="process.service", data={"process": "h", "lifecycle": lifecycle, "hots": 1}
    )
    assert problems(doc) == [
        "registry: app:x, data.lifecycle.restart: unknown restart 'allways' in app:x",
        "registry: app:x, data.lifecycle.backoff.factor: lifecycle.backoff.factor must be a number,"
        " not the string 'much'",
        "registry: app:x, data.hots: unknown key 'hots' in app:x",
    ]
    assert problems(EntryDoc(id="app:x", kind="proces.py"))[0].startswith("registry: app:x, kind: ")
    with pytest.raises(Invalid, match=r"registry: app:x, data.lifecycle.restart"):
        typed_of(doc, None, "/")


def test_a_variable_in_a_document_is_text() -> None:
    doc = EntryDoc(id="app:x", kind="registry.entry", data={"a": "${env:HOME}"})
    entry = typed_of(doc, None, "/")
    assert isinstance(entry, DataEntry)
    assert entry.data == {"a": "${env:HOME}"}


def test_a_relative_path_of_an_entry_without_a_folder_is_refused() -> None:
    doc = EntryDoc(id="app:x", kind="process.host", data={"isolation": "dedicated", "cwd": "here"})
    assert problems(doc) == ["registry: app:x, data.cwd: cwd: 'here' is relative to no folder"]


def test_the_text_of_a_source_file_is_part_of_the_document(tmp_path: Path) -> None:
    text = "# -*- coding: latin-1 -*-\nasync def run(): return 'é'\n"
    (tmp_path / "w.py").write_bytes(
        b"# -*- coding: latin-1 -*-\r\nasync def run(): return '\xe9'\n"
    )
    config = 'version: "1.0"\nnamespace: app\nentries:\n'
    entry = "  - {name: c, kind: process.py, source: 'file://w.py', method: run}\n"
    (tmp_path / "app.yaml").write_text(config + entry)
    read = load(tmp_path, environ={})
    doc = read.docs["app:c"]
    assert doc.data == {"source": "file://w.py", "method": "run"}
    assert doc.code == CodeText(str(tmp_path / "w.py"), text)
    made = typed_of(doc, read.places["app:c"], str(tmp_path))
    assert isinstance(made, ProcessEntry)
    assert msgspec.structs.replace(made, place=read.entries["app:c"].place) == read.entries["app:c"]


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), PLAIN, max_size=3))
def test_plain_data_survives_its_way_through_nodes(data: dict[str, object]) -> None:
    entry = typed_of(EntryDoc(id="app:x", kind="registry.entry", data=data), None, "/")
    assert isinstance(entry, DataEntry)
    assert msgspec.msgpack.encode(entry.data) == msgspec.msgpack.encode(data)


def test_a_problem_of_a_file_keeps_its_place() -> None:
    problem = Problem(place=Place("a.yaml", 3, 1), path="x", message="m")
    assert in_registry(problem) is problem
