"""Rarer changes, in real processes: hosts, templates, actors of actors, undoing that fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_node import RealNode
from watching import wait_lines

from supervisor.core.view import NodeView, State

pytestmark = pytest.mark.system

FILES = {
    "wippy.yaml": """\
        version: "1.0"
        runtime: {rollback: auto, rollback_grace: 3s}
        """,
    "app.yaml": """\
        version: "1.0"
        namespace: app
        entries:
          - {name: first, kind: process.host, workers: 1}
          - {name: second, kind: process.host, workers: 1}
          - {name: alone, kind: process.host, isolation: dedicated}
          - name: idle
            kind: process.py
            method: main
            source: |
              import asyncio
              async def main():
                  await asyncio.Event().wait()
          - {name: mover, kind: process.service, process: idle, host: first,
             lifecycle: {stable_threshold: 1s}}
          - {name: pattern, kind: exec.service, command: [sleep, "100000"]}
          - {name: many, kind: supervisor, strategy: dynamic, template: pattern, count: 2}
          - name: old
            kind: library.py
            source: |
              def word(): return "old"
          - name: kid
            kind: process.py
            method: main
            on_change: upgrade
            imports: {words: old}
            source: |
              from wippy import process
              async def main(number):
                  process.set_options(upgradable=True)
                  process.send("app:parent", "said", [words.word(), number, process.pid()])
                  async for event in process.events():
                      if event.kind == process.event.CANCEL:
                          return
                      if event.kind == process.event.OUTDATED:
                          process.upgrade(number + 1)
          - name: family
            kind: process.py
            method: main
            source: |
              from wippy import process
              async def main():
                  kids = [process.spawn("app:kid", "app:first", 10 * n) for n in (1, 2)]
                  async for message in process.inbox():
                      word, number, kid = message.payload
                      print(word, number, kid in kids, flush=True)
          - {name: parent, kind: process.service, process: family}
        """,
}


def change(shop: RealNode, *words: str) -> None:
    """Change an entry as a user does."""
    done = shop.cli("registry", "set", *words)
    assert done.returncode == 0, done.stderr + done.stdout


def is_back(id: str, generation: int) -> Callable[[NodeView], bool]:
    """Say whether a child is up in that generation."""

    def look(view: NodeView) -> bool:
        return any(
            row.id == id and row.generation == generation and row.state is State.UP
            for row in view.rows
        )

    return look


def pids(shop: RealNode, *ids: str) -> list[int]:
    """Return the OS processes of children."""
    return [shop.pid(id) for id in ids]


def test_an_actor_moves_from_pool_to_pool_and_into_a_process_of_its_own_and_the_pools_stay(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    first, second = before = pids(shop, "app:first#1", "app:second#1")
    assert shop.pid("app:mover") == first
    change(shop, "app:mover", "host=second")
    shop.wait_view(is_back("app:mover", 2))
    assert shop.pid("app:mover") == second
    change(shop, "app:mover", "host=alone")
    shop.wait_view(is_back("app:mover", 3))
    assert shop.pid("app:mover") not in before
    change(shop, "app:mover", "host=first")
    shop.wait_view(is_back("app:mover", 4))
    assert shop.pid("app:mover") == first
    assert pids(shop, "app:first#1", "app:second#1") == before
    assert shop.row("app:mover").restarts == 0


def test_a_changed_template_restarts_what_was_made_from_it_and_what_is_made_later_is_of_it(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    assert shop.cli("spawn", "app:many").stdout.strip() == "app:many#3"
    others = ("app:first#1", "app:second#1", "app:parent", "wippy:keeper")
    before = pids(shop, *others)
    change(shop, "app:pattern", 'command=[sleep, "200000"]')
    made = [f"app:many#{number}" for number in (1, 2, 3)]
    shop.wait_view(lambda view: all(is_back(id, 2)(view) for id in made))
    assert shop.cli("spawn", "app:many").stdout.strip() == "app:many#4"
    for id in (*made, "app:many#4"):
        with open(f"/proc/{shop.pid(id)}/cmdline", "rb") as command:
            assert command.read() == b"sleep\x00200000\x00"
    assert pids(shop, *others) == before


def test_actors_that_others_have_spawned_are_upgraded_where_they_are_with_their_state(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    worker = shop.pid("app:first#1")
    wait_lines(shop, "app:parent", "old 20 True")
    change(shop, "app:old", "source=\"def word(): return 'new'\\n\"")
    wait_lines(shop, "app:parent", "new 11 True")
    wait_lines(shop, "app:parent", "new 21 True")
    assert sorted(shop.log("app:parent").splitlines()) == [
        "new 11 True",
        "new 21 True",
        "old 10 True",
        "old 20 True",
    ]
    assert shop.pid("app:first#1") == worker


def test_an_undone_version_that_fails_as_well_is_not_undone_again(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    flag = shop.folder / "flag"
    flag.write_text("")
    works = f'command=[sh, -c, "test -e {flag} && exec sleep 100000"]'
    change(shop, "app:late", "--kind", "exec.service", works, "lifecycle.stable_threshold=1s")
    good = shop.wait_view(is_back("app:late", 1)).registry_version
    shop.wait_view(lambda view: any(f"version {good}: all" in it.text for it in view.facts))
    flag.unlink()
    change(shop, "app:late", 'command=[sh, -c, "exit 7"]')
    view = shop.wait_view(lambda view: any("nothing more is undone" in it for it in view.alarms))
    assert view.registry_version == good + 2  # the bad one, and that which undid it
    flag.write_text("")  # and when its reason is gone it comes up by itself
    shop.wait_row("app:late", lambda row: row.state is State.UP)
    assert shop.view().registry_version == good + 2


def test_a_rollback_that_is_refused_changes_nothing_and_says_why(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    before = {row.id: (row.os_pid, row.generation) for row in shop.view().rows}
    done = shop.cli("registry", "rollback", "77")
    assert done.returncode != 0
    assert "no version 77" in done.stderr
    view = shop.view()
    assert view.registry_version == 1
    assert {row.id: (row.os_pid, row.generation) for row in view.rows} == before
