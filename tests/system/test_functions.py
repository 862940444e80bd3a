"""Functions under a real root: pools of all kinds, kills in mid-call, callers that end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from real_node import DEADLINE_S, RealNode

from supervisor.core.view import State

pytestmark = pytest.mark.system

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "functions.md"
HEAD = """
version: "1.0"
namespace: app
entries:
  - {name: caller, kind: process.py, source: "file://code.py", method: caller}
  - {name: main, kind: process.service, process: caller}
"""
ORDERED = """
  - {name: all, kind: supervisor, strategy: one_for_one, children: [main, slow_start, lazy]}
"""
CODE = """
import asyncio, os, time
from pathlib import Path
from wippy import errors, funcs, process, sync

FOLDER = Path(os.environ["WIPPY_RUN_DIR"]).parent

def note(name, text=""):
    (FOLDER / (name + ".new")).write_text(str(text))
    os.rename(FOLDER / (name + ".new"), FOLDER / name)

async def forever():
    await asyncio.Event().wait()
"""


@pytest.fixture
def app(node: Callable[..., RealNode]) -> Callable[[str, str], RealNode]:
    """A node of `entries` and `code`, in namespace `app`; `caller` is its service `app:main`."""

    def start(entries: str, code: str) -> RealNode:
        return node({"app.yaml": HEAD + entries, "code.py": CODE + code})

    return start


def function(name: str, more: str = "") -> str:
    return (
        f'  - {{name: {name}, kind: function.py, source: "file://code.py", method: {name}{more}}}\n'
    )


def wait_log(node: RealNode, count: int, child: str = "app:main") -> list[str]:
    """Wait until a child has written `count` lines; return them."""
    node.wait_view(lambda _view: len(node.log(child).splitlines()) >= count)
    return node.log(child).splitlines()


def wait_note(node: RealNode, name: str) -> str:
    """Wait until code of the node has written a note; return it."""
    node.wait_view(lambda _view: (node.folder / name).exists())
    return (node.folder / name).read_text()


def test_functions_of_lazy_static_and_shared_pools_are_called(
    app: Callable[[str, str], RealNode],
) -> None:
    node = app(
        "  - {name: pool, kind: process.host, workers: 1}\n"
        + function("lazy")
        + function("fixed", ", pool: {kind: static, max: 2}")
        + function("shared", ", host: pool"),
        "async def lazy(a, b): return {'sum': a + b, 'pid': process.pid().split('/')[1]}\n"
        "def fixed(): return process.id()\n"
        "def shared(text): return sync.funcs.call('app:lazy', text, '!')['sum']\n"
        "async def caller():\n"
        "    print(await funcs.call('app:lazy', 1, 2))\n"
        "    print(await funcs.call('app:fixed'))\n"
        "    print(await funcs.call('app:shared', 'hello'))\n"
        "    await forever()\n",
    )
    assert wait_log(node, 3) == ["{'sum': 3, 'pid': 'app:lazy#1.1'}", "app:fixed", "hello!"]


def test_a_call_whose_worker_is_killed_is_made_again_in_another_one(
    app: Callable[[str, str], RealNode],
) -> None:
    node = app(
        function("slow", ", pool: {kind: static, max: 2}, retry: {attempts: 2, initial_delay: 0s}"),
        "async def slow():\n"
        "    if (FOLDER / 'first').exists(): return 'second: ' + process.pid().split('/')[1]\n"
        "    note('first', os.getpid())\n"
        "    await forever()\n"
        "async def caller():\n"
        "    print(await funcs.call('app:slow', timeout_s=0))\n"
        "    await forever()\n",
    )
    os.kill(int(wait_note(node, "first")), signal.SIGKILL)
    (line,) = wait_log(node, 1)
    assert line.startswith("second: app:slow#")


def test_without_a_retry_policy_the_end_of_the_worker_is_the_error(
    app: Callable[[str, str], RealNode],
) -> None:
    node = app(
        function("slow"),
        "def slow():\n"
        "    note('first', os.getpid())\n"
        "    time.sleep(3600)\n"
        "async def caller():\n"
        "    try: await funcs.call('app:slow')\n"
        "    except errors.Exited as error: print(error.reason, error.retryable, error)\n"
        "    await forever()\n",
    )
    os.kill(int(wait_note(node, "first")), signal.SIGKILL)
    assert wait_log(node, 1) == [
        "Signal(number=9) True the worker app:slow#1 g1 ended before the function returned: "
        "killed by SIGKILL"
    ]


def test_a_killed_caller_takes_its_calls_and_those_within_them_with_it(
    app: Callable[[str, str], RealNode],
) -> None:
    node = app(
        function("outer") + function("inner"),
        "async def outer(): await funcs.call('app:inner')\n"
        "async def inner():\n"
        "    note('begun')\n"
        "    try: await forever()\n"
        "    finally: note('cancelled')\n"
        "async def caller():\n"
        "    if (FOLDER / 'begun').exists(): await forever()\n"
        "    await funcs.call('app:outer', timeout_s=0)\n",
    )
    wait_note(node, "begun")
    os.kill(node.pid("app:main"), signal.SIGKILL)
    wait_note(node, "cancelled")


def test_a_worker_that_is_stopped_lets_its_calls_return_and_others_take_the_next(
    app: Callable[[str, str], RealNode],
) -> None:
    node = app(
        function("slow", ", pool: {kind: static, max: 2}"),
        "async def slow(number):\n"
        "    note(f'begun{number}', process.pid().split('/')[1].partition('.')[0])\n"
        "    while not (FOLDER / 'go').exists(): await asyncio.sleep(0.01)\n"
        "    return number\n"
        "async def caller():\n"
        "    futures = [funcs.start('app:slow', 1), funcs.start('app:slow', 2)]\n"
        "    while not (FOLDER / 'asked').exists(): await asyncio.sleep(0.01)\n"
        "    futures += [funcs.start('app:slow', 3), funcs.start('app:slow', 4)]\n"
        "    print(*[await future for future in futures])\n"
        "    await forever()\n",
    )
    worker = wait_note(node, "begun1")
    stop = subprocess.Popen(node.command("stop", worker, "--run-dir", str(node.run_dir)))
    node.wait_row(worker, lambda row: row.state is State.STOPPING)
    (node.folder / "asked").write_text("")
    wait_note(node, "begun4")
    (node.folder / "go").write_text("")
    assert wait_log(node, 1) == ["1 2 3 4"]
    assert stop.wait(DEADLINE_S) == 0


def test_a_pool_grows_where_its_workers_are_loaded_with_calls_and_new_ones_go_there(
    app: Callable[[str, str], RealNode],
) -> None:
    node = app(
        function("slow", ", pool: {kind: adaptive, min: 1, max: 2, grow_at: 3}"),
        "async def slow(number):\n"
        "    note(f'begun{number}', process.pid().split('/')[1])\n"
        "    await forever()\n"
        "async def caller():\n"
        "    futures = [funcs.start('app:slow', n, timeout_s=0) for n in range(4)]\n"
        "    while not (FOLDER / 'grown').exists(): await asyncio.sleep(0.01)\n"
        "    futures += [funcs.start('app:slow', n, timeout_s=0) for n in (4, 5)]\n"
        "    await forever()\n",
    )
    assert wait_note(node, "begun3") == "app:slow#1.1"
    node.wait_row("app:slow#2", lambda row: row.state is State.UP)
    (node.folder / "grown").write_text("")
    assert [wait_note(node, f"begun{number}") for number in (4, 5)] == ["app:slow#2.1"] * 2


def test_a_call_at_the_start_of_the_node_waits_for_a_pool_whose_turn_comes_later(
    node: Callable[..., RealNode],
) -> None:
    shop = node(
        {
            "app.yaml": HEAD.replace("entries:", "entries:\n" + ORDERED)
            + function("lazy").replace("}", ", pool: {kind: lazy}}")
            + "  - {name: slow_start, kind: exec.service, command: [sleep, '1000'],\n"
            + "     readiness: {exec: [test, -e, called], interval: 20ms}}\n",
            "code.py": CODE + "def lazy(): return 'lazy'\n"
            "async def caller():\n"
            "    future = funcs.start('app:lazy')\n"
            "    (Path.cwd() / 'called').write_text('')\n"
            "    print(await future)\n"
            "    await forever()\n",
        }
    )
    assert wait_log(shop, 1) == ["lazy"]


def test_unknown_ids_other_kinds_and_pools_that_are_stopped_have_clear_errors(
    app: Callable[[str, str], RealNode],
) -> None:
    node = app(
        function("resize"),
        "def resize(): return 1\n"
        "async def caller():\n"
        "    for id in ('app:resise', 'app:main', 'nonsense'):\n"
        "        try: await funcs.call(id)\n"
        "        except errors.WippyError as error: print(error.kind, error)\n"
        "    await forever()\n",
    )
    lines = wait_log(node, 3)
    assert lines[0] == "not_found there is no function 'app:resise'; did you mean 'app:resize'?"
    assert lines[1].startswith("invalid app:main is a process.service, not a function.py")
    assert lines[2].startswith("invalid 'nonsense' is no entry id")


def test_the_example_of_the_guide_prints_what_it_says(node: Callable[..., RealNode]) -> None:
    text = GUIDE.read_text()
    (entries,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    printed = re.findall(r"^ *# -> (.*)$", code, re.MULTILINE)
    shop = node({"app.yaml": entries, "prices.py": code})
    assert wait_log(shop, len(printed), "shop:main") == printed
