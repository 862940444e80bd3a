"""What actors wait for: each is ended once, by who was asked, or by its process's end."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wippy.core.calls import Kind, Waits

ORIGINS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(0, 3)
ANY = st.integers(0, 60)


class WaitsAgainstAList(RuleBasedStateMachine):
    """The dumb model: a list of all waits, in the order in which they were made."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = Waits()
        self.model: list[tuple[int, int, str, int]] = []

    @rule(kind=st.sampled_from(Kind), watcher=NUMBERS, origin=ORIGINS, actor=NUMBERS)
    def add(self, kind: Kind, watcher: int, origin: str, actor: int) -> None:
        wait = self.waits.add(kind, watcher, origin, actor)
        assert wait.reference not in {known[0] for known in self.model}
        self.model.append((wait.reference, watcher, origin, actor))

    @rule(reference=ANY, origin=ORIGINS)
    def end(self, reference: int, origin: str) -> None:
        """An answer of another process than the one that was asked ends nothing."""
        found = [it for it in self.model if (it[0], it[2]) == (reference, origin)]
        wait = self.waits.end(reference, origin)
        assert (wait is not None) == bool(found)
        self._remove(found)

    @rule(reference=ANY)
    def give_up(self, reference: int) -> None:
        found = [it for it in self.model if it[0] == reference]
        wait = self.waits.give_up(reference)
        assert (wait is not None) == bool(found)
        self._remove(found)

    @rule(origin=ORIGINS)
    def end_all(self, origin: str) -> None:
        found = [it for it in self.model if it[2] == origin]
        assert [it.reference for it in self.waits.end_all(origin)] == [it[0] for it in found]
        self._remove(found)

    @rule(watcher=NUMBERS, origin=ORIGINS, actor=NUMBERS)
    def end_child(self, watcher: int, origin: str, actor: int) -> None:
        found = [it for it in self.model if it[1:] == (watcher, origin, actor)]
        ended = self.waits.end_child(watcher, origin, actor)
        assert [it.reference for it in ended] == [it[0] for it in found]
        self._remove(found)

    @invariant()
    def the_same_are_left(self) -> None:
        assert len(self.waits) == len(self.model)
        for reference, watcher, origin, target in self.model:
            wait = self.waits.get(reference)
            assert wait is not None
            assert (wait.watcher, wait.origin, wait.target) == (watcher, origin, target)

    def _remove(self, found: list[tuple[int, int, str, int]]) -> None:
        self.model = [it for it in self.model if it not in found]


TestWaits = WaitsAgainstAList.TestCase
