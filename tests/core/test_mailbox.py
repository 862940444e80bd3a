"""The mailbox: windows of its senders, what is given back, and the order of what comes back."""

from __future__ import annotations

import random

import pytest

from wippy.core.mailbox import Delivery, Mailbox, give_back, take
from wippy.core.wire import FLOOD_UNITS, WINDOW_UNITS


class Senders:
    """Processes that send what their credit allows, as `wippy.runtime.peer` does."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.credit: dict[str, int] = {}

    def send(self, name: str, cost: int = 1) -> bool:
        """Send one message if there is any credit."""
        if self.credit.setdefault(name, WINDOW_UNITS) <= 0:
            return False
        self.credit[name] -= cost
        assert self.mailbox.put(Delivery("t", name, ["x"], cost, name)) is not None
        changes, self.mailbox.changes = self.mailbox.changes, ()
        for origin, units in changes:
            self.credit[str(origin)] += units
        return True

    def take(self) -> None:
        """Take the oldest delivery, and give the credit back."""
        run = take(self.mailbox.inbox)
        assert run is not None
        self.credit[run.sender] += self.mailbox.taken(run)


def fill(senders: Senders, name: str) -> int:
    count = 0
    while senders.send(name):
        count += 1
    return count


@pytest.mark.parametrize("bound", [1, 5, 1000, WINDOW_UNITS])
def test_a_sender_is_stopped_at_the_bound(bound: int) -> None:
    senders = Senders(Mailbox(bound))
    assert fill(senders, "a") == bound
    assert senders.mailbox.waiting == bound


def test_senders_share_the_bound_and_get_more_when_others_are_gone() -> None:
    senders = Senders(Mailbox(100))
    assert [fill(senders, "a"), fill(senders, "b")] == [100, 50]
    for _ in range(150):
        senders.take()
    assert [fill(senders, "a") > 37, fill(senders, "b") > 37] == [True, True]
    assert senders.mailbox.waiting <= 100
    while senders.mailbox.waiting:
        senders.take()
    senders.mailbox.forget("b")
    fill(senders, "a")
    while senders.mailbox.waiting:
        senders.take()
    assert fill(senders, "a") >= 75


@pytest.mark.parametrize("bound", [1, 3, 40, 10_000])
def test_no_sender_ever_waits_for_credit_that_does_not_come(bound: int) -> None:
    chance = random.Random(bound)
    senders = Senders(Mailbox(bound))
    names = ["a", "b", "c", "d"]
    for _ in range(5000):
        if chance.random() < 0.6:
            senders.send(chance.choice(names), chance.choice([1, 1, 1, 7, 4096]))
        elif senders.mailbox.waiting:
            senders.take()
    while senders.mailbox.waiting:
        senders.take()
    assert all(credit > 0 for credit in senders.credit.values())
    assert all(credit <= WINDOW_UNITS for credit in senders.credit.values())


def test_who_ignores_its_window_is_refused() -> None:
    mailbox = Mailbox(10)
    assert mailbox.put(Delivery("t", "a", ["x"], FLOOD_UNITS + 1, "a")) is not None
    assert mailbox.put(Delivery("t", "a", ["x"], 1, "a")) is None


def test_what_is_given_back_comes_first_in_the_order_of_its_tickets_and_is_not_counted_twice() -> (
    None
):
    mailbox = Mailbox()
    mailbox.put(Delivery("t", "a", [1, 2, 3, 4], 4, "a"))
    run = take(mailbox.inbox)
    assert run is not None
    mailbox.taken(run)
    one, two = next(run.rest), next(run.rest)
    give_back(mailbox.inbox, Delivery("t", "a", [two], 0, None), 2)
    give_back(mailbox.inbox, Delivery("t", "a", [one], 0, None), 1)
    seen = []
    while (again := take(mailbox.inbox)) is not None:
        mailbox.taken(again)
        seen += list(again.rest)
    assert seen == [1, 2, 3, 4]
    assert mailbox.waiting == 0
