"""Environments of LMDB: opening, growing, damage, formats, full disks, readers in other processes.

LMDB forbids two handles on one environment in one process, so readers beside a writer are
processes of their own here, as they are in life.
"""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from small_disks import small_disk

from supervisor.io.lmdb_env import FORMAT_KEY, META, Format, LmdbEnv
from supervisor.io.lmdb_reader import LmdbReader
from supervisor.io.lmdb_tx import Tx
from wippy.errors import Internal, Invalid, PermissionDenied, Unavailable

DEADLINE_S = 60.0
FORM = Format(name="test database", version=1, tables=("t", "u"))
SMALL_MAP_BYTES = 64 * 1024
READ = """
import sys
from pathlib import Path
from supervisor.io.lmdb_env import Format
from supervisor.io.lmdb_reader import LmdbReader
form = Format(name="test database", version=1, tables=("t", "u"))
reader = LmdbReader(Path(sys.argv[1]), form)
for line in sys.stdin:
    print(reader.read(lambda tx: tx.count("t"), missing=-1), flush=True)
"""
LINGER = """
import os, sys, lmdb
env = lmdb.open(sys.argv[1], readonly=True, max_dbs=8, max_readers=4096)
with env.begin() as txn:
    print(txn.id(), flush=True)
    sys.stdin.read()
"""


def open_env(folder: Path, form: Format = FORM, map_bytes: int = SMALL_MAP_BYTES) -> LmdbEnv:
    return LmdbEnv(folder, form, is_synced=False, map_bytes=map_bytes)


def start(code: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        text=True,
    )


def ask(reader: subprocess.Popen[str]) -> int:
    assert reader.stdin is not None
    assert reader.stdout is not None
    reader.stdin.write("\n")
    reader.stdin.flush()
    return int(reader.stdout.readline())


def put(env: LmdbEnv, key: bytes, value: bytes = b"v") -> None:
    env.write(lambda tx: tx.put("t", key, value))


def fill(env: LmdbEnv, count: int, size_bytes: int = 1000) -> None:
    for number in range(count):
        put(env, b"%06d" % number, b"x" * size_bytes)


def test_what_is_written_is_there_after_opening_again(tmp_path: Path) -> None:
    env = open_env(tmp_path / "e")
    put(env, b"k")
    env.close()
    env = open_env(tmp_path / "e")
    assert env.read(lambda tx: tx.get("t", b"k")) == b"v"
    env.close()


def test_folder_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    open_env(tmp_path / "e").close()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "e").iterdir()}
    assert modes == {"data.mdb": 0o600, "lock.mdb": 0o600}
    assert stat.S_IMODE((tmp_path / "e").stat().st_mode) == 0o700


def test_the_map_grows_by_itself_also_within_one_transaction(tmp_path: Path) -> None:
    env = open_env(tmp_path / "e")
    fill(env, 500)

    def work(tx: Tx) -> None:
        for number in range(500):
            tx.put("u", b"%06d" % number, b"x" * 2000)

    env.write(work)
    assert env.read(lambda tx: (tx.count("t"), tx.count("u"))) == (500, 500)
    env.close()


def test_a_reader_in_another_process_survives_the_growth(tmp_path: Path) -> None:
    env = open_env(tmp_path / "e")
    reader = start(READ, tmp_path / "e")
    assert ask(reader) == 0
    fill(env, 500)
    assert ask(reader) == 500
    fill(env, 2000)
    assert ask(reader) == 2000
    reader.communicate(timeout=DEADLINE_S)
    env.close()


def test_a_reader_without_an_environment_answers_empty_until_there_is_one(tmp_path: Path) -> None:
    reader = start(READ, tmp_path / "e")
    assert ask(reader) == -1
    (tmp_path / "e").mkdir()
    assert ask(reader) == -1
    (tmp_path / "e" / "data.mdb").touch()  # its writer is about to make it
    assert ask(reader) == -1
    (tmp_path / "e" / "data.mdb").unlink()
    env = open_env(tmp_path / "e")
    put(env, b"k")
    assert ask(reader) == 1
    reader.communicate(timeout=DEADLINE_S)
    env.close()


def test_the_slots_of_killed_readers_are_freed(tmp_path: Path) -> None:
    env = open_env(tmp_path / "e")
    put(env, b"k")
    reader = start(LINGER, tmp_path / "e")
    assert reader.stdout is not None
    reader.stdout.readline()
    assert env.clear_stale_readers() == 0
    reader.kill()
    reader.communicate(timeout=DEADLINE_S)
    assert env.clear_stale_readers() == 1
    env.close()


