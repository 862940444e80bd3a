"""Hung is not dead, frozen is not hung: a blocked loop is killed and explained, SIGSTOP is not."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import files, journal, service

from supervisor.core.facts import FactKind
from supervisor.core.requests import Facts, History
from supervisor.core.view import State
from wippy.core.reasons import Hung

pytestmark = pytest.mark.system

QUICK = "{heartbeat_timeout: 1s}"


def test_a_blocked_loop_is_killed_and_why_shows_where_it_stood(
    node: Callable[..., RealNode],
) -> None:
    shop = node(files([service("a", "blocks", lifecycle=QUICK), service("b")], "heartbeat: 200ms"))
    os.kill(shop.pid("t:a"), signal.SIGUSR1)
    row = shop.wait_row("t:a", lambda row: row.generation == 2 and row.state is State.UP)
    assert isinstance(row.last_exit, Hung)
    assert "in block" in row.last_exit.stacks
    assert "actors.py" in row.last_exit.stacks
    assert shop.row("t:b").generation == 1

    text = shop.cli("why", "t:a").stdout
    assert "Where it hung" in text
    assert "in block" in text
    facts = json.loads(shop.cli("why", "t:a", "--json").stdout)["facts"]
    exited = [fact for fact in facts if fact["kind"] == "exited"]
    assert [fact["reason"]["reason"] for fact in exited] == ["hung"]
    assert "in block" in exited[0]["reason"]["stacks"]


def test_what_is_stopped_by_sigstop_shows_as_frozen_and_lives_on(
    node: Callable[..., RealNode],
) -> None:
    """It is frozen for longer than the heartbeat timeout: another child that blocks at the same
    moment is killed for its silence, and killed again, while the frozen one is left alone."""
    shop = node(
        files(
            [service("frozen", lifecycle=QUICK), service("a", "blocks", lifecycle=QUICK)],
            "heartbeat: 200ms",
        )
    )
    frozen = shop.pid("t:frozen")
    os.kill(frozen, signal.SIGSTOP)
    shop.wait_row("t:frozen", lambda row: row.is_frozen)
    for generation in (1, 2):
        row = shop.wait_row(
            "t:a", lambda row, g=generation: row.generation == g and row.state is State.UP
        )
        os.kill(row.os_pid, signal.SIGUSR1)
    shop.wait_row("t:a", lambda row: row.generation == 3 and row.state is State.UP)

    row = shop.row("t:frozen")
    assert (row.os_pid, row.generation, row.is_frozen) == (frozen, 1, True)
    assert "frozen" in shop.cli("status").stdout
    assert "SIGCONT" in shop.cli("why", "t:frozen").stdout
    os.kill(frozen, signal.SIGCONT)
    row = shop.wait_row("t:frozen", lambda row: not row.is_frozen)
    assert (row.os_pid, row.generation, row.state) == (frozen, 1, State.UP)
    answer = shop.ask(History("t:frozen"))
    assert isinstance(answer, Facts)
    kinds = [fact.kind for fact in answer.facts]
    assert kinds.index(FactKind.FROZEN) < kinds.index(FactKind.THAWED)
    assert FactKind.EXITED not in kinds
    assert [line.what for line in journal(shop.folder) if line.id == "t:frozen"] == ["start"]


def test_a_frozen_child_is_stopped_all_the_same(node: Callable[..., RealNode]) -> None:
    shop = node(files([service("a", lifecycle="{stop_timeout: 500ms}")]))
    os.kill(shop.pid("t:a"), signal.SIGSTOP)
    assert shop.cli("stop", "t:a", "--yes").returncode == 0
    row = shop.row("t:a")
    assert (row.state, row.is_frozen) == (State.HELD, False)


def test_a_frozen_keeper_stops_nobody_and_catches_up(node: Callable[..., RealNode]) -> None:
    shop = node(files([service("a")]))
    keeper = shop.pid("wippy:keeper")
    os.kill(keeper, signal.SIGSTOP)
    shop.wait_row("wippy:keeper", lambda row: row.is_frozen)
    os.kill(shop.pid("t:a"), signal.SIGKILL)
    shop.wait_row("t:a", lambda row: row.generation == 2 and row.state is State.UP)
    assert "killed by SIGKILL" in shop.cli("history", "t:a").stdout  # not stored yet, and shown
    os.kill(keeper, signal.SIGCONT)
    row = shop.wait_row("wippy:keeper", lambda row: not row.is_frozen and row.state is State.UP)
    assert (row.os_pid, row.generation) == (keeper, 1)
    answer = shop.ask(History("t:a"))
    assert isinstance(answer, Facts)
    assert [fact.kind for fact in answer.facts].count(FactKind.EXITED) == 1


def test_starts_wait_for_a_frozen_forkserver_and_are_made_when_it_goes_on(
    node: Callable[..., RealNode],
) -> None:
    """Without spares: each start needs the forkserver."""
    configuration = files([service("a", lifecycle="{start_timeout: 100s}")], "")
    configuration["wippy.yaml"] = 'version: "1.0"\nruntime: {spares: 0}\n'
    shop = node(configuration)
    server = shop.pid("wippy:forkserver")
    os.kill(server, signal.SIGSTOP)
    os.kill(shop.pid("t:a"), signal.SIGKILL)
    shop.wait_row("t:a", lambda row: row.generation == 2 and row.state is State.STARTING)
    shop.wait_row("wippy:forkserver", lambda row: row.is_frozen)
    os.kill(server, signal.SIGCONT)
    row = shop.wait_row("t:a", lambda row: row.state is State.UP)
    assert row.generation == 2
    assert shop.row("wippy:forkserver").generation == 1
    assert not [line for line in journal(shop.folder) if line.what == "twin"]


def test_a_start_that_waits_in_vain_for_a_frozen_forkserver_is_tried_again(
    node: Callable[..., RealNode],
) -> None:
    """The requests that have timed out are withdrawn: the forkserver, continued, makes no twins."""
    configuration = files([service("a", lifecycle="{start_timeout: 300ms}")], "")
    configuration["wippy.yaml"] = 'version: "1.0"\nruntime: {spares: 0}\n'
    shop = node(configuration)
    server = shop.pid("wippy:forkserver")
    os.kill(server, signal.SIGSTOP)
    os.kill(shop.pid("t:a"), signal.SIGKILL)
    shop.wait_row("t:a", lambda row: row.generation >= 3)
    os.kill(server, signal.SIGCONT)
    shop.wait_row("t:a", lambda row: row.state is State.UP)
    shop.wait_row("wippy:forkserver", lambda row: not row.is_frozen)
    assert not [line for line in journal(shop.folder) if line.what == "twin"]
