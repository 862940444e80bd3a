"""What goes wrong on the disk under a running node concerns whom it concerns, and heals."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from real_node import RealNode
from shops import ACTORS, entry, files, service

from supervisor.core.view import State
from wippy.core.reasons import StartFailed

pytestmark = pytest.mark.system

PATIENT = "{backoff: {initial_delay: 50ms, max_delay: 100ms}}"
MANY = "intensity: {max_restarts: 100000, within: 1s}"


def two_of_a_kind(host: str = "") -> dict[str, str]:
    """Return two children, each with a source file of its own."""
    where = {"host": host} if host else {}
    entries = [entry("pool", kind="process.host", workers=1)] if host else []
    for name in ("a", "b"):
        code = entry(
            f"{name}.code", kind="process.py", source=f'"file://{name}.py"', method="ender"
        )
        entries.append(code)
        entries.append(
            entry(
                name,
                kind="process.service",
                process=f"{name}.code",
                input="[return]",
                lifecycle=PATIENT,
                **where,
            )
        )
    return files(entries, MANY) | {"a.py": ACTORS + FRAGILE, "b.py": ACTORS}


FRAGILE = """
if os.path.exists(FOLDER + "/raises"):
    raise OSError("no entry")
if os.path.exists(FOLDER + "/hides"):
    async def enders(how): pass
    del ender
"""
"""At the end of a source: what was right when it was loaded fails at a start."""


@pytest.mark.parametrize("fault", ["deleted", "broken"])
def test_what_becomes_of_a_source_file_does_not_concern_the_running_node(
    node: Callable[..., RealNode], fault: str
) -> None:
    """Its text was loaded with the configuration: a restart runs that."""
    shop = node(two_of_a_kind())
    if fault == "deleted":
        (shop.config / "a.py").unlink()
    else:
        shop.write({"a.py": "async def ender(:\n"})
    os.kill(shop.pid("t:a"), signal.SIGKILL)
    row = shop.wait_row("t:a", lambda row: row.generation >= 2 and row.state is State.UP)
    assert row.generation == 2


@pytest.mark.parametrize("host", ["", "pool"])
@pytest.mark.parametrize("fault", ["hides", "raises"])
def test_source_that_fails_when_loaded_fails_its_own_starts_and_heals_when_put_right(
    node: Callable[..., RealNode], fault: str, host: str
) -> None:
    shop = node(two_of_a_kind(host))
    before = shop.row("t:b")
    said = {
        "hides": "did you mean 'enders'?",
        "raises": "raised OSError when loaded: no entry",
    }[fault]
    (shop.folder / fault).touch()
    if host:  # of two actors in one process, a signal may end either
        assert shop.cli("restart", "t:a", "--yes").returncode == 1
    else:
        os.kill(shop.pid("t:a"), signal.SIGUSR1)
    row = shop.wait_row("t:a", lambda row: isinstance(row.last_exit, StartFailed))
    assert isinstance(row.last_exit, StartFailed)
    assert said in row.last_exit.detail
    assert "a.py" in row.last_exit.detail
    assert said in " ".join(shop.cli("why", "t:a").stdout.split())
    assert shop.view().root_starts == 1
    (shop.folder / fault).unlink()
    shop.wait_row("t:a", lambda row: row.state is State.UP)
    after = shop.row("t:b")
    assert (after.generation, after.os_pid) == (before.generation, before.os_pid)


def test_a_run_folder_deleted_under_a_running_node_leaves_its_children_alone(
    node: Callable[..., RealNode],
) -> None:
    """Its socket is gone for newcomers; who is connected goes on, and SIGTERM still ends all."""
    shop = node(files([service("a")]))
    pid = shop.pid("t:a")
    shutil.rmtree(shop.run_dir)
    row = shop.row("t:a")
    assert (row.os_pid, row.state) == (pid, State.UP)
    assert shop.cli("status").returncode == 4
    assert shop.process is not None
    shop.process.send_signal(signal.SIGTERM)
    assert shop.wait_end() == 0


def test_a_run_folder_that_others_can_open_is_refused(
    node: Callable[..., RealNode], short_dir: Path
) -> None:
    shop = node(files([service("a")]))
    open_to_all = short_dir / "r"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    link = short_dir / "link"
    link.symlink_to(open_to_all)
    cases = {
        open_to_all: "open to others",
        link: "",
        short_dir / ("x" * 100): "too long for a socket",
    }
    state = str(short_dir / "state")
    for run_dir, said in cases.items():
        done = shop.cli(
            "start", str(shop.config), "--no-tui", "--run-dir", str(run_dir), "--state-dir", state
        )
        assert done.returncode in (1, 78), run_dir
        assert "run" in done.stderr
        assert said in done.stderr
    if os.getuid() == 0:
        strange = short_dir / "s"
        strange.mkdir(mode=0o700)
        os.chown(strange, 65534, 65534)
        done = shop.cli(
            "start", str(shop.config), "--no-tui", "--run-dir", str(strange), "--state-dir", state
        )
        assert done.returncode == 1
        assert "belongs to uid 65534" in done.stderr
    assert sorted(it.name for it in open_to_all.iterdir()) == []
    assert shop.cli("status").returncode == 0


def test_a_log_folder_that_is_taken_away_stops_nobody(node: Callable[..., RealNode]) -> None:
    shop = node(files([service("a", lifecycle=PATIENT)], MANY))
    shutil.rmtree(Path(shop.row("t:a").log_path).parent)
    row = shop.row("t:a")
    assert row.state is State.UP
    os.kill(row.os_pid, signal.SIGKILL)
    shop.wait_row("t:a", lambda row: row.generation >= 2)
    Path(row.log_path).parent.mkdir(exist_ok=True)
    shop.wait_row("t:a", lambda row: row.state is State.UP)
