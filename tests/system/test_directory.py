"""Who is found, who has which name, and who is told of whose end; with real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from real_node import RealNode
from talkers import Talker, files, service

from supervisor.core.view import State
from wippy.core.messages import (
    Code,
    EndProcess,
    Gone,
    NameFreed,
    NameTaken,
    RegisterName,
    SpawnProcess,
    UnregisterName,
    Unwatch,
    WantCode,
    WatchProcess,
)
from wippy.core.reasons import Error, Killed, Shutdown, Signal, StartFailed

pytestmark = pytest.mark.system

Talk = Callable[..., Talker]


@pytest.fixture
def talk() -> Iterator[Talk]:
    """Connect to a talker: `talk(shop, "t:a")`; all are let go at the end."""
    talkers: list[Talker] = []

    def connect(shop: RealNode, slot: str, generation: int = 1) -> Talker:
        talkers.append(Talker(shop, slot, generation))
        return talkers[-1]

    yield connect
    for it in talkers:
        it.close()


def is_up(generation: int) -> Callable[..., bool]:
    return lambda row: row.state is State.UP and row.generation == generation


def fence(talker: Talker) -> dict[str, object]:
    """Return the directory after everything that was said before has been taken in."""
    talker.say(WantCode("t:worker"))
    talker.hear(Code)
    return talker.rows


def with_pool(*services: str, workers: int = 1) -> dict[str, str]:
    """A configuration of the actor `a`, a pool, and these services in the pool."""
    pool = f"  - {{name: pool, kind: process.host, workers: {workers}}}"
    inside = (service(name, "worker", ", host: pool") for name in services)
    return files(service("a"), pool, *inside)


# --- services and pools --------------------------------------------------------------------------


def test_services_and_the_workers_of_a_pool_are_found_when_all_is_up(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(with_pool("p", workers=2))
    rows = fence(talk(shop, "t:a"))
    assert rows["t:a"] == {"pid": f"{shop.name}/t:a.1/0", "generation": 1}
    assert sorted(slot for slot, *_ in rows["host:t:pool"]["workers"]) == ["t:pool#1", "t:pool#2"]  # type: ignore[index]
    assert rows["t:p"]["pid"].startswith(f"{shop.name}/t:pool#")  # type: ignore[index]
    assert set(rows) == {"t:a", "t:p", "host:t:pool"}


def test_a_restarted_service_is_found_as_its_new_generation(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(files(service("a"), service("b", "worker")))
    a = talk(shop, "t:a")
    os.kill(shop.pid("t:b"), signal.SIGKILL)
    shop.wait_row("t:b", is_up(2))
    assert fence(a)["t:b"] == {"pid": f"{shop.name}/t:b.2/0", "generation": 2}


def test_a_new_root_begins_with_an_empty_directory(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(files(service("a"), service("b", "worker")))
    a = talk(shop, "t:a")
    a.say(RegisterName("mine", a.pid))
    assert "name:mine" in fence(a)
    root = shop.view().root_pid
    os.kill(root, signal.SIGKILL)
    shop.wait_view(lambda view: view.root_pid != root and view.state == "running")
    rows = fence(talk(shop, "t:a", 2))
    assert {key: row["generation"] for key, row in rows.items()} == {"t:a": 2, "t:b": 2}  # type: ignore[index]


# --- ends ----------------------------------------------------------------------------------------


def test_who_watches_is_told_once_after_the_directory_has_forgotten_the_dead(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(files(service("a"), service("b", "worker")))
    a = talk(shop, "t:a")
    a.say(WatchProcess("t:b", 1), WatchProcess("t:b", 1))
    a.say(RegisterName("its", f"{shop.name}/t:b.1/0"))
    assert "name:its" in fence(a)
    for generation in (1, 2, 3):
        os.kill(shop.pid("t:b"), signal.SIGKILL)
        if generation == 1:
            assert a.hear(Gone) == Gone("t:b", 1, Signal(9))
            assert a.rows.get("t:b", {"generation": 2})["generation"] == 2
            assert "name:its" not in a.rows
        shop.wait_row("t:b", is_up(generation + 1))
    fence(a)  # nothing else was said in between


def test_a_stop_is_told_with_the_reason_that_the_supervisor_gives(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(
        files(
            service("a"),
            service("b", "worker"),
            service("c", "stubborn", ", lifecycle: {stop_timeout: 100ms}"),
        )
    )
    a = talk(shop, "t:a")
    a.say(WatchProcess("t:b", 1), WatchProcess("t:c", 1))
    fence(a)
    assert shop.cli("stop", "t:b", "--yes").returncode == 0
    assert a.hear(Gone) == Gone("t:b", 1, Shutdown())
    assert "t:b" not in a.rows
    assert shop.cli("stop", "t:c", "--yes").returncode == 0
    assert a.hear(Gone) == Gone("t:c", 1, Killed())


@pytest.mark.parametrize(
    ("slot", "generation"),
    [
        ("t:never", 1),
        ("t:b", 2),
        ("t:b", 0),
        ("t:worker~aaaaaaaa", 1),
        ("t:p", 1),
        ("wippy:root", 1),
    ],
)
def test_a_watch_of_what_is_not_there_is_answered(
    node: Callable[..., RealNode], talk: Talk, slot: str, generation: int
) -> None:
    shop = node(
        files(
            service("a"),
            service("b", "worker"),
            "  - {name: pool, kind: process.host}",
            service("p", "worker", ", host: pool"),
        )
    )
    a = talk(shop, "t:a")
    a.say(WatchProcess(slot, generation))
    gone = a.hear(Gone)
    assert (gone.slot, gone.generation, gone.noproc) == (slot, generation, True)


def test_a_worker_is_watched_and_takes_the_rows_of_its_actors_with_it(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(with_pool("p0", "p1", "p2"))
    a = talk(shop, "t:a")
    fence(a)
    pid = a.rows["t:p1"]["pid"]
    a.say(WatchProcess("t:pool#1", 1), RegisterName("mine", pid))
    assert fence(a)["name:mine"] == {"pid": pid, "generation": 1}
    os.kill(shop.pid("t:pool#1"), signal.SIGKILL)
    assert a.hear(Gone) == Gone("t:pool#1", 1, Signal(9))
    assert "name:mine" not in a.rows
    assert not [row for row in a.rows.values() if "/t:pool#1.1/" in str(row)]
    for number in range(3):
        shop.wait_row(f"t:p{number}", is_up(2))
    assert "/t:pool#1.2/" in fence(a)["t:p1"]["pid"]  # type: ignore[index]


def test_an_actor_of_a_pool_that_is_stopped_is_not_found_and_has_no_names(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(with_pool("p", "q"))
    a = talk(shop, "t:a")
    fence(a)
    a.say(RegisterName("p", a.rows["t:p"]["pid"]), RegisterName("q", a.rows["t:q"]["pid"]))
    assert shop.cli("stop", "t:p", "--yes").returncode == 0
    rows = fence(a)
    assert {"t:q", "name:q"} <= set(rows)
    assert not {"t:p", "name:p"} & set(rows)


def test_who_unwatches_is_not_told(node: Callable[..., RealNode], talk: Talk) -> None:
    shop = node(files(service("a"), service("b", "worker")))
    a = talk(shop, "t:a")
    a.say(WatchProcess("t:b", 1), Unwatch("t:b", 1), Unwatch("t:never", 7))
    fence(a)
    os.kill(shop.pid("t:b"), signal.SIGKILL)
    shop.wait_row("t:b", is_up(2))
    fence(a)


# --- names ---------------------------------------------------------------------------------------


def test_of_many_who_want_the_same_names_each_name_has_one_and_all_others_learn_whose_it_is(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    count = 200
    shop = node(files(*(service(name) for name in "abcd")))
    talkers = [talk(shop, f"t:{name}") for name in "abcd"]
    for it in talkers:
        it.say(*(RegisterName(f"n{number}", it.pid) for number in range(count)))
    lost = []
    for it in talkers:
        it.say(WantCode("t:worker"))
        while isinstance(frame := it.hear(object), NameTaken):
            lost.append((frame.name, it.pid, frame.pid))
    rows = fence(talkers[0])
    holders = {f"n{number}": rows[f"name:n{number}"]["pid"] for number in range(count)}  # type: ignore[index]
    assert len(lost) == count * (len(talkers) - 1)
    for name, loser, holder in lost:
        assert holder == holders[name] != loser


def test_a_name_of_a_killed_process_is_free_and_nothing_late_takes_it_from_its_new_holder(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(files(service("a"), service("b")))
    a, old = talk(shop, "t:a"), talk(shop, "t:b")
    old.say(RegisterName("x", old.pid))
    fence(old)
    a.say(WatchProcess("t:b", 1), RegisterName("x", a.pid))
    assert a.hear(NameTaken) == NameTaken("x", old.pid)
    os.kill(shop.pid("t:b"), signal.SIGKILL)
    a.hear(Gone)
    assert "name:x" not in a.rows
    a.say(RegisterName("x", a.pid), UnregisterName("x", old.pid))
    assert a.hear(NameFreed) == NameFreed("x", old.pid)
    assert a.rows["name:x"]["pid"] == a.pid
    a.say(RegisterName("late", old.pid))
    assert a.hear(NameTaken) == NameTaken("late", "")


def test_what_can_be_no_name_is_counted_and_harms_nobody(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(files(service("a")))
    a = talk(shop, "t:a")
    before = shop.view().bad_frames
    a.say(RegisterName("x" * 300, a.pid), RegisterName("", a.pid))
    assert a.hear(NameTaken).pid == a.hear(NameTaken).pid == ""
    a.say(RegisterName("x", "other/t:a.1/0"), RegisterName("x", "garbage"))
    a.say(SpawnProcess(slot="t:a", process="t:worker"), EndProcess("wippy:keeper", 1, "kill"))
    assert set(fence(a)) == {"t:a"}
    assert shop.view().bad_frames == before + 6
    assert shop.row("wippy:keeper").generation == 1


# --- spawned processes ---------------------------------------------------------------------------

SLOT = "t:worker~abcdefgh"


def test_a_spawned_process_is_in_the_tree_is_told_of_and_never_comes_back(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(files(service("a")))
    a = talk(shop, "t:a")
    assert "wippy:spawned" not in [row.id for row in shop.view().rows]
    a.say(
        SpawnProcess(slot=SLOT, process="t:worker", parent=a.pid, name="it", monitor=True),
        WatchProcess(SLOT, 1),
    )
    assert fence(a)["name:it"] == {"pid": f"{shop.name}/{SLOT}.1/0", "generation": 1}
    row = shop.wait_row(SLOT, is_up(1))
    assert row.parent == "wippy:spawned"
    assert row.log_path.endswith("/t.worker.log")
    os.kill(row.os_pid, signal.SIGKILL)
    assert a.hear(Gone) == Gone(SLOT, 1, Signal(9))
    assert "name:it" not in a.rows
    shop.wait_view(lambda view: all(row.id != SLOT for row in view.rows))
    a.say(WatchProcess(SLOT, 1))
    assert a.hear(Gone).noproc


def test_a_start_that_fails_is_told_as_the_end_of_what_never_was(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(files(service("a"), "  - {name: pool, kind: process.host}"))
    a = talk(shop, "t:a")
    a.say(RegisterName("mine", a.pid))
    orders = {
        "no process 't:none'": SpawnProcess(slot="t:none~abcdefgh", process="t:none"),
        "registered for": SpawnProcess(slot="t:worker~aaaaaaaa", process="t:worker", name="mine"),
        "is a pool": SpawnProcess(slot="t:worker~bbbbbbbb", process="t:worker", host="t:pool"),
    }
    for words, order in orders.items():
        a.say(order)
        gone = a.hear(Gone)
        assert gone.slot == order.slot
        assert isinstance(gone.reason, StartFailed)
        assert words in gone.reason.detail
    a.say(SpawnProcess(slot="t:fails~abcdefgh", process="t:fails", link=True))
    reason = a.hear(Gone).reason
    assert isinstance(reason, Error | StartFailed)
    assert "cannot work like this" in str(reason)


def test_many_are_spawned_at_once_and_ended_as_asked(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(files(service("a")))
    a = talk(shop, "t:a")
    slots = [f"t:worker~aaaaaa{one}{two}" for one in "abcd" for two in "abcd"]
    for slot in slots:
        a.say(SpawnProcess(slot=slot, process="t:worker", monitor=True))
    shop.wait_view(lambda view: sum(row.id in slots and is_up(1)(row) for row in view.rows) == 16)
    a.say(*(EndProcess(slot, 1, "cancel", "enough") for slot in slots[:8]))
    assert {a.hear(Gone).slot for _ in range(8)} == set(slots[:8])
    a.say(*(EndProcess(slot, 1, "kill") for slot in slots[8:]))
    ends = [a.hear(Gone) for _ in range(8)]
    assert {gone.slot for gone in ends} == set(slots[8:])
    assert {gone.reason for gone in ends} == {Killed()}


def test_what_is_ended_before_its_turn_to_start_never_runs(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(files(service("a")))
    a = talk(shop, "t:a")
    slots = [f"t:worker~aaaaaaa{letter}" for letter in "abcdefghijkl"]
    a.say(*(SpawnProcess(slot=slot, process="t:worker", monitor=True) for slot in slots))
    a.say(*(EndProcess(slot, 1, "kill") for slot in slots))
    assert {a.hear(Gone).slot for _ in slots} == set(slots)
    shop.wait_view(lambda view: not [row for row in view.rows if row.id in slots])


def test_a_process_that_ignores_its_cancel_is_killed_at_the_deadline(
    node: Callable[..., RealNode], talk: Talk
) -> None:
    shop = node(files(service("a"), service("b", "stubborn")))
    a = talk(shop, "t:a")
    a.say(WatchProcess("t:b", 1), EndProcess("t:b", 1, "cancel", "please", 0.1))
    assert a.hear(Gone) == Gone("t:b", 1, Killed())
    shop.wait_row("t:b", is_up(2))  # a permanent service: its supervisor brings it back
    a.say(EndProcess("t:b", 1, "kill"))  # late: the second generation is not meant
    fence(a)
    assert shop.row("t:b").generation == 2


def test_spawned_processes_end_with_the_node(node: Callable[..., RealNode], talk: Talk) -> None:
    shop = node(files(service("a")))
    a = talk(shop, "t:a")
    a.say(SpawnProcess(slot=SLOT, process="t:worker", parent=a.pid))
    shop.wait_row(SLOT, is_up(1))
    assert shop.stop() == 0


# --- code ----------------------------------------------------------------------------------------


def test_code_is_told_and_an_unknown_one_says_so(node: Callable[..., RealNode], talk: Talk) -> None:
    shop = node(files(service("a")))
    a = talk(shop, "t:a")
    a.say(WantCode("t:worker"), WantCode("t:a"), WantCode("t:none"))
    known = a.hear(Code)
    assert known.code is not None
    assert known.code.method == "worker"
    assert [a.hear(Code).code for _ in range(2)] == [None, None]
