"""Who gets which connection: the rules one by one, and all of them under any order of events."""

from __future__ import annotations

import math

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from wippy.core.lending import Action, Bounds, Check, Close, Lend, Lending, Open, Refuse

TWO = Bounds(max_connections=2, idle_timeout_s=60.0, check_after_s=1.0)
SHARED = Bounds(max_connections=1, idle_timeout_s=60.0, check_after_s=1.0, share=2**31)


def lending(bounds: Bounds = TWO) -> Lending:
    made = Lending()
    assert made.adopt(1, bounds, 0.0) == []
    return made


def with_idle(bounds: Bounds = TWO) -> Lending:
    """One connection, number 1, that was given back at 0 s."""
    made = lending(bounds)
    made.ask(1, 0.0)
    made.opened(1, 0.0)
    assert made.give_back(1, 0.0, is_good=True) == []
    return made


def test_the_first_who_asks_gets_what_is_opened_for_it() -> None:
    pool = lending()
    assert pool.ask(7, 0.0) == [Open(1)]
    assert pool.opened(1, 0.1) == [Lend(7, 1)]
    assert (pool.open, pool.users, pool.waiting) == (1, 1, 0)


def test_what_was_used_just_now_is_handed_out_unchecked() -> None:
    assert with_idle().ask(2, 0.5) == [Lend(2, 1)]


def test_what_was_not_used_for_long_is_checked_first() -> None:
    pool = with_idle()
    assert pool.ask(2, 1.0) == [Check(1)]
    assert pool.checked(1, 1.1, is_alive=True) == [Lend(2, 1)]


def test_check_after_zero_checks_each_time_and_only_once() -> None:
    pool = with_idle(Bounds(2, 60.0, 0.0))
    assert pool.ask(2, 0.0) == [Check(1)]
    assert pool.checked(1, 0.0, is_alive=True) == [Lend(2, 1)]


def test_one_that_does_not_answer_is_closed_and_another_one_opened() -> None:
    pool = with_idle()
    pool.ask(2, 5.0)
    assert pool.checked(1, 5.1, is_alive=False) == [Close(1), Open(2)]
    assert pool.opened(2, 5.2) == [Lend(2, 2)]


def test_past_the_bound_who_asks_waits_for_what_comes_back_in_order() -> None:
    pool = lending()
    assert [pool.ask(ticket, 0.0) for ticket in (1, 2, 3, 4)] == [[Open(1)], [Open(2)], [], []]
    pool.opened(1, 0.0)
    pool.opened(2, 0.0)
    assert pool.give_back(2, 0.0, is_good=True) == [Lend(3, 2)]
    assert pool.give_back(1, 0.0, is_good=True) == [Lend(4, 1)]


def test_what_comes_back_serves_who_waits_for_an_opening() -> None:
    pool = lending()
    pool.ask(1, 0.0)
    pool.opened(1, 0.0)
    assert pool.ask(2, 0.0) == [Open(2)]
    assert pool.give_back(1, 0.0, is_good=True) == [Lend(2, 1)]
    assert pool.opened(2, 0.1) == []


def test_after_a_change_new_work_gets_a_new_one_at_once_and_old_work_goes_on() -> None:
    pool = lending(Bounds(1, 60.0, 1.0))
    pool.ask(1, 0.0)
    pool.opened(1, 0.0)
    assert pool.adopt(2, Bounds(1, 60.0, 1.0), 1.0) == []
    assert pool.ask(2, 1.0) == [Open(2)]
    assert pool.opened(2, 1.1) == [Lend(2, 2)]
    assert pool.give_back(1, 2.0, is_good=True) == [Close(1)]


def test_after_a_change_what_is_idle_is_closed_at_once() -> None:
    assert with_idle().adopt(2, TWO, 0.0) == [Close(1)]


def test_what_was_being_opened_when_the_entry_changed_is_closed_and_nobody_gets_it() -> None:
    pool = lending(Bounds(1, 60.0, 1.0))
    pool.ask(1, 0.0)
    assert pool.adopt(2, Bounds(1, 60.0, 1.0), 0.0) == [Open(2)]
    assert pool.opened(1, 0.1) == [Close(1)]
    assert pool.opened(2, 0.2) == [Lend(1, 2)]


def test_what_was_being_checked_when_the_entry_changed_is_closed() -> None:
    pool = with_idle()
    pool.ask(2, 5.0)
    assert pool.adopt(2, TWO, 5.0) == [Open(2)]
    assert pool.checked(1, 5.1, is_alive=True) == [Close(1)]


def test_new_bounds_alone_close_nothing_but_the_surplus() -> None:
    pool = lending()
    for ticket in (1, 2):
        pool.ask(ticket, 0.0)
        pool.opened(ticket, 0.0)
    for number, at_s in ((2, 1.0), (1, 2.0)):
        pool.give_back(number, at_s, is_good=True)
    assert pool.adopt(1, Bounds(1, 60.0, 1.0), 2.0) == [Close(2)]


