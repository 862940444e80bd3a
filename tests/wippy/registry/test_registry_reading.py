"""Reading the registry in a process, against all its entries looked at one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.core.keeping import ApplyChanges, Committed
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.store import Stamped
from wippy import registry
from wippy.core.entry import EntryChange, EntryDoc
from wippy.core.pattern import parse
from wippy.errors import Invalid, NotFound
from wippy.runtime.registry import set_node

IDS = ["app:a", "app:ab", "app.db:a", "app.db:b.c", "app.db.x:a", "apple:a", "b:a", "b:app"]


def change(folder: Path, *changes: EntryChange) -> None:
    """Commit as the keeper does (one handle in each process: ours is opened anew afterwards)."""
    set_node("", "")
    store = LmdbStore(folder, history_limit=100)
    answer = store.apply([Stamped(os.urandom(16), ApplyChanges(changes=changes), 5.0)])[0]
    assert isinstance(answer, Committed), answer
    store.close()
    set_node(str(folder), str(folder))


def create(entry_id: str, **data: Any) -> EntryChange:
    kind = "registry.entry" if len(entry_id) % 2 else "security.policy"
    rule = {"actions": "*", "resources": "*", "effect": "deny"}
    doc = EntryDoc(
        id=entry_id,
        kind=kind,
        meta={"size": len(entry_id), "deep": {"x": [1]}},
        data=data if kind == "registry.entry" else rule,
    )
    return EntryChange("create", entry_id, doc)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    change(tmp_path, *(create(entry_id, n=1) for entry_id in IDS))
    yield tmp_path
    set_node("", "")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("kind", [None, "registry.entry", "security.policy", "process.py"])
@pytest.mark.parametrize("namespace", [None, "app", "app.db", "ap", "b"])
@pytest.mark.parametrize(
    "pattern", [None, "**", "app.**", "app:*", "app:a*", "*:a", "app.db:**", "b:app", "ap*:a"]
)
def test_find_gives_what_a_look_at_every_entry_gives(
    kind: str | None, namespace: str | None, pattern: str | None
) -> None:
    wanted = [
        entry.id
        for entry in registry.snapshot().values()
        if (kind is None or entry.kind == kind)
        and (namespace is None or entry.id.partition(":")[0] == namespace)
        and (pattern is None or parse(pattern).matches(entry.id))
    ]
    found = registry.find(kind=kind, namespace=namespace, pattern=pattern)
    assert [entry.id for entry in found] == sorted(wanted)


@pytest.mark.usefixtures("folder")
def test_find_by_meta_wants_all_of_it() -> None:
    assert [entry.id for entry in registry.find(meta={"size": 3})] == ["b:a"]
    assert len(registry.find(meta={"deep": {"x": [1]}})) == len(IDS)
    assert registry.find(meta={"size": 3, "deep": 1}) == []
    assert registry.find(meta={"none": None}) == []


@pytest.mark.usefixtures("folder")
def test_an_entry_is_read_by_item_and_by_attribute_and_is_a_copy() -> None:
    entry = registry.get("app:a")
    assert (entry["n"], entry.n, entry.get("m", 5), "n" in entry, list(entry)) == (
        1, 1, 5, True, ["n"],
    )  # fmt: skip
    entry.data["n"] = 2
    assert registry.get("app:a").n == 1
    with pytest.raises(AttributeError, match="app:a has no 'm' in its data"):
        entry.m  # noqa: B018 - the attribute is what is tested
    with pytest.raises(AttributeError):
        entry.kind = "x"  # type: ignore[misc]  # frozen


@pytest.mark.usefixtures("folder")
def test_an_unknown_id_is_not_found_and_one_that_is_none_is_invalid() -> None:
    with pytest.raises(NotFound, match=r"no entry 'app.db:b.d'; did you mean 'app.db:b.c'"):
        registry.get("app.db:b.d")
    with pytest.raises(NotFound, match=r"no entry 'zzz:q'$"):
        registry.get("zzz:q")
    for wrong in ("", "x", "a:b:c", "\udcff"):
        with pytest.raises(Invalid, match="no entry id"):
            registry.get(wrong)
    with pytest.raises(Invalid, match="no pattern"):
        registry.find(pattern="a b")


def test_snapshots_are_what_was_there_at_each_version(folder: Path) -> None:
    change(folder, EntryChange("delete", "b:a"), create("c:x", n=2))
    change(folder, EntryChange("update", "c:x", EntryDoc(id="c:x", kind="registry.entry")))
    assert registry.version() == 3
    assert list(registry.snapshot_at(1)) == sorted(IDS)
    second = registry.snapshot_at(2)
    assert ("b:a" in second, second["c:x"].data, second.version) == (False, {"n": 2}, 2)
    assert registry.snapshot_at(0) == {}
    assert registry.snapshot()["c:x"].version == 3
    assert [version.number for version in registry.versions(2)] == [3, 2]
    with pytest.raises(NotFound, match="no version 4; it is at version 3"):
        registry.snapshot_at(4)


def test_a_registry_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    set_node(str(tmp_path), str(tmp_path))
    assert (registry.version(), registry.find(), registry.versions()) == (0, [], [])
    with pytest.raises(NotFound):
        registry.get("app:a")
    change(tmp_path, create("app:a", n=1))
    assert registry.get("app:a").n == 1
    set_node("", "")
    with pytest.raises(Invalid, match="belongs to no node"):
        registry.get("app:a")


def test_what_is_no_data_is_refused_before_it_is_sent() -> None:
    with pytest.raises(TypeError, match=r'data\["x"\]: a set'):
        registry.changes().create("app:x", data={"x": {1}})
    with pytest.raises(Invalid, match="no entry id"):
        registry.changes().update("x", data={})
    with pytest.raises(TypeError, match="are dicts"):
        registry.changes().create("app:x", meta=[1])  # type: ignore[arg-type]  # what is tested
    assert len(registry.changes().create("app:x").delete("app:y")) == 2
