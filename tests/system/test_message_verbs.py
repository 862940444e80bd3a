"""`send` and `call` on a real node: messages from the command line to actors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from real_node import DEADLINE_S, RealNode

from supervisor.core.client_slot import CLIENT_GENERATION, client_slot
from supervisor.io.os_process import read_stat
from wippy.core.directory import MESSAGE_FOLDER
from wippy.core.ids import socket_name

ECHO = """
import asyncio, datetime, decimal, os
from wippy import process
from wippy.errors import NotFound

async def named():
    process.register("the echo")
    await echo()

async def echo():
    async for message in process.inbox():
        match message.topic:
            case "say":
                print("heard", message.payload, flush=True)
            case "echo":
                process.reply(message, message.payload)
            case "late":
                print("working", flush=True)
                await asyncio.sleep(message.payload)
                process.reply(message, "at last")
            case "odd":
                day = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
                process.reply(message, {"at": day, "price": decimal.Decimal("1.50"), "raw": b"\\0"})
            case "refuse":
                process.reply(message, error=NotFound("no such order"))
            case "die":
                raise RuntimeError("cannot go on")
            case "pid":
                process.reply(message, [process.pid(), os.getpid()])
            case "watch":
                pid = message.sender
                process.monitor(pid)
                print("watching", flush=True)
                async for event in process.events():
                    print("ended", event.sender == pid, flush=True)
                    break
"""

CONFIG = """\
version: "1.0"
namespace: t
entries:
  - {name: echo, kind: process.py, source: "file://echo.py", method: echo}
  - {name: named, kind: process.py, source: "file://echo.py", method: named}
  - {name: a, kind: process.service, process: named}
  - {name: pool, kind: process.host}
  - {name: b, kind: process.service, process: echo, host: pool}
  - {name: x, kind: exec.service, command: [sleep, "1000"]}
"""


@pytest.fixture
def shop(node: Callable[..., RealNode]) -> RealNode:
    wippy = 'version: "1.0"\nruntime: {spares: 1}\n'
    return node({"t.yaml": CONFIG, "wippy.yaml": wippy, "echo.py": ECHO})


def test_a_message_by_id_by_name_and_by_pid_is_delivered_in_the_order_of_the_commands(
    shop: RealNode,
) -> None:
    pid, _ = asked(shop, "t:a", "pid")
    for target, text in (("t:a", "one"), (pid, "two"), ("t:b", "three")):
        done = shop.cli("send", target, "say", json.dumps({"it": text}))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert asked(shop, "the echo", "echo", "1") == 1
    assert asked(shop, "t:a", "echo") is None
    assert asked(shop, "t:b", "echo") is None  # what was sent before is written by now
    assert shop.log("t:a").splitlines()[-2:] == ["heard {'it': 'one'}", "heard {'it': 'two'}"]


def test_the_answer_is_printed_as_json_with_every_type_that_messages_carry(shop: RealNode) -> None:
    value = {"a": [1, 2.5, None, True, "ü"], "b": {}}
    assert asked(shop, "t:a", "echo", '{"a": [1]}') == {"a": [1]}
    assert asked(shop, "t:b", "odd") == {
        "at": "2026-01-02T00:00:00Z",
        "price": "1.50",
        "raw": "AA==",
    }
    assert asked(shop, "t:b", "echo", json.dumps(value)) == value


def test_an_actor_that_takes_its_time_is_waited_for_and_a_timeout_says_so(shop: RealNode) -> None:
    # Longer than the root waits for a slot that it does not know.
    assert asked(shop, "t:a", "late", "0.6", "--timeout", "30s") == "at last"
    done = shop.cli("call", "t:a", "say", "--timeout", "200ms")
    assert done.returncode == 1
    assert "has not answered within" in done.stderr


def test_what_is_not_there_is_4_and_what_failed_is_1(shop: RealNode) -> None:
    pid, _ = asked(shop, "t:b", "pid")
    expected = {
        ("t:aa",): (4, "did you mean 't:a'"),
        ("nobody",): (4, "nobody has registered"),
        (f"{shop.name}/t:a.7/0",): (4, "is not there"),
        (f"{pid}999",): (4, "is not there"),
        ("other/t:a.1/0",): (4, "node 'other'"),
        ("t:x",): (1, "it is no actor but a program"),
        ("t:pool",): (1, "it is no actor but a pool"),
        ("t:a", "@topic"): (1, "the runtime's own"),
        ("t:a", "say", "{not json"): (1, "is no JSON"),
        ("t:a", "say", "1", "--timeout", "soon"): (1, "no duration"),
    }
    for (target, *rest), (code, words) in expected.items():
        for verb in ("send", "call"):
            done = shop.cli(verb, target, *(rest or ["say"]))
            assert (done.returncode, done.stdout) == (code, ""), (verb, target, done.stderr)
            assert words in done.stderr


def test_an_error_of_the_actor_and_its_end_are_told(shop: RealNode) -> None:
    refused = shop.cli("call", "t:a", "refuse")
    assert (refused.returncode, refused.stderr) == (1, "error: t:a answered: no such order\n")
    for target in ("t:a", "t:b"):
        died = shop.cli("call", target, "die", "--timeout", "30s")
        assert died.returncode == 1
        assert "before it answered" in died.stderr
        assert asked(shop, target, "echo", "2", "--timeout", "30s") == 2  # its next generation


def test_a_killed_process_is_told_long_before_the_timeout(shop: RealNode) -> None:
    _, os_pid = asked(shop, "t:a", "pid")
    with calling(shop, "t:a", "late", "1000", "--timeout", "10m") as waiting:
        wait_log(shop, "working")
        os.kill(os_pid, signal.SIGKILL)
        _, err = waiting.communicate(timeout=DEADLINE_S)
    assert waiting.returncode == 1
    assert "ended before it answered" in err


def test_the_end_of_a_killed_caller_is_told_and_its_socket_removed(shop: RealNode) -> None:
    with calling(shop, "t:a", "watch", "--timeout", "10m") as waiting:
        wait_log(shop, "watching")
        stat = read_stat(waiting.pid)
        assert stat is not None
        name = socket_name(client_slot(waiting.pid, stat.start_ticks), CLIENT_GENERATION)
        own = shop.run_dir / MESSAGE_FOLDER / name
        assert own.exists()
        waiting.kill()
    wait_log(shop, "ended True")
    assert not own.exists()


def test_a_service_that_comes_back_in_time_gets_what_was_sent_to_it_while_it_was_down(
    shop: RealNode,
) -> None:
    assert shop.cli("stop", "t:a", "--yes").returncode == 0
    done = shop.cli("send", "t:a", "say", "1", "--timeout", "100ms")
    assert done.returncode == 1
    assert "t:a cannot be reached" in done.stderr
    with calling(shop, "t:a", "echo", "3", "--timeout", "10m") as waiting:
        assert shop.cli("start", "t:a").returncode == 0
        out, _ = waiting.communicate(timeout=DEADLINE_S)
    assert (waiting.returncode, out) == (0, "3\n")


def test_without_a_node_it_says_so(shop: RealNode) -> None:
    assert shop.stop() == 0
    done = shop.cli("send", "t:a", "say")
    assert done.returncode == 4
    assert "not running?" in done.stderr


def asked(shop: RealNode, target: str, topic: str, *more: str) -> Any:
    done = shop.cli("call", target, topic, *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def calling(shop: RealNode, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        shop.command("call", *arguments),
        cwd=shop.folder,
        env=shop.environ({"WIPPY_RUN_DIR": str(shop.run_dir)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_log(shop: RealNode, words: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while words not in shop.log("t:a"):
        shop._rest(deadline_s)
