"""`registry` on a node that does not run: reading, dry runs, and writing back into the files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_runs import Cli, Ran

from supervisor.core.keeping import Answered, ApplyChanges, ApplyVersion, Committed, LoadRegistry
from supervisor.io.files import load
from supervisor.io.node_file import NodeFile, write_node_file
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.store import Stamped, Stored
from wippy.core.entry import EntryChange, EntryDoc

CONFIG = """\
# the shop
version: "1.0"
namespace: app
entries:
  - name: postgres     # the database
    kind: registry.entry
    meta: {type: db.sql, "at_s": 5}
    data: {host: db1, port: 5432}
  # code
  - {name: code, kind: process.py, source: "file://w.py", method: main}
  - name: web
    kind: process.service
    process: code
    lifecycle: {restart: transient}
"""


class Shop:
    """A configuration, and the state folder of a node that has loaded it."""

    def __init__(self, folder: Path, cli: Cli) -> None:
        self.config, self.state, self.run_dir = folder / "c", folder / "s", folder / "r"
        self.config.mkdir()
        self.run_dir.mkdir()
        (self.config / "app.yaml").write_text(CONFIG)
        (self.config / "w.py").write_text("async def main(): ...\n")
        write_node_file(self.run_dir, NodeFile(node="shop", state_dir=str(self.state)))
        self._cli = cli
        self.load()

    def load(self) -> Committed:
        read = load(self.config, environ={})
        docs, places = tuple(read.docs.values()), read.places
        origin = str(self.config.resolve())
        done = self.ask(LoadRegistry(docs=docs, places=places, comment="loaded", origin=origin))
        assert isinstance(done, Committed), done
        return done

    def ask(self, request: Stored) -> Answered:
        store = LmdbStore(self.state, history_limit=100)
        try:
            return store.apply([Stamped(os.urandom(16), request, 1_700_000_000.0)])[0]
        finally:
            store.close()

    def change(self, *changes: EntryChange) -> None:
        done = self.ask(ApplyChanges(changes=changes, author="ann", comment="why"))
        assert isinstance(done, Committed), done

    def run(self, *words: str) -> Ran:
        return self._cli("registry", *words, "--run-dir", str(self.run_dir))

    def data(self, *words: str) -> dict[str, object]:
        ran = self.run(*words, "--json")
        assert (ran.code, ran.err) == (0, "")
        found: dict[str, object] = json.loads(ran.out)
        assert found.pop("schema") == 1
        return found

    def text(self, name: str = "app.yaml") -> str:
        return (self.config / name).read_text()


@pytest.fixture
def shop(short_dir: Path, cli: Cli) -> Shop:
    return Shop(short_dir, cli)


def update(entry_id: str, kind: str = "registry.entry", **data: object) -> EntryChange:
    doc = EntryDoc(id=entry_id, kind=kind, data=data)
    return EntryChange("update", entry_id, doc, keeps=("meta",))


def create(entry_id: str, kind: str = "registry.entry", **data: object) -> EntryChange:
    return EntryChange("create", entry_id, EntryDoc(id=entry_id, kind=kind, data=data))


# --- reading -------------------------------------------------------------------------------------


def test_an_entry_is_shown_as_yaml_with_its_place_as_long_as_it_is_what_its_file_says(
    shop: Shop,
) -> None:
    ran = shop.run("get", "app:web")
    assert ran.out.splitlines() == [
        "id: app:web",
        "kind: process.service",
        "process: code",
        "lifecycle:",
        "  restart: transient",
        f"# version 1, {shop.config}/app.yaml:11",
    ]
    shop.change(update("app:postgres", port=1))
    assert shop.run("get", "app:postgres").out.endswith(
        "# version 2, in no file, or other than in its file\n"
    )


def test_what_users_write_is_not_touched_in_json(shop: Shop) -> None:
    found = shop.data("get", "app:postgres")["entry"]
    assert isinstance(found, dict)
    assert found["meta"] == {"type": "db.sql", "at_s": 5}
    assert (found["version"], found["place"]) == (1, f"{shop.config}/app.yaml:5")


def test_an_entry_is_shown_as_it_was(shop: Shop) -> None:
    shop.change(update("app:postgres", port=1), create("app:new"))
    assert "port: 5432" in shop.run("get", "app:postgres", "--at", "1").out
    assert shop.run("get", "app:new", "--at", "1").code == 4
    assert "app:new" not in shop.run("list", "--at", "1").out
    assert shop.run("list", "--at", "9").code == 4


def test_an_unknown_id_is_code_4_and_gets_the_nearest_suggested(shop: Shop) -> None:
    for words in (["get"], ["history"], ["delete"], ["set"]):
        ran = shop.run(*words, "app:postgrse", *(["a=1"] if words == ["set"] else []))
        assert (ran.code, ran.out) == (4, "")
        assert "there is no entry app:postgrse; did you mean 'app:postgres'?" in ran.err


def test_entries_are_found_by_all_that_is_asked_for(shop: Shop) -> None:
    def ids(*words: str) -> list[str]:
        entries = shop.data("find", *words)["entries"]
        assert isinstance(entries, list)
        return [entry["id"] for entry in entries]

    assert ids() == ["app:code", "app:postgres", "app:web"]
    assert ids("app:*", "--kind", "process.py") == ["app:code"]
    assert ids("--meta", "type=db.sql", "--namespace", "app") == ["app:postgres"]
    assert ids("--meta", "type=db.sql", "--namespace", "other") == []
    ran = shop.run("find", "other:*")
    assert (ran.code, ran.out, ran.err) == (0, "", "no such entries\n")


def test_history_has_who_why_and_how_much_of_all_or_of_one_entry(shop: Shop) -> None:
    shop.change(update("app:postgres", port=1), create("app:new"))
    lines = shop.run("history").out.splitlines()
    assert lines[0].split() == ["VERSION", "TIME", "AUTHOR", "CHANGES", "COMMENT"]
    assert lines[1].split()[0] == "2"
    assert lines[1].endswith("ann     +1 ~1 -0  why")
    assert len(lines) == 3
    versions = shop.data("history", "app:new")["versions"]
    assert isinstance(versions, list)
    assert [version["number"] for version in versions] == [2]
    assert versions[0]["at"] == "2023-11-14T22:13:20.000Z"


def test_diff_shows_each_value_that_differs_and_says_none_from_json(shop: Shop) -> None:
    shop.change(update("app:postgres", port=True, host="db1"), create("app:new", text="a\nb"))
    wanted = [
        "+ app:new created",
        '    kind: "registry.entry"',
        "    data.text: (2 lines)",
        "~ app:postgres updated",
        "    data.port: 5432 -> true",
    ]
    assert shop.run("diff").out.splitlines() == wanted
    assert shop.run("diff", "1").out.splitlines() == wanted
    assert shop.run("diff", "2").out == ""
    assert shop.run("diff", "2", "1").out.splitlines()[0] == "- app:new deleted"
    changes = shop.data("diff", "1", "2")["changes"]
    assert isinstance(changes, list)
    assert [(it["id"], it["op"], it["paths"]) for it in changes] == [
        ("app:new", "created", ["kind", "data.text"]),
        ("app:postgres", "updated", ["data.port"]),
    ]


def test_several_nodes_are_listed_where_nothing_says_which(shop: Shop, cli: Cli) -> None:
    ran = cli("registry", "list")
    assert (ran.code, ran.out) == (4, "")


# --- changing ------------------------------------------------------------------------------------


def test_a_node_that_does_not_run_is_not_changed(shop: Shop) -> None:
    ran = shop.run("set", "app:postgres", "port=1")
    assert (ran.code, ran.out) == (4, "")
    assert shop.run("diff").out == ""


def test_a_dry_run_says_what_would_change_and_what_the_tree_would_do(shop: Shop) -> None:
    ran = shop.run("set", "app:web", "lifecycle.restart=permanent", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "~ app:web updated",
        '    lifecycle.restart: "transient" -> "permanent"',
        "app:web takes over restart; nothing is restarted",
    ]
    found = shop.data("delete", "app:web", "--dry-run")
    assert found["effects"] == ["app:web is stopped and removed"]
    ran = shop.run("set", "app:postgres", "port=5432", "--dry-run")
    assert (ran.out, ran.err) == ("", "nothing would change\n")
    ran = shop.run("set", "app:postgres", "port=1", "--dry-run")
    assert ran.err == "no process would be touched\n"
    assert shop.run("diff").out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "app:web", "lifecycle.restart=allways"], "unknown restart 'allways'"),
        (["set", "app:web", "process.x=1"], "'process' is no mapping"),
        (["set", "app:web", "--unset", "proces"], "there is no 'proces' to remove; it has process"),
        (["set", "app:web", "x"], "'x' is no PATH=VALUE"),
        (["set", "app:web", "x=["], "'x=[': not valid YAML"),
        (["delete", "app:code"], "app:code cannot be deleted: app:web runs it"),
        (["set", "app:web", "process=postgres"], "app:web"),
        (["set", "app:web", "a=1", "--expected-version", "7"], "the registry is at version 1"),
        (["set", "wippy:x", "--kind", "registry.entry"], "the namespace 'wippy' is the runtime's"),
    ],
)
def test_what_would_be_wrong_is_refused_in_the_dry_run_too(
    shop: Shop, words: list[str], said: str
) -> None:
    ran = shop.run(*words, "--dry-run")
    assert (ran.code, ran.out) == (1, "")
    assert said in ran.err


def test_values_mean_what_they_mean_in_a_file(shop: Shop) -> None:
    words = ["set", "app:web", "umask=0022", "env.A=5", "lifecycle.max_restarts=3", "--dry-run"]
    changes = shop.data(*words)["changes"]
    assert isinstance(changes, list)
    assert changes[0]["new"]["data"] == {
        "process": "code",
        "lifecycle": {"restart": "transient", "max_restarts": 3},
        "umask": "0022",
        "env": {"A": 5},
    }


def test_entries_are_taken_from_yaml_as_get_shows_them(shop: Shop, short_dir: Path) -> None:
    text = shop.run("get", "app:web").out.replace("transient", "permanent")
    (short_dir / "e.yaml").write_text(text + "mailbox: {size: 7}\n")
    ran = shop.run("set", "--file", str(short_dir / "e.yaml"), "--dry-run")
    assert ran.out.splitlines()[:3] == [
        "~ app:web updated",
        '    lifecycle.restart: "transient" -> "permanent"',
        "    mailbox.size: (nothing) -> 7",
    ]
    (short_dir / "e.yaml").write_text("id: app:x\nkind: registry.entri\n")
    ran = shop.run("set", "-f", str(short_dir / "e.yaml"), "--dry-run")
    assert (ran.code, ran.out) == (78, "")
    assert f"{short_dir}/e.yaml:2:7: error: unknown kind 'registry.entri'" in ran.err
    assert shop.run("set", "-f", "nowhere.yaml").code == 1
    assert shop.run("set", "app:x", "-f", "e.yaml").code == 2
    assert shop.run("set").code == 2
    assert shop.run("set", "app:web").code == 2


# --- writing back --------------------------------------------------------------------------------


def test_nothing_is_written_where_nothing_was_changed(shop: Shop) -> None:
    ran = shop.run("export")
    assert (ran.code, ran.out) == (0, "")
    assert "nothing to write" in ran.err
    assert shop.text() == CONFIG


def test_changes_are_written_back_and_loading_them_changes_nothing(shop: Shop) -> None:
    shop.change(
        update("app:postgres", host="db1", port=7),
        create("app:more", a=[1, {"b": None}]),
        create("app.other:x", text="two\nlines\n"),
        EntryChange("delete", "app:web"),
    )
    dry = shop.run("export", "--dry-run")
    assert "-    data: {host: db1, port: 5432}\n+    data: {host: db1, port: 7}" in dry.out
    assert shop.text() == CONFIG
    ran = shop.run("export")
    assert ran.out.splitlines() == [f"{shop.config}/app.yaml", f"{shop.config}/app.other.yaml"]
    kept = CONFIG.split("  - name: web")[0].replace("port: 5432", "port: 7")
    assert shop.text().startswith(kept)
    assert "# the database" in shop.text()
    assert shop.load().changed == 0
    assert shop.run("diff").out == ""


def test_writing_back_twice_is_no_error(shop: Shop) -> None:
    shop.change(update("app:postgres", host="db1", port=7), EntryChange("delete", "app:web"))
    assert shop.run("export").code == 0
    text = shop.text()
    assert shop.run("export").code == 0
    assert shop.text() == text


def test_a_file_that_was_changed_since_is_refused_and_nothing_is_written(shop: Shop) -> None:
    shop.change(update("app:postgres", port=7), create("app.other:x"))
    edited = CONFIG.replace("5432", "99")
    (shop.config / "app.yaml").write_text(edited)
    ran = shop.run("export")
    assert (ran.code, ran.out) == (1, "")
    assert "postgres was changed in the file since it was loaded" in ran.err
    assert shop.text() == edited
    assert not (shop.config / "app.other.yaml").exists()


def test_restored_code_is_written_into_its_source_file(shop: Shop) -> None:
    (shop.config / "w.py").write_text("async def main(): 1\n")
    shop.load()
    ran = shop.run("rollback", "1", "--dry-run")
    assert ran.out.splitlines()[:2] == ["~ app:code updated", "    code: +1 -1 lines"]
    assert isinstance(shop.ask(ApplyVersion(version=1)), Committed)
    assert shop.run("export").out == f"{shop.config}/w.py\n"
    assert shop.text("w.py") == "async def main(): ...\n"
    assert shop.load().changed == 0


def test_a_whole_configuration_is_written_elsewhere(shop: Shop, short_dir: Path) -> None:
    shop.change(update("app:postgres", host="db1", port=7))
    ran = shop.run("export", "--to", str(short_dir / "out"))
    assert ran.code == 0
    assert shop.text() == CONFIG
    there = load(short_dir / "out", environ={})
    assert there.docs["app:postgres"].data == {"host": "db1", "port": 7}
    assert (short_dir / "out" / "w.py").read_text() == shop.text("w.py")
    assert shop.run("export", "--to", str(short_dir / "out")).code == 1
    printed = shop.run("export", "--to", "-").out
    assert printed.startswith(f"--- # {shop.config}/app.yaml\n# the shop\n")
    assert "port: 7" in printed


def test_modes_line_ends_and_links_stay(shop: Shop, short_dir: Path) -> None:
    real = short_dir / "real.yaml"
    (shop.config / "app.yaml").rename(real)
    (shop.config / "app.yaml").symlink_to(real)
    real.write_bytes(b"\xef\xbb\xbf" + CONFIG.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    shop.load()
    shop.change(update("app:postgres", host="db1", port=7))
    assert shop.run("export").code == 0
    wanted = CONFIG.replace("5432", "7").replace("\n", "\r\n").encode()
    assert real.read_bytes() == b"\xef\xbb\xbf" + wanted
    assert (shop.config / "app.yaml").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640


def test_the_file_is_never_written_when_the_disk_is_full(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    shop.change(update("app:postgres", host="db1", port=7))
    monkeypatch.setattr("supervisor.io.exporting.os.fsync", full)
    ran = shop.run("export")
    assert ran.code == 1
    assert "app.yaml cannot be written: No space left on device; written was nothing" in ran.err
    assert shop.text() == CONFIG
    assert [path.name for path in sorted(shop.config.iterdir())] == ["app.yaml", "w.py"]
