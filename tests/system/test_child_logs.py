"""What children print reaches their logs, to the last line before any death, and stays bounded."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import following
from real_node import RealNode
from shops import entry, files
from small_disks import small_disk

from supervisor.core.view import State

pytestmark = pytest.mark.system

ACTORS = '''
import asyncio, os, signal, sys
from wippy import process

async def on(number, act):
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(number, told.set)
    print("ready", process.pid(), flush=True)
    await told.wait()
    act()

async def aborts():
    def act():
        print("the last words of an abort")
        sys.stderr.write("and to stderr\\n")
        os.abort()
    await on(signal.SIGUSR1, act)

async def kills_itself():
    def act():
        for number in range(500):
            print("counting", number)
        print("the last words of a kill")
        os.kill(os.getpid(), signal.SIGKILL)
    await on(signal.SIGUSR1, act)

async def raises():
    def act():
        print("before it raised")
        raise LookupError("gone astray")
    await on(signal.SIGUSR1, act)

async def chatters():
    """Print 20 MB in numbered lines on SIGUSR1, then live."""
    def act():
        for number in range(200_000):
            print(f"line {number:06d}", "x" * 88)
        print("all said")
    await on(signal.SIGUSR1, act)
    await asyncio.Event().wait()

async def unheard():
    """Print, and tell by a file that it lives on."""
    for number in range(3000):
        print("nobody will read this", number, "y" * 1000)
        sys.stderr.write("nor this\\n")
        await asyncio.sleep(0)
    open(os.environ["TOLD"], "w").close()
    await asyncio.Event().wait()
'''
INLINE = """
  - name: inline
    kind: process.py
    method: main
    source: |
      import asyncio, os, signal

      async def main():
          print("I am inline")
          told = asyncio.Event()
          asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.set)
          await told.wait()
          raise KeyError("from line ten of it")
  - name: quoted
    kind: process.service
    process: inline
""".strip("\n")


def actor(name: str, method: str, **fields: object) -> str:
    code = entry(f"{name}.code", kind="process.py", source='"file://says.py"', method=method)
    return f"{code}\n{entry(name, kind='process.service', process=f'{name}.code', **fields)}"


def test_the_last_lines_before_any_death_are_in_the_log(node: Callable[..., RealNode]) -> None:
    last_words = "trap 'echo the program says goodbye; kill -9 $$' USR1"
    script = f"{last_words}; echo ready; while :; do sleep 0.1; done"
    program = entry(
        "program", kind="exec.service", command=f'[sh, -c, "{script}"]', readiness='{log: "ready"}'
    )
    last = {
        "aborts": ["the last words of an abort", "and to stderr"],
        "kills_itself": ["counting 499", "the last words of a kill"],
        "raises": ["before it raised", "LookupError: gone astray"],
        "program": ["the program says goodbye"],
        "quoted": ["I am inline", "KeyError: 'from line ten of it'", 'raise KeyError("from line'],
    }
    actors = [actor(name, name) for name in ("aborts", "kills_itself", "raises")]
    shop = node(files([*actors, program, INLINE]) | {"says.py": ACTORS})
    for name in last:
        if name not in ("program", "quoted"):
            shop.wait_view(lambda _view, name=name: "ready" in shop.log(f"t:{name}"))
    shop.wait_view(lambda _view: "I am inline" in shop.log("t:quoted"))
    for name in last:
        os.kill(shop.pid(f"t:{name}"), signal.SIGUSR1)
    for name, words in last.items():
        shop.wait_row(f"t:{name}", lambda row: row.generation == 2 and row.state is State.UP)
        for word in words:
            assert word in shop.log(f"t:{name}"), name
            assert word in shop.cli("logs", "-n", "1000", f"t:{name}").stdout
    # The second life goes on in the same file.
    shop.wait_view(lambda _view: shop.log("t:aborts").count("ready") == 2)


def logged(path: Path) -> str:
    """Return what all files of a log hold, oldest first."""
    numbered = sorted(path.parent.glob(f"{path.name}.[0-9]*"), reverse=True)
    texts = [it.read_text(errors="replace") for it in (*numbered, path)]
    return "".join(texts).replace("\0", "")


def test_a_chatterbox_stays_within_bounds_and_loses_nothing_at_the_end(
    node: Callable[..., RealNode],
) -> None:
    shop = node(
        files([actor("a", "chatters")], "log: {max_size: 1MiB, backups: 2}") | {"says.py": ACTORS}
    )
    shop.wait_view(lambda _view: "ready" in shop.log("t:a"))
    path = Path(shop.row("t:a").log_path)
    with following(shop, "logs", "-f", "t:a") as lines:
        lines.wait_line("ready")
        os.kill(shop.pid("t:a"), signal.SIGUSR1)
        lines.wait_line("all said")  # followed across rotations
    pending = Path(f"{path}.rotating")
    shop.wait_view(  # until no rotation is due, or under way
        lambda _view: path.stat().st_blocks * 512 <= 2**20 + 8192 and not pending.exists()
    )
    text = logged(path)
    assert text.endswith("all said\n")
    numbers = [int(found) for found in re.findall(r"^line (\d{6}) x{88}$", text, re.MULTILINE)]
    assert numbers == list(range(numbers[0], 200_000))
    assert len(list(path.parent.glob(f"{path.name}.*"))) <= 2
    shop.cli("stop", "t:a", "--yes")
    assert "all said" in shop.cli("logs", "t:a", "-n", "1").stdout


def test_logs_follow_several_children_through_restarts(node: Callable[..., RealNode]) -> None:
    shop = node(files([actor("a", "kills_itself"), actor("b", "raises")]) | {"says.py": ACTORS})
    with following(shop, "logs", "-f", "t:a", "t:b") as lines:
        lines.wait_line("t:a | ready", ".1/0")
        os.kill(shop.pid("t:a"), signal.SIGUSR1)
        lines.wait_line("t:a | the last words of a kill")
        lines.wait_line("t:a | ready", ".2/0")
        shop.wait_row("t:b", lambda row: row.state is State.UP)
        os.kill(shop.pid("t:b"), signal.SIGUSR1)
        lines.wait_line("t:b | LookupError: gone astray")


@pytest.fixture
def tiny_disk() -> Iterator[Path]:
    """A filesystem of 1 MiB."""
    folder = Path(tempfile.mkdtemp(prefix="w-", dir="/tmp"))
    try:
        with small_disk(folder, 1 * 2**20):
            yield folder
    finally:
        folder.rmdir()


def test_a_full_disk_silences_an_actor_and_does_not_kill_it(
    node: Callable[..., RealNode], tiny_disk: Path
) -> None:
    shop = node(
        files(
            [actor("a", "unheard", env='{TOLD: "${env:TOLD}"}')],
            f'log_dir: "{tiny_disk}/logs"',
        )
        | {"says.py": ACTORS},
        environ={"TOLD": str(tiny_disk.parent / f"{tiny_disk.name}.told")},
    )
    told = tiny_disk.parent / f"{tiny_disk.name}.told"
    shop.wait_view(lambda _view: told.exists())
    told.unlink()
    row = shop.row("t:a")
    assert (row.state, row.generation) == (State.UP, 1)
    assert shop.stop() == 0
