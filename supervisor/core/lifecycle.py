"""The life of one child: states, inputs, and the table between them.

Theory of operation. A child is a process or a supervisor; both live the same life. It is `idle`
until its turn comes, `starting` until READY, `up` until somebody asks it to stop (`stopping`) or
it ends. Past the stop timeout it is `killing`; past a finite wait after SIGKILL `unkillable`, and
no twin is ever started beside it.

Conflicts and who wins: an end is the last word of a generation, whatever was asked before, so
every living state accepts every kind of end; what an end leads to (`WILL_RESTART`, `HELD_DOWN`,
...) is judged before the table is asked, from the intention that was recorded when the stop was
asked for. READY that arrives while a child is being stopped is too late and is dropped by the
caller. Events of an older generation are dropped before the table, so an unlisted pair is a bug,
and the error names both.
"""

from __future__ import annotations

import enum

from supervisor.core.view import State
from wippy.errors import Internal


class Input(enum.StrEnum):
    """What can happen to a child."""

    LAUNCH = "launch"  # its turn has come
    READY = "ready"
    STOP = "stop"  # asked to end
    KILL = "kill"  # SIGKILL sent
    OVERDUE = "overdue"  # SIGKILL did not help
    RETRY = "retry"  # the back-off is over, or was cancelled
    HOLD = "hold"  # an operator's stop of what does not run
    REVIVE = "revive"  # an operator's start, or a new life of its supervisor
    WILL_RESTART = "will_restart"  # ended; starts again when its turn comes
    WILL_RETRY = "will_retry"  # ended; starts again after a back-off
    FINISHED = "finished"  # ended for good, and well
    HELD_DOWN = "held_down"  # ended by an operator's stop
    QUARANTINED = "quarantined"  # ended once too often
    NOT_NEEDED = "not_needed"  # ended, having said that it is not needed


class Intent(enum.StrEnum):
    """Why a child was asked to stop; recorded first, so that its exit can be judged."""

    NONE = "none"
    RESTART = "restart"  # an operator's restart
    GROUP = "group"  # a sibling's death, by the strategy
    HOLD = "hold"  # an operator's stop
    SHUTDOWN = "shutdown"  # its supervisor is going down
    CHANGED = "changed"  # it starts again with a changed spec
    LEFT_OUT = "left_out"  # the configuration has no such child here any more
    HUNG = "hung"
    START_TIMEOUT = "start_timeout"
    MEMORY = "memory"
    NOT_NEEDED = "not_needed"


class Watch(enum.StrEnum):
    """What the heartbeats say of a child that is up."""

    ALIVE = "alive"
    FROZEN = "frozen"  # SIGSTOP: not hung, and not killed for it
    SUSPECT = "suspect"  # silent too long; the kernel is asked why
    DUMPING = "dumping"  # asked to write its stacks; killed next


LIVING = frozenset({State.STARTING, State.UP, State.STOPPING, State.KILLING, State.UNKILLABLE})
"""States with a process, or with living children, behind them."""

GOING_DOWN = frozenset({State.STOPPING, State.KILLING})

_ENDS = {
    Input.WILL_RESTART: State.IDLE,
    Input.WILL_RETRY: State.BACKOFF,
    Input.FINISHED: State.DONE,
    Input.HELD_DOWN: State.HELD,
    Input.QUARANTINED: State.FAILED,
    Input.NOT_NEEDED: State.IGNORED,
}
_AT_REST = (State.DONE, State.HELD, State.FAILED, State.IGNORED)

TRANSITIONS: dict[tuple[State, Input], State] = {
    (State.IDLE, Input.LAUNCH): State.STARTING,
    (State.IDLE, Input.HOLD): State.HELD,
    (State.STARTING, Input.READY): State.UP,
    (State.STARTING, Input.STOP): State.STOPPING,
    (State.STARTING, Input.KILL): State.KILLING,
    (State.UP, Input.STOP): State.STOPPING,
    (State.UP, Input.KILL): State.KILLING,
    (State.STOPPING, Input.KILL): State.KILLING,
    (State.KILLING, Input.OVERDUE): State.UNKILLABLE,
    (State.BACKOFF, Input.RETRY): State.IDLE,
    (State.BACKOFF, Input.HOLD): State.HELD,
    **{(state, Input.REVIVE): State.IDLE for state in _AT_REST},
    **{(state, Input.HOLD): State.HELD for state in _AT_REST},
    **{(state, end): after for state in sorted(LIVING) for end, after in _ENDS.items()},
}


def transition(state: State, input: Input) -> State:
    """Return the state after `input`; an unlisted pair is a bug of ours."""
    try:
        return TRANSITIONS[state, input]
    except KeyError:
        raise Internal(f"lifecycle: input {input!r} in state {state!r}") from None
