"""A copy of the state of a stopped node."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.core.facts import Fact, FactKind
from supervisor.core.keeping import AppendHistory
from supervisor.io.state_copy import copy_stopped_state
from supervisor.io.state_lock import StateLock
from supervisor.io.state_reader import StateReader
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.store import Stamped
from wippy.errors import AlreadyExists, NotFound


def state_with(folder: Path, text: str) -> Path:
    """A state folder whose history has one fact."""
    fact = Fact(seq=1, at_s=1.0, kind=FactKind.ALARM, text=text)
    store = LmdbStore(folder, history_limit=100)
    store.apply([Stamped(b"0" * 16, AppendHistory("run", (fact,)), 1.0)])
    store.close()
    return folder


def texts(folder: Path) -> list[str]:
    reader = StateReader(folder)
    try:
        return [fact.text for fact in reader.history()]
    finally:
        reader.close()


def test_the_copy_is_a_state_folder_with_the_same_history(tmp_path: Path) -> None:
    source = state_with(tmp_path / "s", "before")
    size_bytes = copy_stopped_state(source, tmp_path / "b" / "c")
    assert texts(tmp_path / "b" / "c") == ["before"]
    assert size_bytes > 0
    assert (tmp_path / "b" / "c").stat().st_mode & 0o777 == 0o700
    assert [it.name for it in (tmp_path / "b").iterdir()] == ["c"]


def test_what_a_killed_copy_has_left_does_not_matter(tmp_path: Path) -> None:
    source = state_with(tmp_path / "s", "before")
    (tmp_path / "c.partial" / "state.lmdb").mkdir(parents=True)
    (tmp_path / "c.partial" / "state.lmdb" / "data.mdb").write_text("half")
    copy_stopped_state(source, tmp_path / "c")
    assert texts(tmp_path / "c") == ["before"]
    assert not (tmp_path / "c.partial").exists()


def test_a_target_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    source = state_with(tmp_path / "s", "before")
    (tmp_path / "c").mkdir()
    with pytest.raises(AlreadyExists, match="name a new folder"):
        copy_stopped_state(source, tmp_path / "c")
    assert not list((tmp_path / "c").iterdir())


def test_where_no_node_has_run_there_is_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no node has run with it"):
        copy_stopped_state(tmp_path / "s", tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_a_state_that_a_runtime_holds_is_not_touched(tmp_path: Path) -> None:
    source = state_with(tmp_path / "s", "before")
    lock = StateLock.acquire(source)
    try:
        with pytest.raises(AlreadyExists, match=f"pid {os.getpid()}"):
            copy_stopped_state(source, tmp_path / "c")
    finally:
        lock.release()
    assert not (tmp_path / "c").exists()
