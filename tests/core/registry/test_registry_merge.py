"""Merging files with changes at run time, against a model that knows who said what last."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisor.core.registry.changeset import apply, diff
from supervisor.core.registry.merge import merge, with_overridden
from supervisor.core.registry.retention import Retention, is_due

IDS = st.sampled_from(["a:a", "a:b", "a:c"])
VALUES = st.sampled_from([b"1", b"2", b"3"])
ABSENT = b""


class MergeMachine(RuleBasedStateMachine):
    """The model keeps, for each entry, what its file says and what was said last at run time."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.base: dict[str, bytes] = {}
        self.head: dict[str, bytes] = {}
        self.at_run_time: dict[str, bytes] = {}  # what an entry was made instead; ABSENT is deleted

    @rule(entry_id=IDS, value=VALUES)
    def write_file(self, entry_id: str, value: bytes) -> None:
        self.files[entry_id] = value

    @rule(entry_id=IDS)
    def remove_from_file(self, entry_id: str) -> None:
        self.files.pop(entry_id, None)

    @rule(entry_id=IDS, value=VALUES)
    def put_at_run_time(self, entry_id: str, value: bytes) -> None:
        self.head[entry_id] = value
        self.at_run_time[entry_id] = value

    @rule(entry_id=IDS)
    def delete_at_run_time(self, entry_id: str) -> None:
        self.head.pop(entry_id, None)
        self.at_run_time[entry_id] = ABSENT

    @rule()
    def load(self) -> None:
        merged = merge(self.head, self.base, self.files)
        touched = {
            i for i in self.files.keys() | self.base.keys() if self.files.get(i) != self.base.get(i)
        }
        lost = {i for i in touched if self.head.get(i) not in (self.base.get(i), self.files.get(i))}
        self.head = apply(self.head, merged.changeset)
        self.base = dict(self.files)
        for entry_id in touched:
            self.at_run_time.pop(entry_id, None)
        assert set(merged.overridden) == lost
        assert set(merged.kept) == {
            i for i, value in self.files.items() if self.head.get(i) != value
        } | {i for i in merged.kept if i not in self.files}
        assert self.head == self.expected()
        assert not merge(self.head, self.base, self.files).changeset

    def expected(self) -> dict[str, bytes]:
        wanted = {**self.base, **self.at_run_time}
        return {i: value for i, value in wanted.items() if value != ABSENT}

    @invariant()
    def the_registry_is_the_files_as_loaded_with_what_was_done_since(self) -> None:
        assert self.head == self.expected()


TestMergeMachine = MergeMachine.TestCase


def test_without_changes_at_run_time_the_registry_becomes_the_files() -> None:
    base, files = {"a:a": b"1", "a:b": b"1"}, {"a:b": b"2", "a:c": b"3"}
    merged = merge(base, base, files)
    assert merged.changeset == diff(base, files)
    assert (merged.overridden, merged.kept) == ((), ())


def test_where_both_changed_the_file_wins_and_the_comment_says_so() -> None:
    merged = merge({"a:a": b"mine"}, {"a:a": b"1"}, {"a:a": b"2"})
    assert apply({"a:a": b"mine"}, merged.changeset) == {"a:a": b"2"}
    assert merged.overridden == ("a:a",)
    comment = with_overridden("loaded", merged.overridden)
    assert comment == "loaded; the files won over changes at run time of a:a"
    many = tuple(f"a:e{n}" for n in range(8))
    assert with_overridden("", many).endswith("a:e4 and 3 more")


def test_where_both_said_the_same_nothing_was_lost() -> None:
    merged = merge({"a:a": b"2"}, {"a:a": b"1"}, {"a:a": b"2"})
    assert (len(merged.changeset), merged.overridden, merged.kept) == (0, (), ())


def test_versions_are_forgotten_above_a_number_and_above_an_age() -> None:
    keep = Retention(versions=10, age_s=100.0, least=3)
    assert is_due(keep, 11, 1000.0, 1000.0)
    assert not is_due(keep, 10, 1000.0, 1000.0)
    assert is_due(keep, 4, 1000.0, 1100.5)
    assert not is_due(keep, 4, 1000.0, 1100.0)
    assert not is_due(keep, 3, 0.0, 9999.0)
