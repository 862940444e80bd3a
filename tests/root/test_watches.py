"""Each watch is answered once."""

from __future__ import annotations

from supervisor.root import watches
from supervisor.root.watches import Watches
from wippy.core.messages import Gone
from wippy.core.reasons import Shutdown, Signal


class Sent(list[tuple[bytes, Gone]]):
    """What was sent to whom."""

    def __call__(self, peer: bytes, frame: Gone) -> None:
        self.append((peer, frame))


def test_all_who_watch_are_told_once() -> None:
    sent = Sent()
    table = Watches(sent)
    table.add(b"a", "app:x", 1)
    table.add(b"a", "app:x", 1)
    table.add(b"b", "app:x", 1)
    table.ended("app:x", 1, Signal(9))
    table.ended("app:x", 1, Shutdown())
    gone = Gone("app:x", 1, Signal(9))
    assert sorted(sent, key=lambda it: it[0]) == [(b"a", gone), (b"b", gone)]


def test_the_end_of_another_generation_is_not_told() -> None:
    sent = Sent()
    table = Watches(sent)
    table.add(b"a", "app:x", 2)
    table.ended("app:x", 1, Signal(9))
    assert sent == []


def test_who_unwatches_or_has_ended_is_not_told() -> None:
    sent = Sent()
    table = Watches(sent)
    table.add(b"a", "app:x", 1)
    table.add(b"b", "app:x", 1)
    table.remove(b"a", "app:x", 1)
    table.remove(b"a", "app:never", 1)
    table.watcher_ended(b"b")
    table.ended("app:x", 1, Signal(9))
    assert sent == []
    assert (table._watchers, table._watched) == ({}, {b"a": set()})


def test_who_is_told_that_nothing_is_there_does_not_wait_any_longer() -> None:
    sent = Sent()
    table = Watches(sent)
    table.add(b"a", "app:x", 1)
    table.absent(b"a", "app:x", 1)
    table.ended("app:x", 1, Signal(9))
    assert [frame.noproc for _, frame in sent] == [True]


def test_ended_spawned_slots_are_remembered_up_to_a_bound() -> None:
    table = Watches(Sent())
    for number in range(watches.ENDED_KEPT + 1):
        table.note_ended(f"app:x~{number}", 1)
    assert not table.has_ended("app:x~0", 1)
    assert table.has_ended(f"app:x~{watches.ENDED_KEPT}", 1)
