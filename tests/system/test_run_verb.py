"""`run` on a real node: entries as commands, their output, result, exit code and end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from real_node import DEADLINE_S, RealNode

from supervisor.core.view import State

JOBS = """
import asyncio, os, signal, sys
from wippy import process

async def add(*numbers):
    print("adding", *numbers)
    print("carefully", file=sys.stderr)
    return sum(numbers)

def copy(suffix):
    for line in sys.stdin:
        print(line.strip() + suffix)

def ends(how):
    match how:
        case "error": raise ValueError("out of paper")
        case "exit": sys.exit(7)
        case "signal": os.kill(os.getpid(), signal.SIGKILL)
        case "no data": return object()

async def waits():
    try:
        print(process.pid(), os.getpid(), flush=True)
        await asyncio.Event().wait()
    finally:
        print("tidied", flush=True)

def ignores():
    print(process.pid(), os.getpid(), flush=True)
    while True:
        signal.sigtimedwait([], 1000)

def double(number):
    return number * 2
"""
CONFIG = """\
version: "1.0"
namespace: t
entries:
  - {name: add, kind: process.py, source: "file://jobs.py", method: add}
  - {name: copy, kind: process.py, source: "file://jobs.py", method: copy}
  - {name: ends, kind: process.py, source: "file://jobs.py", method: ends}
  - {name: waits, kind: process.py, source: "file://jobs.py", method: waits}
  - {name: ignores, kind: process.py, source: "file://jobs.py", method: ignores}
  - {name: double, kind: function.py, source: "file://jobs.py", method: double, host: pool}
  - {name: pool, kind: process.host}
  - {name: x, kind: exec.service, command: [sleep, "1000"]}
"""


@pytest.fixture
def shop(node: Callable[..., RealNode]) -> RealNode:
    wippy = 'version: "1.0"\nruntime: {spares: 1}\n'
    return node({"t.yaml": CONFIG, "wippy.yaml": wippy, "jobs.py": JOBS})


def test_arguments_output_and_result_are_those_of_a_command(shop: RealNode) -> None:
    done = shop.cli("run", "t:add", "1", "2.5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "adding 1 2.5\n3.5\n", "carefully\n")
    done = shop.cli("run", "t:copy", "!", input="one\ntwo\n")
    assert (done.returncode, done.stdout) == (0, "one!\ntwo!\n")
    assert shop.cli("run", "t:double", "[1]").stdout == "[\n  1,\n  1\n]\n"
    assert shop.cli("run", "t:double", "text").stdout == '"texttext"\n'


def test_json_has_stdout_for_itself(shop: RealNode) -> None:
    done = shop.cli("run", "t:add", "1", "2", "--json")
    told = json.loads(done.stdout)
    assert told == {"schema": 1, "id": "t:add", "reason": {"reason": "normal"}, "value": 3}
    assert "adding 1 2" in done.stderr
    done = shop.cli("run", "t:ends", "exit", "--json")
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (
        7,
        {"reason": "exit", "code": 7},
    )


def test_the_exit_code_says_how_it_ended(shop: RealNode) -> None:
    expected = {
        ("t:ends", "error"): (1, "ValueError: out of paper"),
        ("t:ends", "exit"): (7, "exited with status 7"),
        ("t:ends", "signal"): (137, "SIGKILL"),
        ("t:ends", "no data"): (1, "no data: result: an object"),
        ("t:ends",): (1, "arguments do not fit"),
        ("t:nothing",): (4, "no process 't:nothing'"),
        ("t:x",): (4, "no such entry has code"),
        ("t:add", "--host", "t:pool"): (1, "is a pool"),
        ("t:add", "--host", "t:nowhere"): (1, "no process.host"),
    }
    for arguments, (code, words) in expected.items():
        done = shop.cli("run", *arguments)
        assert (done.returncode, done.stdout) == (code, ""), (arguments, done.stderr)
        assert words in done.stderr


def test_an_interrupt_asks_and_a_second_one_kills(shop: RealNode) -> None:
    with running(shop, "t:waits") as asked:
        first_line(asked)
        asked.send_signal(signal.SIGINT)
        out, err = asked.communicate(timeout=DEADLINE_S)
    assert (asked.returncode, out) == (130, "tidied\n")
    assert "asked to end" in err
    with running(shop, "t:ignores", "--stop-timeout", "10m") as stubborn:
        _, os_pid = first_line(stubborn)
        stubborn.send_signal(signal.SIGINT)
        assert stubborn.stderr is not None
        assert "again kills it" in stubborn.stderr.readline()
        stubborn.send_signal(signal.SIGINT)
        stubborn.communicate(timeout=DEADLINE_S)
    assert stubborn.returncode == 130
    wait_gone(shop, os_pid)


def test_a_command_that_is_killed_takes_its_actor_with_it(shop: RealNode) -> None:
    with running(shop, "t:waits") as command:
        pid, os_pid = first_line(command)
        slot = pid.split("/")[1].removesuffix(".1")
        assert slot in shop.cli("status").stdout
        command.kill()
    wait_gone(shop, os_pid)
    shop.wait_view(lambda view: slot not in {row.id for row in view.rows})


def test_an_actor_that_is_killed_ends_its_command(shop: RealNode) -> None:
    with running(shop, "t:waits") as command:
        pid, os_pid = first_line(command)
        slot = pid.split("/")[1].removesuffix(".1")
        # Before the root has heard that it is READY, its death would be a failed start.
        shop.wait_row(slot, lambda row: row.state is State.UP)
        os.kill(os_pid, signal.SIGTERM)
        _, err = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 128 + signal.SIGTERM
    assert "SIGTERM" in err


def test_a_killed_root_ends_what_it_ran_and_the_command_says_so(shop: RealNode) -> None:
    with running(shop, "t:waits") as command:
        _, os_pid = first_line(command)
        os.kill(shop.view().root_pid, signal.SIGKILL)
        _, err = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 1
    assert "the root (pid " in err
    assert "run it again" in err
    wait_gone(shop, os_pid)
    shop.wait_view(lambda view: view.root_starts == 2 and view.state == "running")
    done = shop.cli("run", "t:add", "1", "2")
    assert (done.returncode, done.stdout) == (0, "adding 1 2\n3\n"), done.stderr


def test_a_node_that_stops_ends_what_runs_in_it(shop: RealNode) -> None:
    with running(shop, "t:waits") as command:
        first_line(command)
        assert shop.stop() == 0
        out, _ = command.communicate(timeout=DEADLINE_S)
    assert out == "tidied\n"
    done = shop.cli("run", "t:add", "1")
    assert done.returncode == 4
    assert "wippy-supervisor start" in done.stderr


def running(shop: RealNode, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        shop.command("run", *arguments),
        cwd=shop.folder,
        env=shop.environ({"WIPPY_RUN_DIR": str(shop.run_dir)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def first_line(command: subprocess.Popen[str]) -> tuple[str, int]:
    assert command.stdout is not None
    pid, os_pid = command.stdout.readline().split()
    return pid, int(os_pid)


def wait_gone(shop: RealNode, os_pid: int) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while os.path.exists(f"/proc/{os_pid}"):
        shop._rest(deadline_s)
