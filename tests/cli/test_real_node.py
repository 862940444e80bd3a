"""The whole path: start, look, kill, stop, with real processes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest
from real_node import DEADLINE_S, RealNode

from supervisor.core.requests import Subscribe
from supervisor.core.view import State
from supervisor.io.control_client import ControlClient

pytestmark = pytest.mark.system

FILES = {
    "app.yaml": """\
        version: "1.0"
        namespace: app
        entries:
          - name: handler
            kind: process.py
            source: file://workers.py
            method: handler
          - name: worker
            kind: process.service
            process: app:handler
          - name: other
            kind: process.service
            process: app:handler
        """,
    "workers.py": """\
        import asyncio, os

        async def handler():
            print("hello from", os.getpid(), flush=True)
            await asyncio.Event().wait()
        """,
}
Make = Callable[..., RealNode]


def test_a_killed_child_is_back_and_every_verb_can_tell(node: Make) -> None:
    shop = node(FILES)
    before = shop.pid("app:worker")
    assert shop.cli("kill", "app:worker", "-s", "KILL").returncode == 0
    row = shop.wait_row("app:worker", lambda it: it.state is State.UP and it.generation == 2)
    assert row.os_pid != before
    assert f"hello from {row.os_pid}" in shop.log("app:worker")

    status = json.loads(shop.cli("status", "--json").stdout)
    assert [it["restarts"] for it in status["rows"] if it["id"] == "app:worker"] == [1]
    assert "SIGKILL" in shop.cli("why", "app:worker").stdout
    assert f"pid {before} killed by SIGKILL" in shop.cli("events", "app:worker").stdout
    assert f"hello from {before}" in shop.cli("logs", "app:worker").stdout
    assert "app:worker" in shop.cli("tree").stdout
    assert shop.cli("history", "app:worker", "--json").returncode == 0


def test_a_manual_stop_holds_until_a_manual_start(node: Make) -> None:
    shop = node(FILES)
    assert shop.cli("stop", "app:other").returncode == 0
    assert shop.row("app:other").state is State.HELD
    assert shop.cli("stop", "app:other").returncode == 0  # again
    assert shop.cli("start", "app:other").returncode == 0
    assert shop.row("app:other").state is State.UP
    assert shop.cli("start", "app:other").returncode == 0  # again


def test_stop_ends_the_node_with_0_and_then_there_is_none(node: Make) -> None:
    shop = node(FILES)
    stopped = shop.cli("stop", "--yes")
    assert (stopped.returncode, stopped.stdout) == (0, f"node {shop.name} is stopped\n")
    assert shop.wait_end() == 0
    assert shop.cli("stop").returncode == 4
    assert shop.cli("logs", "app:worker").stdout.startswith("hello from")


def test_a_node_survives_its_root_and_so_do_clients(node: Make) -> None:
    shop = node(FILES)
    first = shop.view().root_pid
    with ControlClient(shop.run_dir) as client:
        updates = client.updates(Subscribe(since_seq=0))
        assert next(updates).facts[0].seq == 1
        os.kill(first, signal.SIGKILL)
        view = shop.wait_view(lambda it: it.root_pid != first and it.state == "running")
        assert view.root_starts == 2
        assert any(it.seq == 1 for update in updates for it in update.facts)
    shop.wait_row("app:worker", lambda it: it.state is State.UP)


def test_a_second_start_is_75_and_says_who_is_there(node: Make) -> None:
    shop = node(FILES)
    again = shop.cli("start", str(shop.config), "--no-tui", "--run-dir", str(shop.run_dir))
    assert again.returncode == 75
    assert f"pid {shop.view().guardian_pid}" in again.stderr
    other_folder = str(shop.folder / "r2")
    state = shop.cli("start", str(shop.config), "--no-tui", "--run-dir", other_folder)
    assert state.returncode == 75
    assert "is in use by another runtime" in state.stderr
    assert shop.row("app:worker").generation == 1


def test_a_wrong_configuration_is_78_and_starts_nothing(node: Make) -> None:
    shop = node({"app.yaml": "namespace: app\nentries:\n  - {name: a, kind: proces.py}\n"},
                is_awaited=False)  # fmt: skip
    assert shop.wait_end() == 78
    assert "app.yaml:3:" in shop.output()
    assert not shop.run_dir.exists()


def test_detached_it_is_up_when_the_command_returns() -> None:
    shop = RealNode(FILES)
    try:
        started = _detached(shop)
        assert started.returncode == 0, started.stderr
        assert f"node {shop.name} is up: " in started.stdout
        assert json.loads(shop.cli("status", "--json").stdout)["state"] == "running"
        assert shop.cli("status", "--config", str(shop.config)).returncode == 0
    finally:
        assert shop.tear_down() == []


def test_detached_a_failed_start_tells_its_chain_and_ends_with_1() -> None:
    failing = "async def handler(): pass\nraise ValueError('no db')\n"
    shop = RealNode({**FILES, "workers.py": failing})
    try:
        started = _detached(shop)
        assert started.returncode == 1
        assert "no db" in started.stderr
        assert "the node did not stay up; its log: " in started.stderr
        assert shop.cli("status").returncode == 4
    finally:
        assert shop.tear_down() == []


def test_spawn_without_a_dynamic_supervisor_is_an_error_not_a_crash(node: Make) -> None:
    shop = node(FILES)
    assert shop.cli("spawn", "app:worker").returncode == 1
    assert shop.cli("spawn", "app:nothing").returncode == 4


def _detached(shop: RealNode) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        shop.command("start", str(shop.config), "--detach", "--run-dir", str(shop.run_dir),
                     "--name", shop.name),
        cwd=shop.folder, env=shop.environ(), capture_output=True, text=True, timeout=DEADLINE_S,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("events", "-f", "app:worker"), "killed by SIGKILL"),
        (("events", "-f", "--json", "app:worker"), '"number":9'),
        (("logs", "-f", "-n", "0", "app:worker"), "hello from"),
        (("logs", "-f", "-n", "0"), "app:worker | hello from"),
    ],
)
def test_following_shows_what_happens_and_ends_quietly_on_interrupt(
    command: tuple[str, ...], expected: str, node: Make
) -> None:
    shop = node(FILES)
    following = subprocess.Popen(
        shop.command(*command), cwd=shop.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=shop.environ({"WIPPY_RUN_DIR": str(shop.run_dir)}), text=True,
    )  # fmt: skip
    try:
        assert following.stdout is not None
        # Until it follows nobody can tell; so kill until it has seen one.
        for line in _lines_while_killing(shop, following.stdout):
            if expected in line:
                break
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=DEADLINE_S)
        assert (following.returncode, err) == (130, "")
    finally:
        following.kill()
        following.wait()


def _lines_while_killing(shop: RealNode, stdout: TextIO) -> Iterator[str]:
    poll = select.poll()
    poll.register(stdout, select.POLLIN)
    end_s = time.monotonic() + DEADLINE_S
    generation = 1
    while time.monotonic() < end_s:
        shop.cli("kill", "app:worker", "-s", "KILL")
        generation += 1
        shop.wait_row(
            "app:worker", lambda it, least=generation: it.generation >= least and it.state == "up"
        )
        while poll.poll(1000):
            yield stdout.readline()
    raise AssertionError("nothing came")