def test_entries_that_keep_changing_pile_up_at_most_twice_the_bound() -> None:
    pool = lending()
    for generation in range(1, 3):
        pool.adopt(generation, TWO, 0.0)
        for ticket in (1, 2):
            (opened,) = pool.ask(10 * generation + ticket, 0.0)
            assert isinstance(opened, Open)
            pool.opened(opened.number, 0.0)
    pool.adopt(3, TWO, 0.0)
    assert pool.ask(31, 0.0) == []
    assert pool.give_back(1, 0.0, is_good=True) == [Close(1), Open(5)]


def test_a_failed_opening_refuses_all_who_wait_when_nothing_could_come_back() -> None:
    pool = lending(Bounds(1, 60.0, 1.0))
    for ticket in (1, 2, 3):
        pool.ask(ticket, 0.0)
    assert pool.failed(1, 0.1) == [Refuse(1), Refuse(2), Refuse(3)]
    assert pool.ask(4, 0.2) == [Open(2)]


def test_a_failed_opening_refuses_one_when_others_may_be_served_by_what_comes_back() -> None:
    pool = lending()
    for ticket in (1, 2, 3):
        pool.ask(ticket, 0.0)
    pool.opened(1, 0.0)
    assert pool.failed(2, 0.1) == [Refuse(2), Open(3)]


def test_who_gives_up_is_not_served() -> None:
    pool = lending()
    pool.ask(1, 0.0)
    pool.withdraw(1)
    assert pool.opened(1, 0.1) == []
    assert pool.ask(2, 0.1) == [Lend(2, 1)]


def test_one_that_is_given_back_broken_is_closed() -> None:
    pool = lending()
    pool.ask(1, 0.0)
    pool.opened(1, 0.0)
    assert pool.give_back(1, 0.0, is_good=False) == [Close(1)]


def test_one_that_broke_has_the_others_checked_before_they_are_handed_out() -> None:
    pool = lending()
    for ticket in (1, 2):
        pool.ask(ticket, 0.0)
        pool.opened(ticket, 0.0)
    pool.give_back(1, 0.0, is_good=True)
    assert pool.give_back(2, 0.0, is_good=False) == [Close(2)]
    assert pool.ask(3, 0.0) == [Check(1)]
    assert pool.checked(1, 0.1, is_alive=False) == [Close(1), Open(3)]


def test_a_shared_one_serves_everybody_and_closes_with_its_last_user() -> None:
    pool = lending(SHARED)
    assert [pool.ask(ticket, 0.0) for ticket in (1, 2)] == [[Open(1)], []]
    assert pool.opened(1, 0.0) == [Lend(1, 1), Lend(2, 1)]
    assert pool.ask(3, 9.0) == [Lend(3, 1)]
    assert pool.adopt(2, SHARED, 9.0) == []
    assert [pool.give_back(1, 9.0, is_good=True) for _ in range(3)] == [[], [], [Close(1)]]


def test_what_nobody_uses_is_closed_after_a_while() -> None:
    pool = with_idle()
    assert pool.tidy(59.9) == []
    assert pool.tidy(60.0) == [Close(1)]
    assert pool.open == 0


def test_a_retired_one_refuses_who_waits_and_lets_users_finish() -> None:
    pool = lending(Bounds(1, 60.0, 1.0))
    pool.ask(1, 0.0)
    pool.opened(1, 0.0)
    pool.ask(2, 0.0)
    assert pool.retire(2) == [Refuse(2)]
    assert pool.give_back(1, 0.0, is_good=True) == [Close(1)]
    assert pool.open == 0


