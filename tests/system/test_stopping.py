"""Stops: in order, in time, of whole groups, and of what does not want to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from real_node import RealNode
from shops import entry, files, journal, service

from supervisor.core.view import State
from wippy.core.reasons import Killed, Shutdown

pytestmark = pytest.mark.system


def test_what_ignores_the_stop_is_killed_after_its_timeout_and_delays_nobody(
    node: Callable[..., RealNode],
) -> None:
    trap = "[sh, -c, \"trap '' TERM; echo ready; while :; do sleep 1; done\"]"
    shop = node(
        files(
            [
                entry(
                    "program",
                    kind="exec.service",
                    command=trap,
                    readiness='{log: "ready"}',
                    lifecycle="{stop_timeout: 1s}",
                ),
                service("actor", "stubborn", lifecycle="{stop_timeout: 1s}"),
                service("obedient"),
            ]
        )
    )
    for id_ in ("t:program", "t:actor"):
        assert shop.cli("stop", id_, "--yes").returncode == 0
        assert shop.row(id_).last_exit == Killed()
        assert shop.row(id_).state is State.HELD
    assert [line.what for line in journal(shop.folder) if line.id == "t:actor"] == [
        "start",
        "ignored",
    ]
    assert shop.row("t:obedient").generation == 1


def test_brutal_kill_never_shows_the_child_a_request(node: Callable[..., RealNode]) -> None:
    shop = node(files([service("a", lifecycle="{stop_timeout: 0s}")]))
    assert shop.cli("stop", "t:a", "--yes").returncode == 0
    assert shop.row("t:a").last_exit == Killed()
    assert [line.what for line in journal(shop.folder)] == ["start"]


def test_an_obedient_child_ends_with_shutdown(node: Callable[..., RealNode]) -> None:
    shop = node(files([service("a")]))
    assert shop.cli("stop", "t:a", "--yes").returncode == 0
    assert shop.row("t:a").last_exit == Shutdown()
    assert [line.what for line in journal(shop.folder)] == ["start", "stop"]


def test_grandchildren_die_with_the_leader_of_their_group(node: Callable[..., RealNode]) -> None:
    script = "sleep 1000 & echo $! > $(dirname $WIPPY_RUN_DIR)/grandchild; echo ready; wait"
    shop = node(
        files(
            [
                entry(
                    "p",
                    kind="exec.service",
                    command=f"[sh, -c, {script!r}]",
                    readiness='{log: "ready"}',
                    lifecycle="{restart: temporary}",
                )
            ]
        )
    )
    grandchild = int((shop.folder / "grandchild").read_text())
    descriptor = os.pidfd_open(grandchild)
    os.kill(shop.pid("t:p"), signal.SIGKILL)
    _wait_gone(descriptor)


def test_what_left_the_session_is_found_and_ended(node: Callable[..., RealNode]) -> None:
    escaped = "import os,time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True); time.sleep(1000)"  # noqa: E501
    script = f'python3 -c "{escaped}" > $(dirname $WIPPY_RUN_DIR)/escaped; echo ready; sleep 1000'
    shop = node(
        files(
            [
                entry(
                    "p",
                    kind="exec.service",
                    command="[sh, run.sh]",
                    cwd=".",
                    readiness='{log: "ready"}',
                    lifecycle="{restart: temporary}",
                )
            ]
        )
        | {"run.sh": script}
    )
    path = shop.folder / "escaped"
    shop.wait_view(lambda _view: bool(_text(path).strip()))
    descriptor = os.pidfd_open(int(path.read_text()))
    os.kill(shop.pid("t:p"), signal.SIGKILL)
    _wait_gone(descriptor)
    assert any("had left the session of t:p" in alarm for alarm in shop.view().alarms)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _wait_gone(descriptor: int) -> None:
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(60_000), "it lives on"
    os.close(descriptor)
