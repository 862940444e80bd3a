"""Credit between senders and a mailbox, whoever sends and takes when: a machine beside a model."""

from __future__ import annotations

from collections import deque

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wippy.core.mailbox import Delivery, Mailbox, take
from wippy.core.wire import WINDOW_UNITS

SENDERS = ("a", "b", "c")


class CreditMachine(RuleBasedStateMachine):
    """Senders that obey their credit, and one receiver."""

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = Mailbox()
        self.credit = dict.fromkeys(SENDERS, WINDOW_UNITS)
        self.sent: dict[str, deque[int]] = {sender: deque() for sender in SENDERS}
        self.number = 0

    @rule(
        sender=st.sampled_from(SENDERS),
        count=st.integers(1, 300),
        each=st.sampled_from([1, 2, 900]),
    )
    def send(self, sender: str, count: int, each: int) -> None:
        """A run goes out while there is any credit; the last message may go over it."""
        if self.credit[sender] <= 0:
            return
        count = min(count, -(-self.credit[sender] // each))
        numbers = list(range(self.number, self.number + count))
        self.number += count
        cost = count * each
        self.credit[sender] -= cost
        delivery = Delivery("t", sender, list(numbers), cost, sender)
        assert self.mailbox.put(delivery) is not None, "a sender that obeys is never cut off"
        self.sent[sender].extend(numbers)
        self.told()

    @precondition(lambda self: self.mailbox.waiting)
    @rule(times=st.integers(1, 20))
    def take(self, times: int) -> None:
        """The receiver takes some; the credit goes back."""
        for _ in range(times):
            self.take_one()

    @rule()
    def take_all(self) -> None:
        """Nobody is stuck once all is taken."""
        while self.take_one():
            pass
        assert self.mailbox.waiting == 0
        assert not any(self.sent.values())
        assert all(credit > 0 for credit in self.credit.values())

    @invariant()
    def nobody_has_more_than_a_window(self) -> None:
        """Memory is bounded."""
        assert all(credit <= WINDOW_UNITS for credit in self.credit.values())

    def take_one(self) -> bool:
        delivery = take(self.mailbox.inbox)
        if delivery is None:
            return False
        for number in delivery.rest:
            assert self.sent[delivery.sender].popleft() == number
        assert isinstance(delivery.origin, str)
        self.credit[delivery.origin] += self.mailbox.taken(delivery)
        self.told()
        return True

    def told(self) -> None:
        for origin, units in self.mailbox.changes:
            assert isinstance(origin, str)
            self.credit[origin] += units
        self.mailbox.changes = ()


TestCredit = CreditMachine.TestCase
