"""The keeper's registry: changesets, validation before the commit, versions, merging, migration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import pytest
from keeper_tools import doc

from supervisor.core.config.kinds import KINDS
from supervisor.core.keeping import Answered, ApplyChanges, ApplyVersion, Committed, LoadRegistry
from supervisor.core.registry.retention import Retention
from supervisor.io.files import load
from supervisor.io.state_reader import StateReader
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.store import Stamped, Stored
from wippy.core.entry import EntryChange, EntryDoc, decode_doc
from wippy.errors import Failure, NotFound

CONFIG = """\
version: "1.0"
namespace: app
entries:
  - {name: db, kind: registry.entry, data: {port: 1}}
  - {name: pool, kind: process.host}
  - {name: code, kind: process.py, source: "file://w.py", method: main}
  - {name: web, kind: process.service, process: code, host: pool}
  - {name: top, kind: supervisor, children: [web]}
"""


class Keeper:
    """A store with the configuration loaded, and the folders it came from."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.config, self.state = folder / "c", folder / "s"
        self.config.mkdir()
        (self.config / "w.py").write_text("async def main(): ...\n")
        (self.config / "app.yaml").write_text(CONFIG)
        self.store = LmdbStore(self.state, history_limit=100, **limits)
        self.at_s = 1000.0

    def ask(self, request: Stored) -> Answered:
        self.at_s += 1
        return self.store.apply([Stamped(os.urandom(16), request, self.at_s)])[0]

    def load(self, text: str = CONFIG) -> Committed:
        (self.config / "app.yaml").write_text(text)
        read = load(self.config, environ={})
        answer = self.ask(
            LoadRegistry(
                docs=tuple(read.docs.values()),
                places=read.places,
                comment="loaded",
                origin=str(self.config),
            )
        )
        assert isinstance(answer, Committed), answer
        return answer

    def change(self, *changes: EntryChange, **more: Any) -> Answered:
        return self.ask(ApplyChanges(changes=changes, author="ann", **more))

    def refused(self, *changes: EntryChange, **more: Any) -> str:
        before = self.head()
        answer = self.change(*changes, **more)
        assert isinstance(answer, Failure), answer
        assert self.head() == before
        return f"{answer.kind}: {answer.message}"

    def head(self) -> tuple[int, dict[str, EntryDoc]]:
        self.store.close()
        reader = StateReader(self.state)
        version, docs, _ = reader.documents()
        reader.close()
        self.store = LmdbStore(self.state, history_limit=100)
        return version, docs

    def read(self, look: Callable[[StateReader], Any]) -> Any:
        self.store.close()
        reader = StateReader(self.state)
        try:
            return look(reader)
        finally:
            reader.close()
            self.store = LmdbStore(self.state, history_limit=100)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path)
    made.load()
    yield made
    made.store.close()


def create(entry_id: str, kind: str = "registry.entry", **data: Any) -> EntryChange:
    return EntryChange("create", entry_id, EntryDoc(id=entry_id, kind=kind, data=data))


def update(entry_id: str, kind: str = "registry.entry", **data: Any) -> EntryChange:
    return EntryChange("update", entry_id, EntryDoc(id=entry_id, kind=kind, data=data))


def delete(entry_id: str) -> EntryChange:
    return EntryChange("delete", entry_id)


# --- changesets ----------------------------------------------------------------------------------


def test_a_changeset_is_one_version_with_all_that_it_changed(keeper: Keeper) -> None:
    assert keeper.change(create("a:x", n=1), update("app:db", port=2), comment="why") == Committed(
        2, 2
    )
    version, docs = keeper.head()
    assert (version, docs["a:x"].data, docs["app:db"].data) == (2, {"n": 1}, {"port": 2})
    last = keeper.read(lambda reader: reader.versions(1))[0]
    assert (last.author, last.comment, last.created, last.updated) == ("ann", "why", 1, 1)


def test_the_same_content_makes_no_version(keeper: Keeper) -> None:
    assert keeper.change(update("app:db", port=1)) == Committed(1, 0)
    assert keeper.load() == Committed(1, 0)


def test_one_bad_change_refuses_the_whole(keeper: Keeper) -> None:
    assert "already_exists: app:db is there" in keeper.refused(create("a:x"), create("app:db"))
    assert "not_found: there is no entry app:dp to update (did you mean 'app:db'?)" in (
        keeper.refused(create("a:x"), update("app:dp"))
    )
    assert "not_found" in keeper.refused(create("a:x"), delete("a:y"))
    assert "a:x is changed twice" in keeper.refused(create("a:x"), create("a:x"))
    assert "runtime's own" in keeper.refused(create("wippy:x"))


def test_an_update_keeps_what_it_is_told_to_keep(keeper: Keeper) -> None:
    doc = EntryDoc(id="app:code", kind="registry.entry", meta={"team": "a"})
    keeper.change(EntryChange("update", "app:code", doc, ("kind", "data")))
    changed = keeper.head()[1]["app:code"]
    assert (changed.kind, changed.meta) == ("process.py", {"team": "a"})
    assert changed.data == {"source": "file://w.py", "method": "main"}
    assert changed.code is not None


