"""The worker of a call: the one with the fewest under way, and equals take turns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wippy.core.placing import Placing, Worker

A, B, C = ("p#1", 1), ("p#2", 1), ("p#3", 4)


def row(**loads: int) -> list[tuple[str, int, int]]:
    known = {"a": A, "b": B, "c": C}
    return [(*known[name], load) for name, load in loads.items()]


def test_calls_that_do_not_end_are_spread_evenly() -> None:
    placing = Placing()
    chosen = [placing.choose(row(a=0, b=0, c=0)) for _ in range(6)]
    assert sorted(chosen) == sorted([A, B, C] * 2)


def test_calls_one_after_the_other_take_turns() -> None:
    placing, chosen = Placing(), []
    for _ in range(4):
        chosen.append(placing.choose(row(a=0, b=0)))
        placing.ended(chosen[-1], 0)
    assert chosen == [A, B, A, B]


def test_what_others_have_under_way_counts_as_the_row_says() -> None:
    placing = Placing()
    assert [placing.choose(row(a=3, b=0)) for _ in range(4)] == [B, B, B, A]


def test_own_calls_that_a_row_counts_too_are_not_counted_twice() -> None:
    placing = Placing()
    assert {placing.choose(row(a=0, b=0)) for _ in range(2)} == {A, B}
    # The beat of A counts our call there; B's has not come yet.
    assert {placing.choose(row(a=1, b=0)) for _ in range(2)} == {A, B}


def test_the_last_word_of_a_worker_is_worth_more_than_an_old_row() -> None:
    placing = Placing()
    assert placing.choose(row(a=9, b=5)) == B
    placing.ended(B, 0)
    assert placing.choose(row(a=9, b=5)) == B  # the row has not changed since


def test_an_answer_tells_of_others_only_what_is_not_our_own() -> None:
    placing = Placing()
    for _ in range(4):
        placing.choose(row(a=0))
    placing.ended(A, 3)  # our own three that are left
    placing.ended(A, None)
    placing.ended(A, None)
    placing.ended(A, None)
    assert placing.own(A) == 0
    assert [placing.choose(row(a=0, b=0)) for _ in range(2)] == [B, A]


def test_a_worker_that_is_gone_is_forgotten() -> None:
    placing = Placing()
    placing.choose(row(a=0, b=0))
    placing.choose(row(a=0, b=0))
    assert placing.choose(row(c=7)) == C
    assert placing.own(A) == 1  # until its calls are over
    placing.ended(A)
    assert placing.own(A) == 0


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_no_worker_has_two_calls_more_than_another_while_none_ends(
    steps: list[tuple[int, bool]],
) -> None:
    placing = Placing()
    under_way: dict[Worker, int] = dict.fromkeys((A, B, C), 0)
    for which, is_end in steps:
        worker = (A, B, C)[which]
        if is_end and under_way[worker]:
            under_way[worker] -= 1
            placing.ended(worker, sum(under_way.values()) and under_way[worker])
            continue
        fewest = min(under_way.values())
        chosen = placing.choose(row(a=0, b=0, c=0))
        assert under_way[chosen] == fewest
        under_way[chosen] += 1
        assert {it: placing.own(it) for it in under_way} == under_way