def test_work_that_raises_leaves_nothing(tmp_path: Path) -> None:
    env = open_env(tmp_path / "e")

    def work(tx: Tx) -> None:
        tx.put("t", b"k", b"v")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        env.write(work)
    assert env.read(lambda tx: tx.count("t")) == 0
    put(env, b"k")
    env.close()


def test_tables_are_scanned_by_prefix_in_both_directions(tmp_path: Path) -> None:
    env = open_env(tmp_path / "e")
    for key in (b"a1", b"a2", b"b1", b"\xff1", b"\xff2"):
        put(env, key)

    def keys(prefix: bytes) -> tuple[list[bytes], list[bytes]]:
        return env.read(
            lambda tx: (
                [key for key, _ in tx.scan("t", prefix)],
                [key for key, _ in tx.scan_back("t", prefix)],
            )
        )

    for prefix in (b"", b"a", b"b", b"c", b"\xff", b"0", b"a2"):
        expected = [k for k in (b"a1", b"a2", b"b1", b"\xff1", b"\xff2") if k.startswith(prefix)]
        assert keys(prefix) == (expected, expected[::-1])
    assert env.read(lambda tx: [k for k, _ in tx.scan("t", b"a", start=b"a2")]) == [b"a2"]
    assert env.read(lambda tx: (tx.first_key("t"), tx.last_key("t"))) == (b"a1", b"\xff2")
    assert env.read(lambda tx: (tx.first_key("u"), tx.last_key("u"))) == (None, None)
    env.close()


# --- formats -------------------------------------------------------------------------------------


def test_a_newer_format_is_refused_untouched_with_both_versions(tmp_path: Path) -> None:
    newer = Format(name="test database", version=3, tables=("t", "other"))
    open_env(tmp_path / "e", newer).close()
    before = (tmp_path / "e" / "data.mdb").read_bytes()
    with pytest.raises(Invalid, match=r"has format 3, this .* up to 1; install a newer"):
        open_env(tmp_path / "e")
    assert (tmp_path / "e" / "data.mdb").read_bytes() == before
    with pytest.raises(Invalid, match="has format 3"):
        LmdbReader(tmp_path / "e", FORM).read(lambda tx: tx.count("t"), missing=0)


def _double(tx: Tx) -> None:
    for key, value in list(tx.scan("t")):
        tx.put("t", key, value * 2)


def _move(tx: Tx) -> None:
    for key, value in list(tx.scan("t")):
        tx.put("new", key, value)
    tx.clear("t")


def test_an_older_format_is_migrated_step_by_step(tmp_path: Path) -> None:
    env = open_env(tmp_path / "e")
    put(env, b"k", b"v")
    env.close()
    third = Format(
        name="test database", version=3, tables=("t", "u", "new"), migrations={1: _double, 2: _move}
    )
    env = open_env(tmp_path / "e", third)
    assert env.read(lambda tx: (tx.get("new", b"k"), tx.count("t"))) == (b"vv", 0)
    assert env.read(lambda tx: tx.get(META, FORMAT_KEY)) == b"3"
    env.close()


def test_a_failed_migration_leaves_the_older_format_as_it_was(tmp_path: Path) -> None:
    env = open_env(tmp_path / "e")
    put(env, b"k", b"v")
    env.close()

    def fail(tx: Tx) -> None:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        open_env(tmp_path / "e", Format("d", 3, ("t", "u"), {1: _double, 2: fail}))
    env = open_env(tmp_path / "e")
    assert env.read(lambda tx: tx.get("t", b"k")) == b"v"
    env.close()


def test_a_reader_waits_for_the_migration_of_its_writer(tmp_path: Path) -> None:
    open_env(tmp_path / "e").close()
    second = Format("d", 2, ("t", "u"), {1: _double})
    assert LmdbReader(tmp_path / "e", second).read(lambda tx: tx.count("t"), missing=-1) == -1


def test_a_missing_migration_is_a_bug_of_ours(tmp_path: Path) -> None:
    open_env(tmp_path / "e").close()
    with pytest.raises(Internal, match="no migration from format 1 to 2"):
        open_env(tmp_path / "e", Format("d", 2, ("t",)))


