"""Any process of the runtime itself is killed: the tree heals, and nothing is ever there twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from commands import ended
from real_node import RealNode
from shops import entry, files, journal, service

from supervisor.core.requests import Facts, History
from supervisor.core.view import State
from supervisor.io.node_file import read_node_file

pytestmark = pytest.mark.system

SHELL = '[sh, -c, "while :; do sleep 1; done"]'


def a_bit_of_everything() -> dict[str, str]:
    return files(
        [
            entry("s", kind="supervisor", strategy="rest_for_one", children="[a, b]"),
            service("a"),
            service("b"),
            entry("pool", kind="process.host", workers=2),
            service("c", host="pool"),
            service("d", host="pool"),
            entry("e", kind="exec.service", command=SHELL, lifecycle="{stop_timeout: 2s}"),
        ]
    )


def pids(shop: RealNode) -> dict[str, int]:
    return {row.id: row.os_pid for row in shop.view().rows if row.os_pid}


@pytest.mark.parametrize("id_", ["wippy:keeper", "wippy:forkserver"])
def test_a_killed_system_process_comes_back_and_nobody_else_notices(
    node: Callable[..., RealNode], id_: str
) -> None:
    shop = node(a_bit_of_everything())
    before = pids(shop)
    os.kill(before[id_], signal.SIGKILL)
    shop.wait_row(id_, lambda row: row.state is State.UP and row.os_pid != before[id_])
    after = pids(shop)
    assert {k: v for k, v in after.items() if k != id_} == {
        k: v for k, v in before.items() if k != id_
    }


def test_children_outlive_the_forkserver_and_their_ends_are_still_seen(
    node: Callable[..., RealNode],
) -> None:
    shop = node(a_bit_of_everything())
    before = pids(shop)
    os.kill(before["wippy:forkserver"], signal.SIGKILL)
    shop.wait_row("wippy:forkserver", lambda row: row.generation == 2 and row.state is State.UP)
    os.kill(before["t:b"], signal.SIGTERM)
    row = shop.wait_row("t:b", lambda row: row.generation == 2 and row.state is State.UP)
    assert row.last_exit is not None
    assert "15" in str(row.last_exit)


def test_a_killed_worker_takes_its_actors_and_all_of_them_come_back(
    node: Callable[..., RealNode],
) -> None:
    shop = node(a_bit_of_everything())
    worker = shop.pid("t:c")
    os.kill(worker, signal.SIGKILL)
    row = shop.wait_row("t:c", lambda row: row.generation == 2 and row.state is State.UP)
    assert row.os_pid != worker
    shop.wait_row("t:pool#1", lambda row: row.state is State.UP)
    assert shop.row("t:d").generation == 1 or shop.row("t:d").os_pid != worker


def test_a_killed_root_is_replaced_and_no_child_is_ever_there_twice(
    node: Callable[..., RealNode],
) -> None:
    shop = node(a_bit_of_everything())
    before = shop.view()
    old = pids(shop)
    os.kill(before.root_pid, signal.SIGKILL)
    after = shop.wait_view(
        lambda view: view.root_pid != before.root_pid and view.state == "running"
    )
    assert after.root_starts == 2
    assert after.guardian_pid == before.guardian_pid
    assert not set(pids(shop).values()) & set(old.values())
    for row in after.rows:
        if row.os_pid and row.id.startswith("t:"):
            assert row.generation == 2, row.id
    assert not [line for line in journal(shop.folder) if line.what == "twin"]


def test_a_node_survives_the_root_being_killed_while_it_starts(
    node: Callable[..., RealNode],
) -> None:
    shop = node(a_bit_of_everything())
    for _ in range(3):
        root = shop.view().root_pid
        os.kill(root, signal.SIGKILL)
        shop.wait_view(lambda view, root=root: view.root_pid != root)  # not yet running: kill again
    shop.wait_view(lambda view: view.state == "running")
    assert not [line for line in journal(shop.folder) if line.what == "twin"]


def kill_guardian(shop: RealNode) -> None:
    """Kill the guardian, and wait until its root has ended."""
    view = shop.view()
    with ended(view.root_pid):
        os.kill(view.guardian_pid, signal.SIGKILL)


def test_the_root_stops_the_tree_in_order_when_the_guardian_is_killed(
    node: Callable[..., RealNode],
) -> None:
    shop = node(a_bit_of_everything())
    kill_guardian(shop)
    what = [f"{line.what} {line.id}" for line in journal(shop.folder) if line.what == "stop"]
    assert what.index("stop t:b") < what.index("stop t:a")


def test_an_operators_stop_survives_the_root(node: Callable[..., RealNode]) -> None:
    shop = node(a_bit_of_everything())
    assert shop.cli("stop", "t:a", "--yes").returncode == 0
    root = shop.view().root_pid
    os.kill(root, signal.SIGKILL)
    shop.wait_view(lambda view: view.root_pid != root and view.state == "running")
    assert shop.row("t:a").state is State.HELD
    assert shop.cli("start", "t:a").returncode == 0
    assert shop.row("t:a").state is State.UP


def test_history_survives_a_restart_of_the_runtime(node: Callable[..., RealNode]) -> None:
    shop = node(a_bit_of_everything())
    os.kill(shop.pid("t:b"), signal.SIGKILL)
    shop.wait_row("t:b", lambda row: row.generation == 2 and row.state is State.UP)
    assert shop.stop() == 0
    shop.forget_client()
    shop.start()
    answer = shop.ask(History("t:b"))
    assert isinstance(answer, Facts)
    kinds = [fact.kind for fact in answer.facts]
    assert kinds.count("exited") >= 2
    assert "decided" in kinds


def test_a_stop_that_comes_while_the_root_boots_is_obeyed_in_order(
    node: Callable[..., RealNode],
) -> None:
    shop = node(a_bit_of_everything(), is_awaited=False)
    assert shop.process is not None
    while (file := read_node_file(shop.run_dir)) is None or not file.guardian_pid:
        assert shop.process.poll() is None
    shop.process.send_signal(signal.SIGTERM)
    assert shop.wait_end() == 0
    assert "died" not in shop.output()


def test_a_root_without_a_guardian_ends_quietly_and_leaves_no_socket(
    node: Callable[..., RealNode],
) -> None:
    shop = node(a_bit_of_everything())
    kill_guardian(shop)
    assert "Traceback" not in shop.output()
    assert not (shop.run_dir / "root").exists()
