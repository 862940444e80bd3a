"""What runs follows the registry, in real processes: what has not changed keeps its process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_node import RealNode

from supervisor.core.view import NodeView, State

pytestmark = pytest.mark.system

FILES = {
    "wippy.yaml": """\
        version: "1.0"
        runtime: {rollback: auto, rollback_grace: 5s}
        """,
    "app.yaml": """\
        version: "1.0"
        namespace: app
        entries:
          - {name: one, kind: exec.service, command: [sleep, "1000"],
             lifecycle: {stable_threshold: 1s}}
          - {name: two, kind: exec.service, command: [sleep, "1000"],
             lifecycle: {stable_threshold: 1s}}
          - {name: pool, kind: process.host, workers: 2}
          - {name: code, kind: process.py, method: main, on_change: upgrade,
             source: file://code.py}
          - {name: pooled, kind: process.service, process: "app:code", host: "app:pool",
             input: [1], lifecycle: {stable_threshold: 1s}}
        """,
    "code.py": """\
        from wippy import process

        async def main(number):
            process.set_options(upgradable=True)
            print("runs with", number, flush=True)
            async for event in process.events():
                if event.kind == process.event.CANCEL:
                    return
                if event.kind == process.event.OUTDATED:
                    process.upgrade(number + 1)

        async def stubborn(number):
            process.set_options(upgradable=False)
            print("stubborn with", number, flush=True)
            async for event in process.events():
                if event.kind == process.event.CANCEL:
                    return
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


def generations(shop: RealNode) -> dict[str, int]:
    """Return the generation of every child."""
    return {row.id: row.generation for row in shop.view().rows}


def test_changed_arguments_restart_one_service_and_nothing_else(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    before = generations(shop)
    change(shop, "app:two", 'command=[sleep, "2000"]')
    shop.wait_view(is_back("app:two", 2))
    assert generations(shop) == {**before, "app:two": 2}
    assert shop.row("app:two").restarts == 0


def test_a_changed_lifecycle_is_taken_over_without_a_restart(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    before = generations(shop)
    version = shop.view().registry_version
    change(shop, "app:two", "lifecycle.stop_timeout=3s")
    shop.wait_view(lambda view: view.registry_version > version)
    assert generations(shop) == before


def test_an_actor_of_a_pool_starts_again_with_its_new_arguments_in_the_same_worker_pool(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    before = generations(shop)
    change(shop, "app:pooled", "input=[2]")
    shop.wait_view(is_back("app:pooled", 2))
    assert generations(shop) == {**before, "app:pooled": 2}


def test_a_pool_grows_and_shrinks_with_its_entry_and_its_actors_go_on(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    change(shop, "app:pool", "workers=3")
    shop.wait_view(is_back("app:pool#3", 1))
    pids = {id: shop.pid(id) for id in ("app:pool#1", "app:pool#2")}
    change(shop, "app:pool", "workers=2")
    shop.wait_view(lambda view: all(row.id != "app:pool#3" for row in view.rows))
    assert {id: shop.pid(id) for id in pids} == pids
    shop.wait_row("app:pooled", lambda row: row.state is State.UP)


def test_changed_workers_are_restarted_one_at_a_time_and_no_end_of_an_actor_is_counted(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    change(shop, "app:pool", "open_files=512")
    shop.wait_view(lambda view: is_back("app:pool#1", 2)(view) and is_back("app:pool#2", 2)(view))
    shop.wait_row("app:pooled", lambda row: row.state is State.UP)
    assert shop.row("app:pooled").restarts == 0
    assert shop.row("app:pool").restarts == 0


def test_a_version_that_does_not_come_up_is_undone_with_the_reason(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    first = shop.view().registry_version
    change(shop, "app:two", "command=[sh, -c, exit 7]")
    shop.wait_view(lambda view: view.registry_version >= first + 2)
    row = shop.wait_row("app:two", lambda row: row.state is State.UP and row.generation > 2)
    assert row.last_exit is not None
    assert generations(shop)["app:one"] == 1
    history = shop.cli("registry", "history", "--json").stdout
    assert "was undone" in history
    assert "exit 7" in history


def test_an_upgradable_actor_takes_new_code_and_its_state_along_without_a_restart(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    before = generations(shop)
    change(shop, "app:code", "method=stubborn")
    shop.wait_view(lambda view: any("runs the new code" in it.text for it in view.facts))
    assert "stubborn with 2" in shop.log("app:pooled")
    assert generations(shop) == before
    # The new code is not upgradable: from it, there is only a restart.
    change(shop, "app:code", "method=main")
    shop.wait_view(is_back("app:pooled", 2))
    assert generations(shop) == {**before, "app:pooled": 2}


def test_a_new_service_starts_and_a_removed_one_stops(node: Callable[..., RealNode]) -> None:
    shop = node(FILES)
    before = generations(shop)
    first = shop.view().registry_version
    change(shop, "app:three", "--kind", "exec.service", 'command=[sleep, "1000"]')
    shop.wait_view(is_back("app:three", 1))
    done = shop.cli("registry", "rollback", str(first))
    assert done.returncode == 0, done.stderr
    shop.wait_view(lambda view: all(row.id != "app:three" for row in view.rows))
    assert generations(shop) == before


def test_what_was_changed_at_run_time_runs_again_after_a_restart_of_the_node(
    node: Callable[..., RealNode],
) -> None:
    """The files say otherwise, and nothing of what they say is started first."""
    shop = node(FILES)
    change(shop, "app:three", "--kind", "exec.service", 'command=[sleep, "1000"]')
    shop.wait_view(is_back("app:three", 1))
    change(shop, "app:one", 'command=[sleep, "2000"]')
    shop.wait_view(is_back("app:one", 2))
    shop.stop()
    shop.forget_client()
    shop.start()
    shop.wait_view(is_back("app:three", 2))
    assert shop.row("app:one").generation == 3
    with open(f"/proc/{shop.pid('app:one')}/cmdline", "rb") as command:
        assert command.read() == b"sleep\x002000\x00"
