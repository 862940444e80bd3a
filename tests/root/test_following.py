"""What a version of the registry means: only what has changed is read, and no plain data."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from supervisor.core.graph import build
from supervisor.core.keeping import ApplyChanges, ApplyVersion, Committed, ForgetVersions
from supervisor.core.spec import Blueprint, ProcessEntry, RuntimeSpec
from supervisor.io.state_reader import StateReader, Structure
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.store import Stamped
from supervisor.root.following import Followed, changed_calls, follow, renewed_code
from wippy.core.entry import DATA_KIND, EntryChange, EntryDoc

CODE = "def main():\n    return {number}\n"


class Registry:
    """A registry in a folder, and the root that follows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        runtime = RuntimeSpec(
            node="n", state_dir=str(folder), run_dir=str(folder), log_dir=str(folder)
        )
        self.files = Blueprint(source=str(folder), runtime=runtime, entries={})
        self.followed = Followed(0, self.files, build(self.files), None)  # type: ignore[arg-type]

    def ask(self, request: Any) -> int:
        """Have the keeper's store apply a request; return the version."""
        store = LmdbStore(self.folder, history_limit=10)  # (LMDB may be open once in a process)
        answer = store.apply([Stamped(os.urandom(16), request, time.time())])[0]
        store.close()
        assert not hasattr(answer, "message"), answer
        return answer.version if isinstance(answer, Committed) else 0

    def put(self, *docs: EntryDoc) -> int:
        """Create or update entries, as one version."""
        there = self.structure(0).docs.keys() | self.plain()
        changes = (EntryChange("update" if it.id in there else "create", it.id, it) for it in docs)
        return self.ask(ApplyChanges(changes=tuple(changes)))

    def plain(self) -> set[str]:
        """Return the ids of all entries."""
        reader = StateReader(self.folder)
        try:
            return set(reader.entries())
        finally:
            reader.close()

    def structure(self, since: int) -> Structure:
        """Return what the root is told of."""
        reader = StateReader(self.folder)
        try:
            return reader.structure(since)
        finally:
            reader.close()

    def follow(self, *, whole: bool = False) -> Followed:
        """Return what the newest version means: read on from the last one, or all of it."""
        before = self.followed
        since = 0 if whole else before.version
        reader = StateReader(self.folder)
        try:
            found = follow(reader, before.blueprint, since, before.spec, frozenset())
        finally:
            reader.close()
        return found

    def go_on(self) -> Followed:
        """Follow, and make that what is followed from."""
        found, whole = self.follow(), self.follow(whole=True)
        assert found.spec == whole.spec
        assert found.blueprint.entries == whole.blueprint.entries
        assert list(found.spec.children) == list(whole.spec.children)
        self.followed = found
        return found


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    made = Registry(tmp_path)
    made.put(data("one"), service("a"), service("b"))
    made.go_on()
    return made


def data(name: str, **values: Any) -> EntryDoc:
    return EntryDoc(id=f"t:{name}", kind=DATA_KIND, data=values)


def service(name: str, command: str = "sleep") -> EntryDoc:
    return EntryDoc(id=f"t:{name}", kind="exec.service", data={"command": [command, "9"]})


def function(name: str, number: int = 1, **more: Any) -> EntryDoc:
    source = CODE.format(number=number)
    return EntryDoc(
        id=f"t:{name}", kind="function.py", data={"method": "main", "source": source, **more}
    )


def process(name: str, **more: Any) -> EntryDoc:
    source = CODE.format(number=1)
    return EntryDoc(
        id=f"t:{name}", kind="process.py", data={"method": "main", "source": source, **more}
    )


def test_plain_data_is_never_read_and_changes_nothing(registry: Registry) -> None:
    before = registry.followed
    version = registry.put(data("one", n=2), data("two"))
    assert registry.structure(before.version) == Structure(version)
    found = registry.go_on()
    assert found.version == version
    assert found.blueprint is before.blueprint
    assert not found.difference
    assert "t:one" not in found.blueprint.docs


def test_only_what_has_changed_is_read_and_the_tree_is_that_of_all(registry: Registry) -> None:
    since = registry.followed.version
    registry.put(service("b", "cat"))
    registry.put(service("c"), data("two"))
    assert registry.structure(since).docs.keys() == {"t:b", "t:c"}
    found = registry.go_on()
    assert found.difference.added == ("t:c",)
    assert [change.id for change in found.difference.changed] == ["t:b"]
    registry.ask(ApplyChanges(changes=(EntryChange("delete", "t:a"),)))
    assert registry.go_on().difference.removed == ("t:a",)
    registry.ask(ApplyVersion(version=since))
    found = registry.go_on()
    assert (found.difference.added, found.difference.removed) == (("t:a",), ("t:c",))


def test_what_becomes_plain_data_leaves_the_tree_and_comes_back(registry: Registry) -> None:
    registry.put(data("a"))
    assert registry.go_on().difference.removed == ("t:a",)
    registry.put(service("a"))
    assert registry.go_on().difference.added == ("t:a",)


def test_where_too_much_was_forgotten_all_is_read(registry: Registry) -> None:
    since = registry.followed.version
    for command in ("cat", "tail", "head"):
        registry.put(service("a", command))
    registry.ask(ForgetVersions(keep=1))
    found = registry.structure(since)
    assert found.is_whole
    assert found.docs.keys() == {"t:a", "t:b"}
    assert [change.id for change in registry.go_on().difference.changed] == ["t:a"]


def test_changed_code_is_told_also_through_a_library_and_also_that_there_is_none(
    registry: Registry,
) -> None:
    library = EntryDoc(id="t:lib", kind="library.py", data={"source": "x = 1\ny = 1\n"})
    registry.put(library, function("f", imports={"lib": "lib"}), process("p"), function("g"))
    before = registry.go_on().blueprint
    assert isinstance(before.entries["t:p"], ProcessEntry)
    changed = EntryDoc(id="t:lib", kind="library.py", data={"source": "x = 2\ny = 1\n"})
    registry.ask(
        ApplyChanges(
            changes=(EntryChange("delete", "t:g"), EntryChange("update", "t:lib", changed))
        )
    )
    after = registry.go_on().blueprint
    found = renewed_code(before, after)
    assert found.keys() == {"t:f", "t:g"}
    assert found["t:g"] is None
    assert found["t:f"] is not None
    assert found["t:f"].libraries["t:lib"].text == "x = 2\ny = 1\n"
    assert changed_calls(before, after) == ["t:g"]


def test_a_function_with_another_limit_is_called_in_another_way_and_its_code_is_the_same(
    registry: Registry,
) -> None:
    registry.put(function("f"), function("g"))
    before = registry.go_on().blueprint
    registry.put(function("f", timeout="7s"), function("g", 2))
    after = registry.go_on().blueprint
    assert changed_calls(before, after) == ["t:f"]
    assert renewed_code(before, after).keys() == {"t:g"}
