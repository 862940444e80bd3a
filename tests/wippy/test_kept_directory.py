"""The directory of a process that gives up its rights: opened before, read without a lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lmdb
import pytest

from wippy.core.directory import RUN_FOLDER, TABLE, HostAddress, encode_row, host_key
from wippy.errors import Unavailable
from wippy.runtime import directory
from wippy.runtime.directory import Directory

WORKERS = 200
WRITER = f"""
import itertools, sys, lmdb
from wippy.core.directory import HostAddress, encode_row, host_key
env = lmdb.open(sys.argv[1], max_dbs=64, sync=False)
table = env.open_db({TABLE!r}.encode())
for number in itertools.count():
    with env.begin(write=True, db=table) as txn:
        for name in ("app:a", "app:b", "app:c"):
            row = HostAddress(tuple((name, number, number) for _ in range({WORKERS})))
            txn.put(host_key(name), encode_row(row))
    if number == 3:
        print("written", flush=True)
"""


class Written:
    """An environment that is written to while it is looked at."""

    def __init__(self) -> None:
        self.version = 7

    def info(self) -> dict[str, int]:
        return {"last_txnid": self.version}


def look_while(env: Written, writes: list[int], error: Exception | None = None) -> Any:
    """Look at `env` while each look lets so many versions be written."""
    looks: list[int] = []

    def look(_opened: object) -> int:
        env.version += writes[min(len(looks), len(writes) - 1)]
        looks.append(env.version)
        if error is not None and len(looks) == 1:
            raise error
        return env.version

    return directory._look_unlocked((env, None), look), len(looks)  # type: ignore[arg-type]


def test_a_look_during_which_two_versions_were_written_is_repeated() -> None:
    assert look_while(Written(), [0]) == (7, 1)
    assert look_while(Written(), [1]) == (8, 1)
    assert look_while(Written(), [2, 0]) == (9, 2)
    assert look_while(Written(), [5, 2, 3, 1]) == (18, 4)


def test_an_error_of_a_look_counts_only_if_nothing_was_written_meanwhile() -> None:
    torn = lmdb.CorruptedError("torn")
    assert look_while(Written(), [2, 0], torn) == (9, 2)
    with pytest.raises(lmdb.CorruptedError):
        look_while(Written(), [0], torn)


def test_a_directory_that_never_stands_still_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="100 looks"):
        look_while(Written(), [2])


def test_what_is_read_beside_a_writer_that_never_stops_is_never_torn(short_dir: Path) -> None:
    folder = short_dir / RUN_FOLDER
    folder.mkdir()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        kept, seen = Directory(str(short_dir), is_kept=True), set()
        for turn in range(3000):
            name = "app:" + "abc"[turn % 3]
            host = kept.host(name)
            assert host is not None
            assert len(host.workers) == WORKERS
            assert len(set(host.workers)) == 1
            assert host.workers[0][0] == name
            seen.add(host.workers[0][1])
        assert len(seen) > 1
        kept.close()
    finally:
        writer.kill()
        writer.communicate()


def test_it_holds_no_file_of_locks_and_needs_no_folder_any_more(short_dir: Path) -> None:
    run = short_dir / "r"
    (run / RUN_FOLDER).mkdir(parents=True)
    row = encode_row(HostAddress((("app:a", 1, 0),)))
    with lmdb.open(str(run / RUN_FOLDER), max_dbs=64) as env:
        table = env.open_db(TABLE.encode())
        with env.begin(write=True, db=table) as txn:
            txn.put(host_key("app:a"), row)
    kept, late = Directory(str(run), is_kept=True), Directory(str(run))
    run.rename(short_dir / "moved")
    opened = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    ours = [Path(path).name for path in opened if path.startswith(str(short_dir))]
    assert set(ours) == {"data.mdb"}
    assert kept.host("app:a") == HostAddress((("app:a", 1, 0),))
    assert late.host("app:a") is None
    kept.close()
