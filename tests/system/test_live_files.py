"""Files of a node that runs are edited: what they concern changes, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from real_node import RealNode
from small_disks import small_disk
from watching import wait_lines

from supervisor.core.view import NodeView, State

pytestmark = pytest.mark.system

APP = """
version: "1.0"
namespace: t
entries:
  - {name: greeting, kind: registry.entry, data: {text: hello}}
  - {name: pool, kind: process.host}
  - {name: main, kind: process.py, source: "file://main.py", method: main}
  - {name: other, kind: process.py, source: "file://other.py", method: main}
  - {name: lib, kind: library.py, source: "file://lib.py"}
  - {name: user, kind: process.py, source: "file://user.py", method: main, imports: {lib: t:lib}}
  - {name: watcher, kind: process.service, process: main}
  - {name: a, kind: process.service, process: other, lifecycle: {stop_timeout: 1s}}
  - {name: b, kind: process.service, process: other, host: pool, lifecycle: {stop_timeout: 1s}}
  - {name: c, kind: process.service, process: user, lifecycle: {stable_threshold: 100ms}}
"""
MAIN = """
from wippy import process, registry

async def main():
    print("begin", registry.version(), flush=True)
    async for it in registry.watch("t:greeting"):
        print(it.version, it.op, it.new and it.new.data, flush=True)
"""
OTHER = """
from wippy import process

async def main():
    print("other 1", flush=True)
    await process.inbox().receive()
"""
USER = """
from wippy import process

async def main():
    print(lib.NAME, flush=True)
    await process.inbox().receive()
