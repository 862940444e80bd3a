"""The process table: what a killed root leaves for the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from supervisor.io.process_table import NodeRow, ProcessRow, ProcessTable
from wippy.errors import Invalid

DEADLINE_S = 60.0
BOOT = "b0071d"
WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from supervisor.io.process_table import ProcessRow, ProcessTable
table = ProcessTable(Path(sys.argv[1]), "b0071d")
table.note_root_start(5.0)
for number in range(1, int(sys.argv[2]) + 1):
    table.put(ProcessRow(child_id=f"app:w{number % 50}", generation=number, boot_id="b0071d",
                         pid=number, start_ticks=number))
    os.write(1, b"%d\\n" % number)
os.kill(os.getpid(), signal.SIGKILL)
"""


def row(child_id: str = "app:w", generation: int = 1) -> ProcessRow:
    return ProcessRow(
        child_id=child_id,
        generation=generation,
        boot_id=BOOT,
        pid=4711,
        start_ticks=99,
        kind="process.service",
        endpoint="ipc:///r/w.1",
        stop_signal=2,
        started_at_s=1000.5,
        is_foreign=True,
    )


def test_rows_are_kept_over_a_reopening_with_every_field(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path, BOOT)
    table.put(row())
    table.put(row(generation=2))
    table.put(row("app:w#1"))
    table.delete("app:w", 1)
    table.delete("app:unknown", 1)
    table.close()
    table = ProcessTable(tmp_path, BOOT)
    assert table.rows() == [row(generation=2), row("app:w#1")]
    assert table.lost == ""
    table.close()


def test_generations_only_grow_and_outlive_their_rows(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path, BOOT)
    table.put(row(generation=3))
    table.put(row(generation=2))
    table.delete("app:w", 3)
    table.note_generation("app:pooled", 7)
    assert table.generations() == {"app:w": 3, "app:pooled": 7}
    table.close()


def test_counters_and_holds_are_kept_for_the_next_root(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path, BOOT)
    assert table.node() == NodeRow()
    assert table.note_root_start(10.0) == NodeRow(root_starts=1, started_at_s=10.0)
    table.note_restart()
    table.set_held({"app:b", "app:a"})
    table.close()
    table = ProcessTable(tmp_path, BOOT)
    assert table.note_root_start(20.0) == NodeRow(
        root_starts=2, started_at_s=10.0, restarts=1, held=("app:a", "app:b")
    )
    table.close()


def test_a_node_begun_anew_forgets_counters_and_holds_but_no_process(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path, BOOT)
    table.note_root_start(10.0)
    table.set_held({"app:a"})
    table.put(row(generation=5))
    table.forget_node()
    assert table.node() == NodeRow()
    assert table.rows() == [row(generation=5)]
    assert table.generations() == {"app:w": 5}
    table.close()


@pytest.mark.parametrize("count", [1, 500])
def test_a_killed_root_loses_no_row_it_has_put(tmp_path: Path, count: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITE_AND_DIE, str(tmp_path), str(count)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == -signal.SIGKILL
    table = ProcessTable(tmp_path, BOOT)
    assert sorted(r.generation for r in table.rows()) == list(range(1, count + 1))
    assert table.node().root_starts == 1
    assert table.lost == ""
    table.close()


def test_a_root_killed_at_a_random_moment_leaves_a_table_that_opens(tmp_path: Path) -> None:
    for attempt in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_AND_DIE, str(tmp_path), "1000000"],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
        )
        assert writer.stdout is not None
        for _ in range(100 * (attempt + 1)):
            writer.stdout.readline()
        writer.kill()
        acknowledged = writer.stdout.read().split()
        writer.communicate(timeout=DEADLINE_S)
        table = ProcessTable(tmp_path, BOOT)
        found = {r.generation for r in table.rows()}
        assert found >= set(range(1, int(acknowledged[-1] if acknowledged else 0)))
        assert table.lost == ""
        table.close()


def test_the_table_of_another_boot_is_thrown_away(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path, BOOT)
    table.put(row())
    table.close()
    table = ProcessTable(tmp_path, "another")
    assert (table.rows(), table.generations(), table.lost) == ([], {}, "")
    table.close()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "row", "died", "file", "newer"])
def test_a_damaged_table_is_put_aside_and_a_new_one_begun(tmp_path: Path, damage: str) -> None:
    table = ProcessTable(tmp_path, BOOT)
    for number in range(1, 300):
        table.put(row(generation=number))
    folder = tmp_path / "run.lmdb"
    match damage:
        case "row":
            table._env.write(lambda tx: tx.put("processes", b"bad", b"\xc1"))
        case "newer":
            table._env.write(lambda tx: tx.put("meta", b"format", b"99"))
    table.close()
    match damage:
        case "garbage":
            (folder / "data.mdb").write_bytes(b"\xff" * 100_000)
        case "truncated":
            os.truncate(folder / "data.mdb", 3 * 4096)
        case "died":
            (folder / "opening").touch()
        case "file":
            folder.rename(tmp_path / "x")
            folder.write_text("")
    table = ProcessTable(tmp_path, BOOT)
    assert table.rows() == []
    assert "a new one was begun" in table.lost
    assert (tmp_path / "run.lmdb.damaged").exists()
    table.put(row())
    table.close()
    table = ProcessTable(tmp_path, BOOT)
    assert (table.rows(), table.lost) == ([row()], "")
    table.close()


def test_fields_of_a_newer_row_are_accepted(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path, BOOT)
    newer = {**msgspec.to_builtins(row()), "future": 1}
    table._env.write(lambda tx: tx.put("processes", b"x", msgspec.msgpack.encode(newer)))
    assert table.rows() == [row()]
    table.close()


def test_a_run_folder_that_is_a_file_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("")
    with pytest.raises(Invalid, match="is no folder"):
        ProcessTable(tmp_path / "r", BOOT)