def test_a_conflict_shows_both_sides(keeper: Keeper) -> None:
    keeper.change(update("app:db", port=2))
    text = keeper.refused(update("app:db", port=3), expected_version=1)
    assert text.startswith("conflict: the registry is at version 2 by ann, the change was made for")
    assert "'port': 2" in text
    assert "'port': 3" in text


def test_a_thousand_entries_are_one_commit(keeper: Keeper) -> None:
    many = tuple(create(f"many:e{n}", n=n) for n in range(1000))
    assert keeper.change(*many) == Committed(2, 1000)
    assert len(keeper.head()[1]) == 1005


# --- judged before the commit --------------------------------------------------------------------


def test_an_entry_that_is_wrong_in_itself_is_refused_with_the_place_inside(keeper: Keeper) -> None:
    text = keeper.refused(
        update("app:web", "process.service", process="code", lifecycle={"restart": "allways"})
    )
    assert "registry: app:web, data.lifecycle.restart: error: unknown restart 'allways'" in text
    assert "unknown kind 'proces.py'" in keeper.refused(create("app:x", "proces.py"))


def test_an_entry_that_others_need_cannot_be_deleted_and_the_error_names_them(
    keeper: Keeper,
) -> None:
    text = keeper.refused(delete("app:pool"))
    assert (
        "registry: app:web, data.host: error: app:pool cannot be deleted: app:web runs in" in text
    )
    assert keeper.change(delete("app:top"), delete("app:web"), delete("app:pool")) == Committed(
        2, 3
    )


def test_a_reference_to_what_is_not_there_or_not_right_is_refused(keeper: Keeper) -> None:
    assert "which is not there" in keeper.refused(
        create("app:x", "process.service", process="nobody")
    )
    assert "has two supervisors" in keeper.refused(create("app:x", "supervisor", children=["web"]))
    assert "app:db" in keeper.refused(create("app:x", "process.service", process="db"))


def test_entries_that_wait_for_each_other_are_refused(keeper: Keeper) -> None:
    text = keeper.refused(
        create("app:a", "exec.service", command="true", lifecycle={"requires": ["b"]}),
        create("app:b", "exec.service", command="true", lifecycle={"requires": ["a"]}),
    )
    assert "app:a" in text
    assert "app:b" in text


def test_code_that_is_no_python_or_has_no_such_function_never_gets_in(keeper: Keeper) -> None:
    broken = create("app:x", "process.py", source="def main(:\n  pass\n", method="main")
    assert "the code of app:x is no Python" in keeper.refused(broken)
    absent = create("app:x", "process.py", source="def other(): ...\n", method="main")
    assert "there is no 'main'" in keeper.refused(absent)
    arguments = update("app:web", "process.service", process="code", host="pool", input=[1])
    assert "app:code takes 0 arguments" in keeper.refused(arguments)


def test_modules_are_found_beside_a_configuration_that_is_one_file(keeper: Keeper) -> None:
    (keeper.config / "beside.py").write_text("async def main(): ...\n")
    read = load(keeper.config / "app.yaml", environ={})
    keeper.ask(LoadRegistry(docs=tuple(read.docs.values()), origin=read.source))
    done = keeper.change(create("app:m", "process.py", module="beside", method="main"))
    assert isinstance(done, Committed), done


def test_the_text_of_a_source_file_is_read_when_its_entry_is_changed(keeper: Keeper) -> None:
    (keeper.config / "new.py").write_text("async def run(): ...\n")
    source = f"file://{keeper.config}/new.py"
    assert keeper.change(create("app:n", "process.py", source=source, method="run")) == Committed(
        2, 1
    )
    (keeper.config / "new.py").write_text("broken(")
    code = keeper.head()[1]["app:n"].code
    assert code is not None
    assert code.text == "async def run(): ...\n"
    assert "no source file" in keeper.refused(
        create("app:m", "process.py", source="file:///nowhere/x.py", method="run")
    )


# --- versions ------------------------------------------------------------------------------------


def test_a_version_is_restored_as_a_new_one(keeper: Keeper) -> None:
    before = keeper.head()[1]
    keeper.change(update("app:db", port=2), create("a:x"))
    keeper.change(delete("app:top"))
    assert keeper.ask(ApplyVersion(version=1)) == Committed(4, 3)
    assert keeper.head() == (4, before)
    assert keeper.ask(ApplyVersion(version=4)) == Committed(4, 0)
    assert isinstance(keeper.ask(ApplyVersion(version=9)), Failure)


def test_a_version_with_a_kind_that_is_no_more_is_not_restored(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"actions": "*", "resources": "*", "effect": "deny"}
    keeper.change(create("app:p", "security.policy", **rule))
    keeper.change(delete("app:p"))
    monkeypatch.delitem(KINDS, "security.policy")
    answer = keeper.ask(ApplyVersion(version=2))
    assert isinstance(answer, Failure)
    assert "registry: app:p, kind: error: unknown kind 'security.policy'" in answer.message
    assert keeper.head()[0] == 3


