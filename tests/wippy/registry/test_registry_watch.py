"""Following the registry: every change once, in order, wherever a watcher begins and stops."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.core.keeping import ApplyChanges, Committed, ForgetVersions, Forgotten
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.store import Stamped
from wippy.core.entry import EntryChange, EntryDoc
from wippy.core.pattern import parse
from wippy.errors import NotFound
from wippy.runtime import registry_watch
from wippy.runtime.registry import RegistryReader
from wippy.runtime.registry_watch import Again, Following

Seen = tuple[int, str, bool, bool]
"""Version, id, whether it was there before, and after."""


class Book:
    """A registry that is written, and what a watcher of everything is to see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.there: set[str] = set()
        self.wanted: list[Seen] = []
        self.version = 0

    def _apply(self, request: ApplyChanges | ForgetVersions) -> Committed | Forgotten:
        # One handle on an environment in each process: nobody reads meanwhile.
        store = LmdbStore(self.folder, history_limit=100)
        try:
            answer = store.apply([Stamped(os.urandom(16), request, 5.0)])[0]
        finally:
            store.close()
        assert isinstance(answer, Committed | Forgotten), answer
        return answer

    def change(self, ids: list[str]) -> None:
        """Make a version: each id is created, or updated or deleted if it is there."""
        self.version += 1
        changes = []
        for entry_id in ids:
            doc = EntryDoc(id=entry_id, kind="registry.entry", data={"at": self.version})
            is_there = entry_id in self.there
            is_deleted = is_there and random.random() < 0.3
            op = "delete" if is_deleted else "update" if is_there else "create"
            changes.append(EntryChange(op, entry_id, None if is_deleted else doc))
            self.wanted.append((self.version, entry_id, is_there, not is_deleted))
            (self.there.discard if is_deleted else self.there.add)(entry_id)
        self._apply(ApplyChanges(changes=tuple(changes)))

    def forget(self, keep: int) -> None:
        """Forget all versions but the last ones."""
        self._apply(ForgetVersions(keep))


@pytest.fixture
def book(tmp_path: Path) -> Book:
    random.seed(4)
    made = Book(tmp_path)
    ids = [f"app.{group}:e{number:03}" for group in "ab" for number in range(40)]
    for _ in range(30):
        made.change(sorted(random.sample(ids, random.randint(1, 60))))
    return made


def taken(following: Following) -> Iterator[Seen]:
    while (found := following.take()) is not None:
        if isinstance(found, Again):
            continue
        yield found.version, found.id, found.old is not None, found.new is not None


def follow(book: Book, pattern: str, since: int) -> list[Seen]:
    reader = RegistryReader(str(book.folder))
    try:
        return list(taken(Following(reader, parse(pattern), since)))
    finally:
        reader.close()


@pytest.mark.parametrize("page_rows", [1, 7, 60, 512])
@pytest.mark.parametrize("pattern", ["**", "app.a:*", "app.b:e001", "nobody:*"])
def test_every_change_comes_once_and_in_order_whatever_the_pages(
    book: Book, pattern: str, page_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_watch, "PAGE_ROWS", page_rows)
    wanted = [seen for seen in book.wanted if parse(pattern).matches(seen[1])]
    for since in (0, 1, 13, 29, 30):
        assert follow(book, pattern, since) == [seen for seen in wanted if seen[0] > since]


@pytest.mark.parametrize("page_rows", [1, 7, 512])
def test_a_watcher_that_stops_anywhere_goes_on_without_a_gap(
    book: Book, page_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`version` is the last whole one: what came of the next one comes again."""
    monkeypatch.setattr(registry_watch, "PAGE_ROWS", page_rows)
    for stop in random.sample(range(len(book.wanted)), 40):
        reader = RegistryReader(str(book.folder))
        first = Following(reader, parse("**"), 0)
        before = [next(taken(first)) for _ in range(stop)]
        assert before == book.wanted[:stop]
        since = first.version
        assert since in {before[-1][0] - 1, before[-1][0]} if before else since == 0
        second = Following(reader, parse("**"), since)
        after = list(taken(second))
        reader.close()
        assert after == [seen for seen in book.wanted if seen[0] > since]


def test_what_is_committed_later_comes_when_it_is_asked_for_again(book: Book) -> None:
    reader = RegistryReader(str(book.folder))
    following = Following(reader, parse("**"), 30)
    assert following.take() is None
    reader.close()
    book.change(["app.a:e000", "app.a:new"])
    assert [seen[:2] for seen in taken(following)] == [(31, "app.a:e000"), (31, "app.a:new")]
    assert following.version == 31
    reader.close()


def test_versions_that_were_forgotten_are_an_error_that_says_what_to_do(book: Book) -> None:
    book.forget(5)
    assert follow(book, "**", 25) == [seen for seen in book.wanted if seen[0] > 25]
    with pytest.raises(NotFound, match=r"version 25 .*was forgotten; .*is 26: take registry.snap"):
        follow(book, "**", 24)


def test_a_watcher_that_is_overtaken_by_forgetting_is_told(book: Book) -> None:
    reader = RegistryReader(str(book.folder))
    following = Following(reader, parse("app.b:e001"), 0)
    reader.close()
    book.forget(1)
    with pytest.raises(NotFound, match="was forgotten"):
        next(taken(following))
    reader.close()


def test_a_version_that_is_not_there_is_an_error(book: Book) -> None:
    with pytest.raises(NotFound, match="has no version 31; it is at version 30"):
        follow(book, "**", 31)