class LendingMachine(RuleBasedStateMachine):
    """Any order of events; the model is a list of what was said, and the promises about it."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Lending()
        self.now_s = 0.0
        self.generation = 0
        self.bounds = TWO
        self.is_retired = False
        self.tickets = 0
        self.waiting: list[int] = []
        self.born: dict[int, int] = {}
        self.opening: list[int] = []
        self.checking: list[int] = []
        self.users: dict[int, int] = {}
        self.alive_at_s: dict[int, float] = {}
        self.broken: set[int] = set()

    @initialize(count=st.integers(1, 3), share=st.sampled_from([1, 2, 100]))
    def begin(self, count: int, share: int) -> None:
        self.bounds = Bounds(count, 3.0, 1.0, share)
        self.generation = 1
        self.do(self.pool.adopt(1, self.bounds, self.now_s))

    @rule(elapsed_s=st.sampled_from([0.5, 1.0, 3.0]))
    def wait(self, elapsed_s: float) -> None:
        self.now_s += elapsed_s

    @precondition(lambda self: not self.is_retired)
    @rule()
    def ask(self) -> None:
        self.tickets += 1
        self.waiting.append(self.tickets)
        self.do(self.pool.ask(self.tickets, self.now_s))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(ticket)
        self.pool.withdraw(ticket)

    @rule(count=st.integers(1, 3), is_elsewhere=st.booleans())
    def adopt(self, count: int, is_elsewhere: bool) -> None:
        if is_elsewhere or self.is_retired:
            self.generation += 1
        self.is_retired = False
        self.bounds = Bounds(count, 3.0, 1.0, self.bounds.share)
        self.do(self.pool.adopt(self.generation, self.bounds, self.now_s))

    @rule()
    def retire(self) -> None:
        self.generation += 1
        self.is_retired = True
        self.do(self.pool.retire(self.generation))
        assert not self.waiting

    @precondition(lambda self: self.opening)
    @rule(data=st.data(), is_open=st.booleans())
    def opening_ends(self, data: st.DataObject, is_open: bool) -> None:
        number = data.draw(st.sampled_from(self.opening))
        self.opening.remove(number)
        if is_open:
            self.users[number], self.alive_at_s[number] = 0, self.now_s
            self.do(self.pool.opened(number, self.now_s))
        else:
            is_heard = self.is_newest(number) and bool(self.waiting)
            before = len(self.waiting)
            del self.born[number]
            self.do(self.pool.failed(number, self.now_s))
            assert (len(self.waiting) < before) == is_heard

    @precondition(lambda self: self.checking)
    @rule(data=st.data(), is_alive=st.booleans())
    def check_ends(self, data: st.DataObject, is_alive: bool) -> None:
        number = data.draw(st.sampled_from(self.checking))
        self.checking.remove(number)
        if is_alive:
            self.alive_at_s[number] = self.now_s
        else:
            self.broken.add(number)
        self.do(self.pool.checked(number, self.now_s, is_alive=is_alive))
        assert is_alive or number not in self.born

    @precondition(lambda self: any(self.users.values()))
    @rule(data=st.data(), is_good=st.booleans())
    def give_back(self, data: st.DataObject, is_good: bool) -> None:
        used = [number for number, count in self.users.items() if count]
        number = data.draw(st.sampled_from(used))
        self.users[number] -= 1
        if is_good:
            self.alive_at_s[number] = self.now_s
        else:
            self.broken.add(number)
            for other in self.users:
                if other != number and self.is_idle(other):
                    self.alive_at_s[other] = -math.inf
        self.do(self.pool.give_back(number, self.now_s, is_good=is_good))

    @rule()
    def tidy(self) -> None:
        self.do(self.pool.tidy(self.now_s))
        idle = [number for number, count in self.users.items() if not count]
        for number in set(idle) - set(self.checking):
            assert self.alive_at_s[number] > self.now_s - self.bounds.idle_timeout_s

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Open(number=number):
                    assert not self.is_retired
                    assert number not in self.born
                    newest = [it for it in self.born if self.is_newest(it)]
                    assert len(newest) < self.bounds.max_connections
                    assert len(self.born) < 2 * self.bounds.max_connections
                    self.born[number] = self.generation
                    self.opening.append(number)
                case Check(number=number):
                    assert self.is_idle(number)
                    assert self.is_newest(number)
                    self.checking.append(number)
                case Lend(ticket=ticket, number=number):
                    assert ticket == self.waiting.pop(0)
                    assert number not in self.checking
                    assert self.is_newest(number)
                    assert self.users[number] < self.bounds.share
                    unused_s = self.now_s - self.alive_at_s[number]
                    assert self.users[number] or unused_s < self.bounds.check_after_s
                    self.users[number] += 1
                case Refuse(ticket=ticket):
                    assert ticket == self.waiting.pop(0)
                case Close(number=number):
                    assert self.is_idle(number)
                    del self.users[number], self.born[number], self.alive_at_s[number]

    def is_newest(self, number: int) -> bool:
        return self.born[number] == self.generation and number not in self.broken

    def is_idle(self, number: int) -> bool:
        return self.users[number] == 0 and number not in self.checking

    @invariant()
    def nothing_old_lies_idle(self) -> None:
        for number in self.users:
            assert not self.is_idle(number) or self.is_newest(number)

    @invariant()
    def who_waits_has_something_to_wait_for(self) -> None:
        """No waiter is forgotten: as many are served as there are connections under way, and no
        more could be opened, or handed out."""
        under_way = [it for it in (*self.opening, *self.checking) if self.is_newest(it)]
        if len(self.waiting) <= len(under_way) * self.bounds.share:
            return
        newest = [it for it in self.born if self.is_newest(it)]
        full = self.bounds.max_connections
        assert len(newest) >= full or len(self.born) >= 2 * full
        assert not [
            it
            for it in newest
            if it in self.users and it not in self.checking and self.users[it] < self.bounds.share
        ]

    @invariant()
    def it_counts_right(self) -> None:
        assert self.pool.waiting == len(self.waiting)
        assert self.pool.open == len(self.born)
        assert self.pool.users == sum(self.users.values())


TestLendingMachine = LendingMachine.TestCase