def test_old_versions_are_forgotten_and_asking_for_them_says_so(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, retention=Retention(versions=5))
    for number in range(12):
        keeper.change(*([create("a:x", n=0)] if number == 0 else [update("a:x", n=number)]))
    keeper.store.close()
    reader = StateReader(keeper.state)
    assert [version.number for version in reader.versions()] == [12, 11, 10, 9, 8]
    assert decode_doc(reader.snapshot_at(8)["a:x"]).data == {"n": 7}
    with pytest.raises(NotFound, match="version 7 of the registry was forgotten; the oldest is 8"):
        reader.snapshot_at(7)
    reader.close()


# --- files ---------------------------------------------------------------------------------------


def test_a_change_at_run_time_survives_a_load_and_loses_where_its_file_changed(
    keeper: Keeper,
) -> None:
    keeper.change(update("app:db", port=7), create("a:x"))
    assert keeper.load() == Committed(2, 0, (), ("app:db",))
    done = keeper.load(CONFIG.replace("port: 1", "port: 5"))
    assert done == Committed(3, 1, ("app:db",), ())
    assert keeper.head()[1]["app:db"].data == {"port": 5}
    assert "a:x" in keeper.head()[1]
    comment = keeper.read(lambda reader: reader.versions(1))[0].comment
    assert comment == "loaded; the files won over changes at run time of app:db"


def test_a_moved_entry_makes_no_version_but_its_place_is_renewed(keeper: Keeper) -> None:
    assert keeper.load(CONFIG.replace("entries:\n", "entries:\n\n\n")) == Committed(1, 0)
    places = keeper.read(lambda reader: reader.documents())[2]
    assert places["app:db"].line == 6


def test_a_configuration_that_was_moved_keeps_what_was_changed_at_run_time(keeper: Keeper) -> None:
    changed = update("app:web", "process.service", process="code", umask="0022")
    assert keeper.change(changed) == Committed(2, 1)
    moved = keeper.config.with_name("elsewhere")
    keeper.config.rename(moved)
    keeper.config = moved
    done = keeper.load()
    assert (done.overridden, done.kept) == ((), ("app:web",))
    _, docs = keeper.head()
    assert docs["app:web"].data["umask"] == "0022"
    assert {doc.folder for doc in docs.values()} == {"", str(moved)}
    code = docs["app:code"].code
    assert code is not None
    assert code.path == str(moved / "w.py")
    assert keeper.load().changed == 0


def test_a_file_that_contradicts_a_change_at_run_time_is_refused_with_both(keeper: Keeper) -> None:
    keeper.change(create("app:mine", "process.service", process="code"))
    (keeper.config / "app.yaml").write_text("")
    answer = keeper.ask(LoadRegistry(docs=(doc("app:db", port=1),), origin="/c"))
    assert isinstance(answer, Failure)
    assert "app:code cannot be deleted: app:mine runs it" in answer.message


# --- the format ----------------------------------------------------------------------------------


def test_a_state_of_format_1_is_migrated_and_its_versions_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "s" / "state.lmdb"
    folder.mkdir(parents=True)
    _write_format_1(folder)
    keeper = Keeper(tmp_path)
    assert keeper.head() == (2, {})
    facts = keeper.read(lambda reader: reader.history())
    assert facts == []
    assert keeper.load() == Committed(3, 5)
    with pytest.raises(NotFound, match="forgotten"):
        keeper.read(lambda reader: reader.snapshot_at(1))
    assert keeper.read(lambda reader: reader.snapshot_at(2)) == {}
    keeper.store.close()


def _write_format_1(folder: Path) -> None:
    """Write what the program before this one has left."""
    number, pack = (lambda n: n.to_bytes(8, "big")), msgspec.msgpack.encode
    env = lmdb.open(str(folder), max_dbs=64)
    tables = ("facts", "facts_by_seq", "facts_by_child", "facts_by_time", "registry")
    tables += ("registry_versions", "registry_changes", "applied", "applied_order", "meta")
    with env.begin(write=True) as txn:
        dbs = {name: env.open_db(name.encode(), txn=txn) for name in tables}
        txn.put(b"format", b"1", db=dbs["meta"])
        value = pack({"kind": "registry.entry", "id": "app:db", "data": {"port": 1}})
        row = pack({"value": value, "version": 2, "origin": "/c"})
        txn.put(b"app:db", row, db=dbs["registry"])
        for version in (1, 2):
            of = {"number": version, "at_s": 5.0, "author": "start", "created": 1}
            txn.put(number(version), pack(of), db=dbs["registry_versions"])
            change = pack({"old": None, "new": value})
            txn.put(number(version) + b"app:db", change, db=dbs["registry_changes"])
        answer = pack({"type": "committed", "version": 2, "changed": 1})
        txn.put(b"x" * 16, answer, db=dbs["applied"])
        txn.put(number(0), b"x" * 16, db=dbs["applied_order"])
    env.close()