def test_another_programs_database_is_not_taken_over(tmp_path: Path) -> None:
    import lmdb

    (tmp_path / "e").mkdir()
    with lmdb.open(str(tmp_path / "e")) as env, env.begin(write=True) as txn:
        txn.put(b"theirs", b"1")
    with pytest.raises(Invalid, match="none of ours"):
        open_env(tmp_path / "e")


# --- damage --------------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    env = open_env(tmp_path / "e")
    fill(env, 500)
    env.close()
    return tmp_path / "e"


@pytest.mark.parametrize("content", [b"garbage" * 5000, b"", os.urandom(8192), b"short"])
def test_a_file_that_is_no_database_is_damaged(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "e"
    folder.mkdir()
    (folder / "data.mdb").write_bytes(content)
    if not content:
        open_env(folder).close()  # an empty file is a new database
        return
    with pytest.raises(Invalid, match=r"is damaged .* backup"):
        open_env(folder)
    with pytest.raises(Invalid, match="is damaged"):
        LmdbReader(folder, FORM).read(lambda tx: tx.count("t"), missing=0)


@pytest.mark.parametrize("kept", [0.95, 0.5, 0.1])
def test_a_file_that_lost_its_end_is_refused_by_writer_and_reader(
    filled: Path, kept: float
) -> None:
    data = filled / "data.mdb"
    os.truncate(data, int(data.stat().st_size * kept))
    with pytest.raises(Invalid, match=r"is damaged \(\d+ bytes where its own table says \d+\)"):
        open_env(filled)
    with pytest.raises(Invalid, match="is damaged"):
        LmdbReader(filled, FORM).read(lambda tx: tx.count("t"), missing=0)


def test_a_file_that_lacks_only_free_pages_is_whole(filled: Path) -> None:
    env = open_env(filled)
    env.write(lambda tx: tx.clear("t"))
    put(env, b"k")
    put(env, b"k")
    env.close()
    data = filled / "data.mdb"
    os.truncate(data, data.stat().st_size - 4096)
    env = open_env(filled)
    assert env.read(lambda tx: tx.count("t")) == 1
    env.close()


def test_a_file_in_the_place_of_the_folder_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "e").write_text("")
    with pytest.raises(Invalid, match="is no folder"):
        open_env(tmp_path / "e")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written_is_permission_denied(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionDenied, match="check its owner"):
        open_env(tmp_path / "e")


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can give a folder away")
def test_another_users_folder_is_refused_even_by_the_superuser(tmp_path: Path) -> None:
    open_env(tmp_path / "e").close()
    os.chown(tmp_path / "e", 4711, 4711)
    with pytest.raises(PermissionDenied, match="belongs to uid 4711, this runtime runs as uid 0"):
        open_env(tmp_path / "e")


# --- full disks ----------------------------------------------------------------------------------


def test_no_room_is_unavailable_and_the_environment_stays_usable(tmp_path: Path) -> None:
    env = open_env(tmp_path / "e", map_bytes=2**24)
    put(env, b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size_bytes = (tmp_path / "e" / "data.mdb").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))  # Python ignores SIGXFSZ
    try:
        with pytest.raises(Unavailable, match=r"no room on the disk for .*/e .* free"):
            put(env, b"large", b"x" * 2**20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert env.read(lambda tx: (tx.count("t"), tx.get("t", b"before"))) == (1, b"v")
    put(env, b"large", b"x" * 2**20)
    assert env.read(lambda tx: tx.count("t")) == 2
    env.close()


def test_a_really_full_disk_is_unavailable_until_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path, 2**20):
        env = open_env(tmp_path / "e", map_bytes=2**24)
        with pytest.raises(Unavailable, match="no room on the disk"):
            fill(env, 2000)
        count = env.read(lambda tx: tx.count("t"))
        assert count > 100
        env.write(lambda tx: tx.delete("t", b"000001"))
        put(env, b"000001")
        assert env.read(lambda tx: tx.count("t")) == count
        env.close()


def test_a_copy_is_whole_and_opens(filled: Path, tmp_path: Path) -> None:
    env = open_env(filled)
    (tmp_path / "copy").mkdir()
    assert env.copy(tmp_path / "copy") > 500_000
    env.close()
    env = open_env(tmp_path / "copy")
    assert env.read(lambda tx: tx.count("t")) == 500
    env.close()
