"""A request that comes more than once is applied once, or refused for good."""

from __future__ import annotations

from supervisor.core.keeping import Committed
from supervisor.keeper.copies import MAX_REFUSED, Copies
from wippy.errors import Failure, Unavailable

FULL = Failure.of(Unavailable("no room"))
ID = b"1" * 16


def test_a_copy_of_a_waiting_request_only_changes_who_is_answered() -> None:
    copies = Copies()
    assert not copies.is_copy(ID, b"a")
    copies.begin(ID, b"a")
    assert copies.is_copy(ID, b"b")
    assert copies.end(ID, Committed(1, 1)) == b"b"
    assert not copies.is_copy(ID, b"a")  # the store knows it from now on
    assert copies.refusal(ID) is None


def test_what_was_refused_stays_refused() -> None:
    copies = Copies()
    copies.begin(ID, b"a")
    assert copies.end(ID, FULL) == b"a"
    assert copies.refusal(ID) == FULL


def test_the_oldest_refusals_are_forgotten() -> None:
    copies = Copies()
    for number in range(MAX_REFUSED + 1):
        copies.refuse(number.to_bytes(16, "big"), FULL)
    assert copies.refusal(bytes(16)) is None
    assert copies.refusal((1).to_bytes(16, "big")) == FULL
