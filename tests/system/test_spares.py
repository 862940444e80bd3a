"""A warm spare never runs old code: whatever it holds is compared with the disk first."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import entry, files

from supervisor.core.view import State

pytestmark = pytest.mark.system

MANY = "spares: 2, intensity: {max_restarts: 1000, within: 1s}"
USES = """
import asyncio
import shop_library

async def main():
    print(f"own 0 library {shop_library.VERSION}", flush=True)
    await asyncio.Event().wait()
"""


def configuration(preload: str) -> dict[str, str]:
    at_once = "{backoff: {initial_delay: 0s}}"
    made = files(
        [
            entry("code", kind="process.py", source='"file://uses.py"', method="main"),
            entry("a", kind="process.service", process="code", lifecycle=at_once),
            entry("pool", kind="process.host", workers=1),
            entry("b", kind="process.service", process="code", host="pool"),
        ],
    )
    made["wippy.yaml"] = f'version: "1.0"\nruntime: {{{MANY}, watch: false, preload: {preload}}}\n'
    return made | {"uses.py": USES, "shop_library.py": "VERSION = 0\n"}


def restart_by_kill(shop: RealNode) -> int:
    """Kill t:a; return its next generation, up."""
    row = shop.wait_row("t:a", lambda row: row.state is State.UP)
    os.kill(row.os_pid, signal.SIGKILL)
    return shop.wait_row(
        "t:a", lambda now: now.generation > row.generation and now.state is State.UP
    ).generation


def last_line(shop: RealNode, count: int, id_: str = "t:a") -> str:
    """Wait until `id_` has spoken `count` times; return its last words."""
    lines: list[str] = []

    def has_spoken(_view: object) -> bool:
        lines[:] = [line for line in shop.log(id_).splitlines() if line.startswith("own")]
        return len(lines) >= count

    shop.wait_view(has_spoken)
    assert len(lines) == count
    return lines[-1]


def test_a_start_runs_what_is_on_the_disk_though_a_spare_holds_older_code(
    node: Callable[..., RealNode],
) -> None:
    """The preloaded module changes, several times in a row; each time the next start has it, the
    forkserver has been restarted, and the child was down once for it, not twice."""
    shop = node(configuration("[shop_library]"))
    assert last_line(shop, 1) == "own 0 library 0"
    for version in range(1, 4):
        server = shop.row("wippy:forkserver").generation
        shop.wait_view(lambda view: view.spares == 2)
        shop.write({"shop_library.py": f"VERSION = {version}\n"})
        generation = restart_by_kill(shop)
        assert generation == version + 1
        assert last_line(shop, version + 1) == f"own 0 library {version}"
        row = shop.wait_row(
            "wippy:forkserver",
            lambda row, g=server: row.generation > g and row.state is State.UP,
        )
        assert row.generation == server + 1
    assert "shop_library changed since it was preloaded" in shop.cli("why", "t:a").stdout
    assert shop.row("t:b").generation == 1
    assert shop.cli("restart", "t:pool", "--yes").returncode == 0
    shop.wait_row("t:b", lambda row: row.generation == 2 and row.state is State.UP)
    assert last_line(shop, 2, "t:b") == "own 0 library 3"


def test_unchanged_preloaded_code_costs_no_forkserver(node: Callable[..., RealNode]) -> None:
    shop = node(configuration("[shop_library]"))
    for count in range(2, 5):
        shop.wait_view(lambda view: view.spares == 2)
        restart_by_kill(shop)
        assert last_line(shop, count) == "own 0 library 0"
    assert shop.row("wippy:forkserver").generation == 1


def test_a_restart_runs_the_source_that_was_loaded_and_the_modules_that_are_there(
    node: Callable[..., RealNode],
) -> None:
    """Its own file is part of its entry; a module beside it that is not preloaded is imported."""
    shop = node(configuration("[]"))
    assert last_line(shop, 1) == "own 0 library 0"
    for version in range(1, 5):
        shop.wait_view(lambda view: view.spares == 2)
        shop.write(
            {
                "uses.py": USES.replace("own 0", f"own {version}"),
                "shop_library.py": f"VERSION = {version}  # as long as before\n",
            }
        )
        restart_by_kill(shop)
        assert last_line(shop, version + 1) == f"own 0 library {version}"
    assert shop.row("wippy:forkserver").generation == 1


def test_a_module_that_breaks_on_the_disk_fails_that_start_and_heals(
    node: Callable[..., RealNode],
) -> None:
    shop = node(configuration("[shop_library]"))
    assert last_line(shop, 1) == "own 0 library 0"
    shop.write({"shop_library.py": "VERSION = = 1\n"})
    row = shop.wait_row("t:a", lambda row: row.state is State.UP)
    os.kill(row.os_pid, signal.SIGKILL)
    row = shop.wait_row("t:a", lambda row: row.generation >= 2 and row.state is not State.UP)
    row = shop.wait_row(
        "t:a", lambda row: "start_failed" in str(row.last_exit) or row.generation > 2
    )
    assert "SyntaxError" in shop.log("t:a")
    assert shop.row("t:b").generation == 1
    shop.write({"shop_library.py": "VERSION = 2\n"})
    shop.wait_row("t:a", lambda row: row.state is State.UP)
    shop.wait_view(lambda _view: "own 0 library 2" in shop.log("t:a"))


def test_a_whole_group_that_finds_old_code_starts_once_from_one_new_forkserver(
    node: Callable[..., RealNode],
) -> None:
    code = entry("code", kind="process.py", source='"file://uses.py"', method="main")
    names = ["a", "b", "c", "d"]
    top = entry("s", kind="supervisor", strategy="one_for_all", children=f"[{', '.join(names)}]")
    actors = [entry(name, kind="process.service", process="code") for name in names]
    shop = node(
        files([code, top, *actors])
        | {
            "uses.py": USES,
            "shop_library.py": "VERSION = 0\n",
            "wippy.yaml": configuration("[shop_library]")["wippy.yaml"],
        }
    )
    shop.wait_view(lambda view: view.spares == 2)
    shop.write({"shop_library.py": "VERSION = 1\n"})
    os.kill(shop.pid("t:a"), signal.SIGKILL)
    for name in names:
        shop.wait_row(f"t:{name}", lambda row: row.generation == 2 and row.state is State.UP)
        assert last_line(shop, 2, f"t:{name}") == "own 0 library 1"
    assert shop.row("wippy:forkserver").generation == 2
    assert shop.view().restarts == 2  # of the group, and of the forkserver
    assert "ended by itself" not in shop.output()


def test_a_module_that_cannot_be_preloaded_is_an_alarm_once(node: Callable[..., RealNode]) -> None:
    broken = {"shop_broken.py": "raise RuntimeError('not today')\n"}
    shop = node(configuration("[shop_broken, shop_library]") | broken)
    alarms = [alarm for alarm in shop.view().alarms if "could not preload shop_broken:" in alarm]
    assert len(alarms) == 1
    assert last_line(shop, 1) == "own 0 library 0"


def test_starts_under_way_survive_the_death_of_the_forkserver(
    node: Callable[..., RealNode],
) -> None:
    """Frozen with requests in its hands, then killed: the next forkserver gets them."""
    made = configuration("[]")
    made["wippy.yaml"] = 'version: "1.0"\nruntime: {spares: 0}\n'
    shop = node(made)
    os.kill(shop.pid("wippy:forkserver"), signal.SIGSTOP)
    os.kill(shop.pid("t:a"), signal.SIGKILL)
    shop.wait_row("t:a", lambda row: row.generation == 2 and row.state is State.STARTING)
    os.kill(shop.pid("wippy:forkserver"), signal.SIGKILL)
    row = shop.wait_row("t:a", lambda row: row.state is State.UP)
    assert (row.generation, row.restarts) == (2, 1)
    assert last_line(shop, 2) == "own 0 library 0"
