"""The LMDB store: at most once, group transactions, trimming, versions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keeper_tools import doc, encoded, entries, facts

from supervisor.core.facts import Fact, FactKind
from supervisor.core.keeping import Appended, AppendHistory, BackedUp, Committed, LoadRegistry
from supervisor.io.state_reader import StateReader
from supervisor.keeper import history
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.store import Stamped, Stored
from wippy.errors import AlreadyExists, Failure

Open = Callable[..., LmdbStore]


def ask(request: Stored, request_id: bytes | None = None) -> Stamped:
    return Stamped(request_id or os.urandom(16), request, at_s=1234.5)


def append(first: int, count: int, run_id: str = "r") -> AppendHistory:
    return AppendHistory(run_id, tuple(facts(first, count)))


def load(number: int, expected_version: int | None = None) -> LoadRegistry:
    return LoadRegistry(
        docs=entries(number), author="ann", comment="c", expected_version=expected_version
    )


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Open]:
    opened: list[LmdbStore] = []

    def open_(history_limit: int = 1000, applied_limit: int = 100) -> LmdbStore:
        for store in opened:
            store.close()
        opened.append(LmdbStore(tmp_path, history_limit=history_limit, applied_limit=applied_limit))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


def read(tmp_path: Path, store: LmdbStore) -> StateReader:
    """Close the store (one handle in each process) and return a reader."""
    store.close()
    return StateReader(tmp_path)


def seqs(reader: StateReader, child_id: str = "") -> list[int]:
    found = [fact.seq for fact in reader.history(child_id, limit=100_000)]
    reader.close()
    return found


# --- at most once --------------------------------------------------------------------------------


def test_a_request_sent_again_gets_the_same_answer_and_changes_nothing(open_store: Open) -> None:
    store = open_store()
    first, again = ask(load(1)), ask(load(2))
    assert store.apply([first, again]) == [Committed(1, 2), Committed(2, 3)]
    assert store.apply([first]) == [Committed(1, 2)]  # applied anew it would be version 3
    assert store.apply([again, first]) == [Committed(2, 3), Committed(1, 2)]


def test_a_request_sent_again_to_the_next_keeper_is_not_applied_twice(open_store: Open) -> None:
    request = ask(load(1))
    open_store().apply([request, ask(load(2))])
    assert open_store().apply([request]) == [Committed(1, 2)]


def test_a_request_twice_in_one_group_is_applied_once(open_store: Open) -> None:
    request = ask(load(1))
    assert open_store().apply([request, ask(load(2)), request])[2] == Committed(1, 2)


def test_answers_are_forgotten_oldest_first_above_their_limit(open_store: Open) -> None:
    store = open_store(applied_limit=3)
    requests = [ask(append(number, 1)) for number in range(1, 6)]
    store.apply(requests)
    # The last three are remembered; a forgotten one is applied again, and its condition holds.
    assert store.apply(requests[2:]) == [Appended(1)] * 3
    assert store.apply(requests[:1]) == [Appended(0)]


def test_a_refusal_is_not_remembered(open_store: Open) -> None:
    store = open_store()
    request = ask(load(1, expected_version=1))
    assert isinstance(store.apply([request])[0], Failure)
    store.apply([ask(load(5))])
    assert store.apply([request]) == [Committed(2, 3)]


# --- groups --------------------------------------------------------------------------------------


def test_one_bad_request_in_a_group_fails_alone(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    bad = [
        AppendHistory("", tuple(facts(1, 1))),
        AppendHistory("r\0", tuple(facts(1, 1))),
        AppendHistory("r", (*facts(1, 1), Fact(seq=0, kind=FactKind.READY))),
        AppendHistory("r", (Fact(seq=1, kind=FactKind.READY, at_s=float("nan")),)),
        AppendHistory("r", (Fact(seq=1, kind=FactKind.READY, id="x" * 600),)),
        LoadRegistry(docs=(doc("no id"),)),
        LoadRegistry(docs=(doc("a:b"),), comment="x" * 5000),
        load(1, expected_version=7),
    ]
    answers = store.apply([ask(append(1, 3)), *map(ask, bad), ask(load(1))])
    assert answers[0] == Appended(3)
    assert [type(answer) for answer in answers[1:-1]] == [Failure] * len(bad)
    assert answers[-1] == Committed(1, 2)
    assert seqs(read(tmp_path, store)) == [1, 2, 3]


def test_a_bug_met_by_one_request_spares_the_others_of_its_group(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    real = history._store

    def fail_late(tx: object, run_id: str, fact: Fact) -> None:
        real(tx, run_id, fact)  # type: ignore[arg-type]
        if fact.seq == 13:
            raise ZeroDivisionError("a bug")

    monkeypatch.setattr(history, "_store", fail_late)
    answers = store.apply([ask(append(1, 2)), ask(append(12, 4)), ask(append(20, 2))])
    assert [type(answer) for answer in answers] == [Appended, Failure, Appended]
    assert answers[1] == Failure(
        "internal", "AppendHistory cannot be applied: ZeroDivisionError: a bug"
    )
    assert seqs(read(tmp_path, store)) == [1, 2, 20, 21]


# --- history -------------------------------------------------------------------------------------


def test_a_fact_is_stored_once_by_run_and_sequence(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    assert store.apply([ask(append(1, 5)), ask(append(3, 5))]) == [Appended(5), Appended(2)]
    assert store.apply([ask(append(1, 2, run_id="another"))]) == [Appended(2)]
    assert seqs(read(tmp_path, store)) == [1, 2, 3, 4, 5, 6, 7, 1, 2]


def test_history_is_read_by_child_oldest_first_and_limited(
    open_store: Open, tmp_path: Path
) -> None:
    store = open_store()
    store.apply([ask(append(1, 30))])
    reader = read(tmp_path, store)
    assert [fact.seq for fact in reader.history("app:w3")] == [3, 10, 17, 24]
    assert [fact.seq for fact in reader.history("app:w3", limit=2)] == [17, 24]
    assert reader.history("app:w") == []
    assert reader.history("app:w3")[0] == facts(3, 1)[0]
    assert reader.history(limit=0) == []
    reader.close()


def test_the_oldest_facts_go_first_even_if_the_clock_was_set_back(
    open_store: Open, tmp_path: Path
) -> None:
    store = open_store(history_limit=3)
    for seq, at_s in ((1, 900.0), (2, 901.0), (3, 10.0), (4, 11.0)):
        fact = Fact(seq=seq, at_s=at_s, kind=FactKind.READY, id="a:b")
        store.apply([ask(AppendHistory("r", (fact,)))])
    assert seqs(read(tmp_path, store), "a:b") == [2, 3, 4]


def test_a_lowered_limit_is_reached_and_leaves_no_index_row(
    open_store: Open, tmp_path: Path
) -> None:
    open_store(history_limit=500).apply([ask(append(1, 500))])
    store = open_store(history_limit=10)
    store.apply([ask(append(501, 1))])
    counts = store._env.read(
        lambda tx: [tx.count(f"facts{index}") for index in ("", "_by_seq", "_by_child", "_by_time")]
    )
    assert counts == [10, 10, 10, 10]
    assert seqs(read(tmp_path, store)) == list(range(492, 502))


def test_a_fact_of_a_kind_this_program_does_not_know_is_skipped(
    open_store: Open, tmp_path: Path
) -> None:
    store = open_store(history_limit=3)
    store.apply([ask(append(1, 3))])
    row = store._env.read(lambda tx: tx.get("facts", (2).to_bytes(8, "big")))
    assert row is not None
    strange = row.replace(b"\xa5ready", b"\xa5weird")
    store._env.write(lambda tx: tx.put("facts", (2).to_bytes(8, "big"), strange))
    assert seqs(read(tmp_path, store)) == [1, 3]
    store = open_store(history_limit=3)
    store.apply([ask(append(4, 3))])  # and it can be forgotten like any other
    assert seqs(read(tmp_path, store)) == [4, 5, 6]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 8)), max_size=12), st.integers(1, 20))
def test_history_is_the_last_new_facts_in_order_of_arrival(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[int, int]], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("s")
    store = LmdbStore(folder, history_limit=limit)
    kept: list[int] = []
    for first, count in batches:
        expected = [seq for seq in range(first, first + count) if seq not in kept]
        assert store.apply([ask(append(first, count))]) == [Appended(len(expected))]
        kept = (kept + expected)[-limit:]
    assert seqs(read(folder, store)) == kept


# --- registry ------------------------------------------------------------------------------------


def test_the_same_content_makes_no_new_version(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    assert store.apply([ask(load(1))]) == [Committed(1, 2)]
    assert store.apply([ask(load(1))]) == [Committed(1, 0)]
    assert read(tmp_path, store).registry_version() == 1


def test_an_empty_first_registry_is_version_0(open_store: Open) -> None:
    assert open_store().apply([ask(LoadRegistry(docs=()))]) == [Committed(0, 0)]


def test_versions_keep_what_they_replaced(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store.apply([ask(load(number)) for number in range(1, 8)])
    store.apply([ask(LoadRegistry(docs=(), origin="/etc/empty"))])
    reader = read(tmp_path, store)
    assert reader.entries() == {}
    for number in range(1, 8):
        assert reader.snapshot_at(number) == encoded(entries(number))
    assert reader.snapshot_at(0) == {}
    last, before = reader.versions(limit=2)
    assert (last.number, last.deleted, last.origin, last.at_s) == (8, 2, "/etc/empty", 1234.5)
    assert (before.author, before.comment) == ("ann", "c")
    assert reader.entry("app:number") is None
    reader.close()


def test_an_expected_version_lets_one_of_two_win(open_store: Open) -> None:
    store = open_store()
    store.apply([ask(load(1))])
    won, lost = store.apply([ask(load(2, expected_version=1)), ask(load(3, expected_version=1))])
    assert won == Committed(2, 3)
    assert isinstance(lost, Failure)
    assert lost.kind == "conflict"
    assert "app:number: updated to" in lost.message


# --- backup --------------------------------------------------------------------------------------


def test_a_backup_is_a_state_folder_and_a_resent_request_finds_it(
    open_store: Open, tmp_path: Path
) -> None:
    store = open_store()
    store.apply([ask(load(1))])
    request_id, target = os.urandom(16), tmp_path / "copy"
    done = store.backup(request_id, target)
    assert isinstance(done, BackedUp)
    assert store.backup(request_id, target) == done
    with pytest.raises(AlreadyExists, match="name a new folder"):
        store.backup(os.urandom(16), target)
    copy = StateReader(target)
    assert copy.entries() == encoded(entries(1))
    copy.close()


def test_a_foreign_folder_is_not_overwritten_by_a_backup(open_store: Open, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with pytest.raises(AlreadyExists, match="no backup of ours"):
        open_store().backup(os.urandom(16), tmp_path / "theirs")
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_backup_that_was_killed_leaves_no_half_under_its_name_and_can_be_repeated(
    open_store: Open, tmp_path: Path
) -> None:
    (tmp_path / "copy.partial" / "state.lmdb").mkdir(parents=True)
    (tmp_path / "copy.partial" / "state.lmdb" / "data.mdb").write_bytes(b"half")
    open_store().backup(os.urandom(16), tmp_path / "copy")
    assert not (tmp_path / "copy.partial").exists()
