"""The registry's core against dicts."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisor.core.registry.changeset import (
    Change,
    Changeset,
    Op,
    apply,
    compose,
    diff,
    invert,
    preview,
    snapshot_at,
)
from supervisor.core.registry.version import conflict, next_version
from wippy.errors import Conflict

IDS = st.sampled_from(["a:a", "a:b", "a:c", "b:a"])
VALUES = st.binary(max_size=2)
REGISTRIES = st.dictionaries(IDS, VALUES)


class RegistryMachine(RuleBasedStateMachine):
    """The model is the list of all snapshots, each a plain dict."""

    def __init__(self) -> None:
        super().__init__()
        self.model: list[dict[str, bytes]] = [{}]
        self.head: dict[str, bytes] = {}
        self.log: list[Changeset] = []

    def commit(self, wanted: dict[str, bytes]) -> None:
        changeset = diff(self.head, wanted)
        if not changeset:
            assert wanted == self.model[-1]
            return
        self.head = apply(self.head, changeset)
        self.log.append(changeset)
        self.model.append(dict(wanted))

    @rule(wanted=REGISTRIES)
    def load(self, wanted: dict[str, bytes]) -> None:
        self.commit(wanted)

    @rule(entry_id=IDS, value=VALUES)
    def put(self, entry_id: str, value: bytes) -> None:
        self.commit({**self.head, entry_id: value})

    @rule(entry_id=IDS)
    def delete(self, entry_id: str) -> None:
        self.commit({i: v for i, v in self.head.items() if i != entry_id})

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        self.commit(snapshot_at(self.head, reversed(self.log[self.draw_version(data) :])))

    @rule(data=st.data())
    def compose_is_the_same_as_one_after_the_other(self, data: st.DataObject) -> None:
        version = self.draw_version(data)
        assert compose(self.log[version:]) == diff(self.model[version], self.head)

    @rule(data=st.data())
    def a_changeset_for_another_state_is_refused_whole(self, data: st.DataObject) -> None:
        version = self.draw_version(data)
        mine = diff(self.model[version], data.draw(REGISTRIES))
        fits = all(self.head.get(change.id) == change.old for change in mine)
        if fits:
            apply(self.head, mine)
        else:
            with pytest.raises(Conflict):
                apply(self.head, mine)

    def draw_version(self, data: st.DataObject) -> int:
        return data.draw(st.integers(0, len(self.log)))

    @invariant()
    def head_and_every_snapshot_are_the_models(self) -> None:
        assert self.head == self.model[-1]
        for version, expected in enumerate(self.model):
            assert snapshot_at(self.head, reversed(self.log[version:])) == expected

    @invariant()
    def undoing_is_undone_by_undoing(self) -> None:
        assert all(invert(invert(changeset)) == changeset for changeset in self.log)


TestRegistryMachine = RegistryMachine.TestCase


def test_a_change_says_what_it_does() -> None:
    changes = diff({"a:a": b"1", "a:b": b"1"}, {"a:b": b"2", "a:c": b"1"})
    assert [(c.id, c.op) for c in changes] == [
        ("a:a", Op.DELETED),
        ("a:b", Op.UPDATED),
        ("a:c", Op.CREATED),
    ]


def test_an_empty_value_is_not_a_missing_one() -> None:
    assert diff({}, {"a:a": b""}) == Changeset((Change("a:a", None, b""),))
    assert not diff({"a:a": b""}, {"a:a": b""})


def test_a_version_counts_what_its_changeset_does() -> None:
    changes = diff({"a:a": b"1", "a:b": b"1"}, {"a:b": b"2", "a:c": b"1", "a:d": b""})
    version = next_version(4, changes, at_s=1.0, author="ann", comment="why", origin="/etc/x")
    assert (version.number, version.created, version.updated, version.deleted) == (5, 2, 1, 1)


def test_a_refused_change_shows_what_is_there_and_what_it_expected() -> None:
    with pytest.raises(Conflict, match="a:a is new, the change expected old; read"):
        apply({"a:a": b"new"}, Changeset((Change("a:a", b"old", b"mine"),)))


def test_a_refused_change_of_many_entries_shows_some_and_counts_the_rest() -> None:
    changes = diff({}, {f"a:e{number}": b"" for number in range(8)})
    with pytest.raises(Conflict, match="and 3 more"):
        apply({f"a:e{number}": b"other" for number in range(8)}, changes)


def test_a_conflict_of_versions_shows_both_sides() -> None:
    mine = diff({"a:a": b"old"}, {"a:a": b"mine"})
    theirs = diff({"a:a": b"old", "a:b": b""}, {"a:a": b"theirs"})
    last = next_version(1, theirs, at_s=1.0, author="bob", comment="", origin="")
    error = conflict(1, 2, last=last, mine=mine, theirs=theirs)
    assert str(error) == (
        "the registry is at version 2 by bob, the change was made for 1; "
        "a:a: updated to theirs meanwhile, here updated to mine; "
        "read the registry again and repeat the change"
    )


def test_a_conflict_without_a_common_entry_says_what_changed() -> None:
    error = conflict(1, 2, last=None, mine=diff({}, {"a:a": b""}), theirs=diff({}, {"a:b": b""}))
    assert "changed meanwhile: a:b" in str(error)


def test_a_conflict_with_a_version_that_never_was_says_that_it_is_not_known() -> None:
    error = conflict(9, 2, last=None, mine=Changeset(), theirs=None)
    assert "what has changed since is not known" in str(error)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "nothing"),
        (b"", ""),
        (b"plain", "plain"),
        (b"7", "7"),
        (msgspec.msgpack.encode({"kind": "x", "n": [1]}), "{'kind': 'x', 'n': [1]}"),
        (b"x" * 201, "x" * 200 + "…"),
        (b"\xff\xfe", "��"),
    ],
)
def test_a_value_is_shown_as_its_text_or_its_data(value: bytes | None, shown: str) -> None:
    assert preview(value) == shown
