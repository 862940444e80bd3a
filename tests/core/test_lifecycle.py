"""The table of one child's life: every pair of state and input is listed, or an error."""

from __future__ import annotations

import itertools

import pytest

from supervisor.core.lifecycle import GOING_DOWN, LIVING, TRANSITIONS, Input, transition
from supervisor.core.view import State
from wippy.errors import Internal

ENDS = {
    Input.WILL_RESTART: State.IDLE,
    Input.WILL_RETRY: State.BACKOFF,
    Input.FINISHED: State.DONE,
    Input.HELD_DOWN: State.HELD,
    Input.QUARANTINED: State.FAILED,
    Input.NOT_NEEDED: State.IGNORED,
}
ASKED = {
    State.IDLE: {Input.LAUNCH: State.STARTING, Input.HOLD: State.HELD},
    State.STARTING: {
        Input.READY: State.UP, Input.STOP: State.STOPPING, Input.KILL: State.KILLING, **ENDS,
    },
    State.UP: {Input.STOP: State.STOPPING, Input.KILL: State.KILLING, **ENDS},
    State.STOPPING: {Input.KILL: State.KILLING, **ENDS},
    State.KILLING: {Input.OVERDUE: State.UNKILLABLE, **ENDS},
    State.UNKILLABLE: ENDS,
    State.BACKOFF: {Input.RETRY: State.IDLE, Input.HOLD: State.HELD},
    State.DONE: {Input.REVIVE: State.IDLE, Input.HOLD: State.HELD},
    State.HELD: {Input.REVIVE: State.IDLE, Input.HOLD: State.HELD},
    State.FAILED: {Input.REVIVE: State.IDLE, Input.HOLD: State.HELD},
    State.IGNORED: {Input.REVIVE: State.IDLE, Input.HOLD: State.HELD},
}  # fmt: skip
"""The life of a child, written down a second time."""


@pytest.mark.parametrize("state", State)
def test_every_pair_is_listed_or_an_error_that_names_both(state: State) -> None:
    for input in Input:
        after = ASKED[state].get(input)
        if after is not None:
            assert transition(state, input) is after
            continue
        with pytest.raises(Internal) as raised:
            transition(state, input)
        assert repr(input) in str(raised.value)
        assert repr(state) in str(raised.value)


def test_the_table_lists_nothing_else() -> None:
    pairs = {(state, input) for state in State for input in ASKED[state]}
    assert set(TRANSITIONS) == pairs


def test_every_end_is_accepted_in_every_living_state_and_in_no_other() -> None:
    for state, end in itertools.product(State, ENDS):
        assert ((state, end) in TRANSITIONS) == (state in LIVING)


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS.values()) == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State)


def test_what_goes_down_is_alive() -> None:
    assert GOING_DOWN < LIVING
