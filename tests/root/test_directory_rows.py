"""The directory's rows: there while who they name is alive, written only when they change."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from supervisor.root.directory import Directory
from wippy.core.directory import (
    decode_address,
    decode_host,
    host_key,
    known_key,
    name_key,
    service_key,
)
from wippy.core.ids import Pid
from wippy.errors import Invalid


class Stored:
    """The rows, and how many transactions wrote them."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.writes = 0

    def write_directory(self, rows: Mapping[bytes, bytes | None]) -> None:
        self.writes += 1
        for key, row in rows.items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row


A1 = Pid("n", "app:a", 1)
A2 = Pid("n", "app:a", 2)


def test_a_service_is_found_until_its_process_ends() -> None:
    stored = Stored()
    directory = Directory(stored)
    directory.put_service("app:a", A1, 1)
    assert decode_address(stored.rows[service_key("app:a")]).pid == str(A1)
    directory.process_gone("app:a", 1)
    assert set(stored.rows) == {known_key("app:a")}


def test_an_end_of_an_old_generation_leaves_the_new_one_alone() -> None:
    stored = Stored()
    directory = Directory(stored)
    directory.put_service("app:a", A1, 1)
    directory.put_service("app:a", A2, 2)
    directory.process_gone("app:a", 1)
    assert decode_address(stored.rows[service_key("app:a")]).generation == 2


def test_all_that_lived_in_a_process_goes_in_one_transaction() -> None:
    stored = Stored()
    directory = Directory(stored)
    for actor in range(1, 4):
        pid = Pid("n", "app:pool#1", 1, actor)
        directory.put_service(f"app:s{actor}", pid, 1)
        directory.claim(f"name {actor}", pid)
    before = stored.writes
    directory.process_gone("app:pool#1", 1)
    assert set(stored.rows) == {known_key(f"app:s{actor}") for actor in range(1, 4)}
    assert stored.writes == before + 1


def test_an_actor_of_a_pool_takes_only_its_own_rows_with_it() -> None:
    stored = Stored()
    directory = Directory(stored)
    one, other = Pid("n", "app:pool#1", 1, 1), Pid("n", "app:pool#1", 1, 2)
    directory.put_service("app:one", one, 1)
    directory.put_service("app:other", other, 1)
    directory.claim("mine", one)
    directory.claim("yours", other)
    directory.actor_gone("app:one", one)
    known = {known_key("app:one"), known_key("app:other")}
    assert set(stored.rows) == {service_key("app:other"), name_key("yours"), *known}


def test_who_asks_second_for_a_name_learns_who_has_it() -> None:
    stored = Stored()
    directory = Directory(stored)
    assert directory.claim("x", A1) == A1
    assert directory.claim("x", A2) == A1
    assert decode_address(stored.rows[name_key("x")]).pid == str(A1)
    assert stored.writes == 1
    assert not directory.free("x", A2)
    assert directory.free("x", A1)
    assert stored.rows == {}


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "\0", "\ud800", "é" * 128])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="cannot be registered"):
        Directory(Stored()).claim(name, A1)


def test_a_pool_is_written_only_when_it_changes_and_is_not_found_without_workers() -> None:
    stored = Stored()
    directory = Directory(stored)
    directory.put_host("app:pool", (("app:pool#1", 1, 0),))
    directory.put_host("app:pool", (("app:pool#1", 1, 0),))
    assert stored.writes == 1
    assert decode_host(stored.rows[host_key("app:pool")]).workers == (("app:pool#1", 1, 0),)
    directory.put_host("app:pool", ())
    directory.put_host("app:other", ())
    assert stored.rows == {}
    assert stored.writes == 2


def test_nothing_is_written_for_an_end_of_who_was_never_found() -> None:
    stored = Stored()
    Directory(stored).process_gone("app:a", 1)
    assert stored.writes == 0
