"""The state folder under kills and full disks: history is complete, and nobody stops for it."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from real_node import RealNode
from shops import files, service
from small_disks import small_disk

from supervisor.core.facts import Fact, FactKind
from supervisor.core.requests import Facts, History
from supervisor.core.view import State

pytestmark = pytest.mark.system

ROUNDS = 6
MANY = "intensity: {max_restarts: 1000, within: 1s}"


def history(shop: RealNode, id_: str) -> list[Fact]:
    answer = shop.ask(History(id_, limit=10_000))
    assert isinstance(answer, Facts)
    return list(answer.facts)


def kill(shop: RealNode, id_: str, generation: int) -> None:
    row = shop.wait_row(id_, lambda row: row.generation == generation and row.state is State.UP)
    with contextlib.suppress(ProcessLookupError):
        os.kill(row.os_pid, signal.SIGKILL)


def test_history_is_complete_however_often_the_keeper_is_killed(
    node: Callable[..., RealNode],
) -> None:
    """A child and the keeper are killed in turn, the keeper while it has just been told; what is
    in the history afterwards, and after a restart of the runtime, is every life, once."""
    at_once = "{backoff: {initial_delay: 0s}}"
    shop = node(files([service("a", lifecycle=at_once), service("b", lifecycle=at_once)], MANY))
    for generation in range(1, ROUNDS + 1):
        kill(shop, "t:a", generation)
        os.kill(shop.pid("t:b"), signal.SIGKILL)
        kill(shop, "wippy:keeper", generation)
    for id_ in ("t:a", "t:b", "wippy:keeper"):
        shop.wait_row(id_, lambda row: row.generation == ROUNDS + 1 and row.state is State.UP)
    told = {id_: told_of(shop, id_) for id_ in ("t:a", "t:b", "wippy:keeper")}
    assert shop.stop() == 0
    shop.forget_client()
    shop.start()
    for id_, before in told.items():
        stored = history(shop, id_)
        assert [(f.seq, f.at_s) for f in stored][: len(before)] == before
        exits = Counter(fact.generation for fact in stored if fact.kind is FactKind.EXITED)
        # Its own end in a stop of the node is the one thing that the keeper cannot write down.
        lives = ROUNDS if id_ == "wippy:keeper" else ROUNDS + 1
        assert exits == Counter(range(1, lives + 1)), id_


def told_of(shop: RealNode, id_: str) -> list[tuple[int, float]]:
    found = [(fact.seq, fact.at_s) for fact in history(shop, id_)]
    assert len(found) == len(set(found))
    assert found == sorted(found)
    return found


@pytest.fixture
def tiny_disk() -> Iterator[Path]:
    """A filesystem of 2 MiB."""
    folder = Path(tempfile.mkdtemp(prefix="w-", dir="/tmp"))
    try:
        with small_disk(folder, 2 * 2**20):
            yield folder
    finally:
        folder.rmdir()


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    path = disk / "filler"
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return path


def test_a_full_state_disk_is_an_alarm_and_nothing_else_and_heals(
    node: Callable[..., RealNode], tiny_disk: Path, short_dir: Path
) -> None:
    state = tiny_disk / "state"
    at_once = "{backoff: {initial_delay: 0s}}"
    shop = node(
        files(
            [service("a", lifecycle=at_once)],
            f'{MANY}, state_dir: "{state}", log_dir: "{short_dir}"',
        )
    )
    kill(shop, "t:a", 1)
    shop.wait_row("t:a", lambda row: row.generation == 2 and row.state is State.UP)
    filler = fill(tiny_disk)
    generation = 2
    while not any("room" in alarm or "space" in alarm for alarm in shop.view().alarms):
        assert generation < 2000, "the disk never became full"
        kill(shop, "t:a", generation)
        generation += 1
    row = shop.wait_row("t:a", lambda row, g=generation: row.generation == g)
    shop.wait_row("t:a", lambda row: row.state is State.UP)
    assert any(word in shop.cli("status").stdout for word in ("room", "space"))
    assert shop.row("wippy:keeper").generation == 1
    filler.unlink()
    kill(shop, "t:a", row.generation)
    shop.wait_row("t:a", lambda row, g=generation + 1: row.generation == g)
    assert shop.stop() == 0
    shop.forget_client()
    shop.start()
    exits = [fact.generation for fact in history(shop, "t:a") if fact.kind is FactKind.EXITED]
    assert exits == list(range(1, generation + 2))