"""
FILES = {
    "app.yaml": APP,
    "main.py": MAIN,
    "other.py": OTHER,
    "user.py": USER,
    "lib.py": 'NAME = "lib 1"\n',
}
NAMES = ("t:watcher", "t:a", "t:b", "t:c")


def edit(shop: RealNode, name: str, old: str, new: str) -> None:
    """Save a file as editors do: a new one is renamed into its place."""
    path = shop.config / name
    text = path.read_text()
    assert old in text
    draft = path.with_name(f".{name}.draft")
    draft.write_text(text.replace(old, new))
    draft.rename(path)


def lives(shop: RealNode) -> dict[str, tuple[int, int]]:
    view = shop.view()
    return {row.id: (row.os_pid, row.generation) for row in view.rows if row.id in NAMES}


def wait_version(shop: RealNode, version: int) -> NodeView:
    return shop.wait_view(lambda view: view.registry_version >= version)


def test_a_saved_value_reaches_who_watches_and_nobody_is_restarted(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    before = lives(shop)
    wait_lines(shop, "t:watcher", "begin")
    edit(shop, "app.yaml", "text: hello", "text: good day")
    assert wait_lines(shop, "t:watcher", "2 ")[-1] == "2 updated {'text': 'good day'}"
    edit(shop, "app.yaml", "stop_timeout: 1s", "stop_timeout: 3s")
    view = wait_version(shop, 3)
    assert lives(shop) == before
    assert not view.broken
    told = json.loads(shop.cli("registry", "history", "--json").stdout)["versions"]
    assert [it["author"] for it in told] == ["files", "files", "start"]
    assert told[0]["comment"].endswith("app.yaml changed")


def test_a_saved_source_restarts_only_what_runs_it(node: Callable[..., RealNode]) -> None:
    shop = node(FILES)
    before = lives(shop)
    edit(shop, "other.py", "other 1", "other 2")
    for name in ("t:a", "t:b"):
        shop.wait_row(name, lambda row: row.generation == 2 and row.state is State.UP)
    wait_lines(shop, "t:a", "other 2")
    edit(shop, "lib.py", "lib 1", "lib 2")
    shop.wait_row("t:c", lambda row: row.generation == 2 and row.state is State.UP)
    wait_lines(shop, "t:c", "lib 2")
    after = lives(shop)
    assert after["t:watcher"] == before["t:watcher"]
    assert {name: life[1] for name, life in after.items() if name != "t:watcher"} == {
        "t:a": 2,
        "t:b": 2,
        "t:c": 2,
    }


def test_broken_files_change_nothing_and_their_place_is_shown_until_they_are_right(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    before = lives(shop)
    edit(shop, "app.yaml", "stop_timeout: 1s", "stop_timeot: 1s")
    view = shop.wait_view(lambda view: bool(view.broken))
    place = f"{shop.config}/app.yaml:12:66: error: unknown key 'stop_timeot'"
    assert view.broken.startswith(place)
    assert "configuration: " + place[:20] in shop.cli("top", "--once").stdout
    status = shop.cli("status").stdout
    assert place in status
    assert "2 errors" in status
    assert place in shop.cli("reload").stderr
    assert shop.cli("reload").returncode == 78
    assert shop.cli("reload", "--dry-run").returncode == 78
    assert (lives(shop), shop.view().registry_version) == (before, 1)
    history = shop.cli("history").stdout
    assert history.count("the changed files are not used") == 1
    edit(shop, "app.yaml", "stop_timeot: 1s", "stop_timeout: 1s")
    shop.wait_view(lambda view: not view.broken)
    assert (lives(shop), shop.view().registry_version) == (before, 1)


def test_a_source_that_is_no_python_is_not_run_not_even_by_a_restart(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    edit(shop, "other.py", "async def main():", "async def main(:")
    view = shop.wait_view(lambda view: bool(view.broken))
    assert view.broken.startswith(f"{shop.config}/other.py:4:")
    os.kill(shop.pid("t:a"), signal.SIGKILL)
    shop.wait_row("t:a", lambda row: row.generation == 2 and row.state is State.UP)
    edit(shop, "other.py", "async def main(:", "async def main():")
    shop.wait_view(lambda view: not view.broken)


def test_reload_says_what_it_will_do_and_what_it_did(node: Callable[..., RealNode]) -> None:
    shop = node({**FILES, "wippy.yaml": 'version: "1.0"\nruntime: {watch: false}\n'})
    before = lives(shop)
    edit(
        shop,
        "app.yaml",
        "  - {name: a, kind: process.service",
        "  - {name: d, kind: process.service",
    )
    edit(shop, "app.yaml", "text: hello", "text: good day")
    plan = shop.cli("reload", "--dry-run")
    assert plan.returncode == 0
    assert plan.stdout.splitlines() == [
        "t:greeting is updated",
        "t:a is stopped and removed",
        "t:d is added and started when its turn comes",
    ]
    assert (lives(shop), shop.view().registry_version) == (before, 1)
    done = json.loads(shop.cli("reload", "--json").stdout)
    assert (done["ok"], done["version"], done["changed"]) == (True, 2, 3)
    assert "t:a is stopped and removed" in done["done"]
    view = shop.view()
    assert view.registry_version == 2
    assert {row.id for row in view.rows} >= {"t:d"}
    assert "t:a" not in {row.id for row in view.rows}
    again = shop.cli("reload")
    assert (again.returncode, again.stdout) == (
        0,
        "registry version 2: the files say nothing new\n",
    )
    assert shop.cli("reload", "--dry-run").stdout == "nothing would be changed\n"


def test_files_that_change_while_their_reader_is_dead_are_read_by_the_next(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    wait_lines(shop, "t:watcher", "begin")
    reader = shop.wait_row("wippy:files", lambda row: row.state is State.UP).os_pid
    os.kill(reader, signal.SIGSTOP)
    edit(shop, "app.yaml", "text: hello", "text: good day")
    os.kill(reader, signal.SIGKILL)
    assert wait_lines(shop, "t:watcher", "2 ")[-1] == "2 updated {'text': 'good day'}"


def test_a_new_root_goes_on_with_the_files_as_they_are_now(node: Callable[..., RealNode]) -> None:
    """Not with those that the node was started with; what was changed at run time stays too."""
    shop = node(FILES)
    edit(shop, "app.yaml", "text: hello", "text: good day")
    wait_version(shop, 2)
    assert shop.cli("registry", "set", "t:note", "x=1", "--kind", "registry.entry").returncode == 0
    wait_version(shop, 3)
    os.kill(shop.view().root_pid, signal.SIGKILL)
    edit(shop, "app.yaml", "text: good day", "text: good night")
    shop.wait_view(lambda view: view.root_starts == 2 and view.registry_version >= 4)
    got = json.loads(shop.cli("registry", "get", "t:greeting", "--json").stdout)
    assert got["entry"]["data"] == {"text": "good night"}
    assert shop.cli("registry", "get", "t:note").returncode == 0
    told = json.loads(shop.cli("registry", "history", "--json").stdout)["versions"]
    assert [it["number"] for it in told] == [4, 3, 2, 1]


def test_a_folder_that_is_gone_is_no_empty_configuration(node: Callable[..., RealNode]) -> None:
    shop = node(FILES, arguments=("--state-dir", tempfile.mkdtemp(prefix="w-")))
    before = lives(shop)
    away = shop.folder / "away"
    shop.config.rename(away)
    view = shop.wait_view(lambda view: bool(view.broken))
    assert view.broken.startswith(f"{shop.config}: error: there is no configuration")
    shutil.copytree(away, shop.config)
    edit(shop, "app.yaml", "text: hello", "text: good day")
    wait_version(shop, 2)
    assert not shop.wait_view(lambda view: not view.broken).broken
    assert lives(shop) == before
    shutil.rmtree(shop.view().state_dir, ignore_errors=True)


def test_settings_are_taken_over_where_that_can_be_and_told_where_not(
    node: Callable[..., RealNode],
) -> None:
    shop = node({**FILES, "wippy.yaml": 'version: "1.0"\nruntime: {heartbeat: 2s}\n'})
    edit(shop, "wippy.yaml", "{heartbeat: 2s}", "{heartbeat: 3s, watch: false}")
    done = json.loads(shop.cli("reload", "--json").stdout)
    assert done["needs_restart"] == ["heartbeat"]
    edit(shop, "app.yaml", "text: hello", "text: good day")
    assert json.loads(shop.cli("reload", "--json").stdout)["changed"] == 1


def test_a_version_that_does_not_come_up_is_undone(node: Callable[..., RealNode]) -> None:
    shop = node({**FILES, "wippy.yaml": 'version: "1.0"\nruntime: {rollback: auto}\n'})
    before = lives(shop)
    edit(shop, "user.py", "print(lib.NAME, flush=True)", "raise ValueError('bad day')")
    view = shop.wait_view(lambda view: view.registry_version == 3)
    assert any("version 2 does not do well: t:c" in alarm for alarm in view.alarms)
    shop.wait_row("t:c", lambda row: row.state is State.UP)
    told = json.loads(shop.cli("registry", "history", "--json").stdout)["versions"]
    assert told[0]["comment"].startswith("version 2 was undone: t:c")
    after = lives(shop)
    assert {name: after[name] for name in NAMES[:3]} == {name: before[name] for name in NAMES[:3]}
    # The bad file is not tried again; a better one is.
    assert shop.cli("reload").stdout.endswith("the files say nothing new\n")
    edit(shop, "user.py", "raise ValueError('bad day')", "print('better', flush=True)")
    wait_lines(shop, "t:c", "better")


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    path = disk / "filler"
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return path


@pytest.fixture
def tiny_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="w-"))
    with small_disk(folder, 4 * 2**20):
        yield folder
    folder.rmdir()


def test_a_full_disk_is_said_and_the_files_are_taken_over_when_there_is_room(
    node: Callable[..., RealNode], tiny_disk: Path
) -> None:
    options = ("--state-dir", str(tiny_disk / "s"))
    logs = Path(tempfile.mkdtemp(prefix="w-"))
    shop = node(FILES, arguments=(*options, "--log-dir", str(logs)))
    before = lives(shop)
    filler = fill(tiny_disk)
    big = "x" * 200_000
    edit(shop, "app.yaml", "text: hello", f"text: {big}")
    view = shop.wait_view(lambda view: bool(view.broken))
    assert any(word in view.broken for word in ("room", "space"))
    assert lives(shop) == before
    filler.unlink()
    wait_version(shop, 2)
    shop.wait_view(lambda view: not view.broken)
    assert lives(shop) == before
    assert shop.stop() == 0
    shutil.rmtree(logs, ignore_errors=True)
