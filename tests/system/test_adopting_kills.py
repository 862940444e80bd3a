"""The root and the keeper killed while a changed registry is being taken in: many rounds, at random
moments. Afterwards the tree is that of the last version that was committed, whole."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from real_node import RealNode

from supervisor.core.requests import ChangeRegistry
from supervisor.core.view import NodeView, Row, State
from supervisor.io.state_reader import StateReader
from wippy.core.entry import EntryChange, EntryDoc, decode_doc
from wippy.core.registry import ApplyChanges

pytestmark = pytest.mark.system

ROUNDS = 6
CHANGES_IN_A_ROUND = 4
LATEST_KILL_S = 0.25
"""A change is mostly committed and taken in within this time: kills fall before and into it."""
WATCHED = ("app:a", "app:b", "app:c", "app:extra", "app:steady")

FILES = {
    "wippy.yaml": """\
        version: "1.0"
        runtime: {intensity: {max_restarts: 10000, within: 1s}}
        """,
    "app.yaml": """\
        version: "1.0"
        namespace: app
        entries:
          - {name: steady, kind: exec.service, command: [sleep, "100000"]}
          - {name: a, kind: exec.service, command: [sleep, "100000"]}
          - {name: b, kind: exec.service, command: [sleep, "100000"]}
          - {name: c, kind: exec.service, command: [sleep, "100000"]}
          - {name: both, kind: supervisor, children: [a, b]}
          - {name: watcher, kind: process.service, process: watching}
          - name: watching
            kind: process.py
            method: main
            source: |
              import os
              from pathlib import Path
              from wippy import registry

              async def main():
                  path = Path(os.environ["WIPPY_RUN_DIR"]).parent / "seen"
                  lines = path.read_text().splitlines() if path.exists() else []
                  # Of the last version it may have noted a part only: that one comes again.
                  since = int(lines[-1].split()[0]) - 1 if lines else registry.version()
                  with path.open("a", buffering=1) as file:
                      async for change in registry.watch("app:*", since=since):
                          file.write(f"{change.version} {change.id}\\n")
        """,
}


class Shop:
    """A node whose registry is changed by what is drawn, and what it says of it."""

    def __init__(self, node: RealNode, dice: random.Random) -> None:
        self.node = node
        self.dice = dice
        view = node.view()
        self.first_version = view.registry_version
        self.reader = StateReader(Path(view.state_dir))

    def change(self) -> None:
        """Ask for a change of some services, all in one, without waiting for the answer."""
        number = str(self.dice.randrange(100_000, 1_000_000))
        names = self.dice.choice(
            [("a", "b"), ("a", "b", "c"), ("c",), ("extra",), ("a", "b", "extra")]
        )
        changes = tuple(self._of(f"app:{name}", number) for name in names)
        self.node.client.post(ChangeRegistry(ApplyChanges(changes=changes)))

    def _of(self, id: str, number: str) -> EntryChange:
        is_there = self.reader.entry(id) is not None
        if id == "app:extra" and is_there and self.dice.random() < 0.5:
            return EntryChange("delete", id)
        doc = EntryDoc(id=id, kind="exec.service", data={"command": ["sleep", number]})
        return EntryChange("update" if is_there else "create", id, doc)

    def documents(self) -> dict[str, EntryDoc]:
        """Return the services that the last committed version has."""
        return {id: decode_doc(doc) for id, doc in self.reader.entries().items() if id in WATCHED}

    def is_settled(self, view: NodeView) -> bool:
        """Say whether the tree is that of the last committed version, in every process."""
        wanted = self.documents()
        rows = {row.id: row for row in view.rows if row.id in WATCHED}
        return (
            view.state == "running"
            and view.registry_version == self.reader.registry_version()
            and rows.keys() == wanted.keys()
            and all(_runs(rows[id], doc) for id, doc in wanted.items())
        )

    def is_heard(self) -> bool:
        """Say whether the watcher has noted the last version."""
        return bool(self.heard()) and self.heard()[-1][0] == self.reader.registry_version()

    def heard(self) -> list[tuple[int, str]]:
        """Return what the watcher has noted: versions and ids."""
        path = self.node.folder / "seen"
        text = path.read_text() if path.exists() else ""
        lines = (line.split() for line in text[: text.rfind("\n") + 1].splitlines())
        return [(int(version), id) for version, id in lines]

    def written(self) -> list[tuple[int, str]]:
        """Return what the versions since the beginning say that they have changed."""
        versions = range(self.first_version + 1, self.reader.registry_version() + 1)
        return [(n, change.id) for n in versions for change in self.reader.changes(n)]


def _runs(row: Row, doc: EntryDoc) -> bool:
    if row.state is not State.UP:
        return False
    try:
        command = Path(f"/proc/{row.os_pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
    return command.decode().split("\0")[:-1] == doc.data["command"]


@pytest.fixture
def shop(node: Callable[..., RealNode]) -> Iterator[Shop]:
    dice = random.Random()
    made = Shop(node(FILES), dice)
    yield made
    made.reader.close()


def run(shop: Shop, kill: Callable[[], object]) -> None:
    """Change much, and kill somewhere in the middle of it; then wait until all is well."""
    for _ in range(CHANGES_IN_A_ROUND):
        shop.change()
    threading.Event().wait(shop.dice.random() * LATEST_KILL_S)  # the moment is what is drawn
    kill()
    shop.node.wait_view(shop.is_settled)


def test_a_keeper_killed_again_and_again_leaves_the_tree_of_its_last_version_and_others_alone(
    shop: Shop,
) -> None:
    untouched = ("app:steady", "app:watcher", "wippy:forkserver")
    before = [shop.node.pid(id) for id in untouched]
    for _ in range(ROUNDS):
        keeper = shop.node.pid("wippy:keeper")
        run(shop, lambda keeper=keeper: kill_keeper(shop.node, keeper))  # type: ignore[misc]
    assert [shop.node.pid(id) for id in untouched] == before
    shop.node.wait_view(lambda _view: shop.is_heard())
    assert shop.heard() == shop.written()  # in order, each once
    assert shop.reader.registry_version() > shop.first_version


def test_a_root_killed_again_and_again_leaves_the_tree_of_the_last_version_to_the_next_one(
    shop: Shop,
) -> None:
    for _ in range(ROUNDS):
        root = shop.node.view().root_pid
        run(shop, lambda root=root: kill_root(shop.node, root))  # type: ignore[misc]
    shop.node.wait_view(lambda _view: shop.is_heard())
    heard, written = shop.heard(), shop.written()
    # Who dies between two versions begins again with the last one that it has noted.
    assert sorted(set(heard)) == written
    assert _is_ascending_but_for_new_lives(heard)
    assert shop.reader.registry_version() > shop.first_version


def kill_keeper(node: RealNode, keeper: int) -> None:
    """Kill the keeper, and wait until another one is up."""
    os.kill(keeper, signal.SIGKILL)
    node.wait_row("wippy:keeper", lambda row: row.os_pid != keeper and row.state is State.UP)


def kill_root(node: RealNode, root: int) -> None:
    """Kill the root, and wait until another one answers."""
    os.kill(root, signal.SIGKILL)
    node.wait_view(lambda view: view.root_pid != root)


def _is_ascending_but_for_new_lives(heard: list[tuple[int, str]]) -> bool:
    """Say whether nothing comes before what it follows, except the last version once more."""
    return all(now >= before or now[0] == before[0] for before, now in pairwise(heard))


def test_both_killed_at_once_leave_no_change_by_half(shop: Shop) -> None:
    """`a` and `b` are changed together, always."""
    for _ in range(ROUNDS // 2):
        view = shop.node.view()
        keeper = next(row.os_pid for row in view.rows if row.id == "wippy:keeper")

        def kill(keeper: int = keeper, root: int = view.root_pid) -> None:
            os.kill(keeper, signal.SIGKILL)
            kill_root(shop.node, root)

        run(shop, kill)
        wanted: dict[str, Any] = {id: doc.data["command"] for id, doc in shop.documents().items()}
        assert wanted["app:a"] == wanted["app:b"]
    times = Counter(row.id for row in shop.node.view().rows)
    assert max(times.values()) == 1
