"""The command line against real nodes, verb by verb, with exit codes that scripts can trust."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable

import pytest
from commands import following
from real_node import DEADLINE_S, RealNode
from shops import entry, files, journal, service

from supervisor.core.view import State
from wippy.core.reasons import Signal

pytestmark = pytest.mark.system


def test_stop_start_and_restart_do_as_told_and_may_be_repeated(
    node: Callable[..., RealNode],
) -> None:
    shop = node(files([service("a"), service("b")]))
    for _ in range(2):
        done = shop.cli("stop", "t:a", "--yes")
        assert (done.returncode, shop.row("t:a").state) == (0, State.HELD)
    status = shop.cli("status")
    assert status.returncode == 0  # as somebody wanted it
    assert "stopped" in status.stdout
    assert shop.cli("status", "t:b").returncode == 0
    for _ in range(2):
        assert shop.cli("start", "t:a").returncode == 0
        assert (shop.row("t:a").state, shop.row("t:a").generation) == (State.UP, 2)
    for generation in (3, 4):
        assert shop.cli("restart", "t:a", "--yes").returncode == 0
        assert (shop.row("t:a").state, shop.row("t:a").generation) == (State.UP, generation)
    assert shop.view().restarts == 0  # operators never count
    assert shop.row("t:b").generation == 1
    what = [line.what for line in journal(shop.folder) if line.id == "t:a"]
    assert what == ["start", "stop"] * 3 + ["start"]
    history = shop.cli("history", "t:a").stdout
    for verb in ("stop t:a", "start t:a", "restart t:a"):
        assert verb in history


def test_kill_takes_an_id_or_a_pid_and_signals_by_name_or_number(
    node: Callable[..., RealNode],
) -> None:
    shop = node(files([service("a")], "intensity: {max_restarts: 100, within: 1s}"))
    cases = [("id", "KILL", 9), ("pid", "SIGKILL", 9), ("id", "term", 15), ("pid", "6", 6)]
    for generation, (by, name, number) in enumerate(cases, 1):
        row = shop.wait_row(
            "t:a", lambda row, g=generation: row.generation == g and row.state is State.UP
        )
        target = row.id if by == "id" else str(row.os_pid)
        done = shop.cli("kill", target, "-s", name, "--yes")
        assert done.returncode == 0, done.stderr
        row = shop.wait_row("t:a", lambda row, g=generation: row.generation == g + 1)
        assert row.last_exit == Signal(number)
    why = shop.cli("why", "t:a").stdout
    assert "killed by SIGKILL" in why
    assert "killed by SIGABRT" in why
    assert "SIGABRT to pid" in why  # who did it is part of the story


def test_what_is_unknown_is_4_with_the_nearest_name_and_nonsense_is_refused(
    node: Callable[..., RealNode],
) -> None:
    shop = node(files([service("worker")]))
    for verb in (["stop", "--yes"], ["restart", "--yes"], ["kill", "--yes"], ["why"], ["logs"]):
        done = shop.cli(verb[0], "t:wroker", *verb[1:])
        assert (done.returncode, done.stdout) == (4, ""), verb
        assert "did you mean" in done.stderr
        assert "t:worker" in done.stderr
    assert shop.cli("start", "t:wroker").returncode == 4
    assert shop.cli("status", "t:wroker").returncode == 4
    assert shop.cli("kill", str(os.getpid()), "--yes").returncode == 4  # no process of the node
    wrong = shop.cli("kill", "t:worker", "-s", "KILLL", "--yes")
    assert wrong.returncode == 1
    assert "did you mean KILL" in wrong.stderr
    refused = shop.cli("stop", "wippy:keeper", "--yes")
    assert refused.returncode == 1
    assert "part of the runtime" in refused.stderr
    assert shop.row("t:worker").generation == 1


def test_reading_verbs_give_json_that_programs_can_use(node: Callable[..., RealNode]) -> None:
    shop = node(files([service("a")]))
    os.kill(shop.pid("t:a"), signal.SIGKILL)
    shop.wait_row("t:a", lambda row: row.generation == 2 and row.state is State.UP)
    for arguments in (["status"], ["tree"], ["why", "t:a"], ["history", "t:a"]):
        done = shop.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["schema"] == 1, arguments
    rows = json.loads(shop.cli("status", "--json").stdout)["rows"]
    row = next(row for row in rows if row["id"] == "t:a")
    assert (row["state"], row["generation"], row["last_exit"]["number"]) == ("up", 2, 9)
    lines = shop.cli("events", "--json").stdout.splitlines()
    exits = [fact for fact in map(json.loads, lines) if fact["kind"] == "exited"]
    assert [fact["id"] for fact in exits] == ["t:a"]


def test_status_is_3_while_something_is_not_up_and_4_without_a_node(
    node: Callable[..., RealNode],
) -> None:
    lifecycle = "{backoff: {initial_delay: 100s, max_delay: 100s}}"
    shop = node(files([service("a", lifecycle=lifecycle)]))
    assert shop.cli("status").returncode == 0
    for generation in (1, 2):
        row = shop.wait_row(
            "t:a", lambda row, g=generation: row.generation == g and row.state is State.UP
        )
        os.kill(row.os_pid, signal.SIGKILL)
    shop.wait_row("t:a", lambda row: row.state is State.BACKOFF)
    done = shop.cli("status")
    assert done.returncode == 3
    assert "next try in" in done.stdout
    assert shop.cli("start", "t:a").returncode == 0  # does not wait for the back-off
    assert shop.cli("status").returncode == 0
    assert shop.cli("stop", "--yes").returncode == 0
    assert shop.wait_end() == 0
    for arguments in (["status"], ["tree"], ["stop", "t:a", "--yes"], ["why", "t:a"]):
        done = shop.cli(*arguments)
        assert done.returncode == 4, arguments
        assert "wippy-supervisor start" in done.stderr


def test_events_are_followed_while_they_happen(node: Callable[..., RealNode]) -> None:
    shop = node(files([service("a"), service("b")]))
    with following(shop, "events", "-f") as events, following(shop, "events", "-f", "t:b") as of_b:
        events.wait_line("everything is up")
        of_b.wait_line("t:b", "up as pid")
        for id_ in ("t:a", "t:b"):
            assert shop.cli("kill", id_, "-s", "KILL", "--yes").returncode == 0
            events.wait_line(id_, "killed by SIGKILL")
            events.wait_line(id_, "generation 2", "back in")
        line = of_b.wait_line("killed by SIGKILL")
        assert "t:b" in line


def test_a_second_runtime_on_the_same_state_folder_is_75_and_says_who_has_it(
    node: Callable[..., RealNode],
) -> None:
    shop = node(files([service("a")]))
    guardian = str(shop.view().guardian_pid)
    for run_dir in (shop.run_dir, shop.folder / "other"):
        done = shop.cli("start", str(shop.config), "--no-tui", "--run-dir", str(run_dir))
        assert done.returncode == 75
        assert guardian in done.stderr
    assert shop.cli("status").returncode == 0
    assert shop.row("t:a").generation == 1


def test_two_commands_for_one_child_both_come_true(node: Callable[..., RealNode]) -> None:
    slow = entry(
        "a",
        kind="exec.service",
        command="[sh, -c, \"trap 'sleep 0.5; exit 0' TERM; echo on; while :; do sleep 0.1; done\"]",
        readiness='{log: "on"}',
    )
    shop = node(files([slow]))
    commands = [
        subprocess.Popen(
            shop.command("restart", "t:a", "--yes"),
            env=shop.environ({"WIPPY_RUN_DIR": str(shop.run_dir)}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for command in commands:
        _, errors = command.communicate(timeout=DEADLINE_S)
        assert command.returncode == 0, errors
    assert shop.row("t:a").state is State.UP
