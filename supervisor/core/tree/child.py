"""One child of the tree, and what a supervisor knows beyond being a child."""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field

from supervisor.core import steps
from supervisor.core.intensity import Intensity
from supervisor.core.lifecycle import LIVING, Intent, Watch
from supervisor.core.spec import ChildSpec, SupervisorSpec
from supervisor.core.view import State
from wippy.core.reasons import ExitReason

EXITS_KEPT = 20
"""Last exit reasons kept for each child: what `why` shows on one screen."""
EXITS_IN_CHAIN = 3
"""Last exits of the child named in a `gave_up`: enough to see whether they are all alike."""
KILL_WAIT_S = 5.0
"""Finite wait after SIGKILL before a child is called unkillable."""
CUTTABLE = LIVING - {State.UNKILLABLE}
"""States in which a child is waited for when it must go down; what SIGKILL could not end delays
nobody."""
TOUCHABLE = frozenset({State.STARTING, State.UP})
"""States in which a child can be asked to stop."""
CRASH_LOOP_LIVES = 5
"""Consecutive lives shorter than `stable_threshold` that make a crash loop."""


class Change(enum.StrEnum):
    """What a changed configuration still wants of a child."""

    NONE = "none"
    ADDED = "added"  # new, and has not been READY yet
    UPGRADING = "upgrading"  # lives; told of its new code, it answers when it likes
    OUTDATED = "outdated"  # lives as before; is restarted with its `next` spec in its turn
    TRIED = "tried"  # was restarted with a changed spec, and has not been READY since
    LEAVING = "leaving"  # is to be stopped, and then its row goes


ON_TRIAL = frozenset({Change.ADDED, Change.TRIED})
"""Who fails before it was READY with what is new has harmed nobody: it alone is tried again, and
no limit counts it, so that a bad change does not take down what ran well."""


@dataclass(slots=True)
class Adoption:
    """An adopted configuration whose outcome is awaited.

    Attributes:
        version: Of the configuration.
        grace_s: How long what it touched may take to become READY.
        waiting: Children that it touched and that have not proven themselves yet.
        fresh: Those of them that something has happened to since they were looked at: without it a
            change of thousands would be quadratic.
        refused: Those of them that go on as they were, and why.
    """

    version: int
    grace_s: float
    waiting: dict[str, None]
    fresh: dict[str, None]
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Supervision:
    """What a supervisor knows beyond being a child.

    Attributes:
        spec: Strategy and so on.
        order: Its children, in start order.
        window: Restarts counted.
        cut: Children that must be down before anything is started, in start order; who is down
            leaves it.
        untold: Those of the cut that have not been asked to stop.
        settled: Children at the head of `order` that need no look: they had settled, and nothing
            has happened since. Without it a start of thousands would be quadratic.
        parting: With which reason it ends once its children are down.
        last_number: Of its dynamic children.
        leaving: Children that are to be removed, and have not been asked to stop, in start order.
        going: Those that have been, and are still there.
        outdated: Children that are to be restarted for a change, in start order.
        rolling: The one of them that is being restarted, one at a time; empty if none.
    """

    spec: SupervisorSpec
    order: list[str]
    window: Intensity
    cut: dict[str, None] = field(default_factory=dict)
    untold: dict[str, None] = field(default_factory=dict)
    settled: int = 0
    parting: ExitReason | None = None
    last_number: int = 0
    leaving: dict[str, None] = field(default_factory=dict)
    going: dict[str, None] = field(default_factory=dict)
    outdated: dict[str, None] = field(default_factory=dict)
    rolling: str = ""


@dataclass(slots=True)
class Child:
    """One child. Times are monotonic seconds; 0 where there is none.

    `spec` is what it runs as; `next`, of one that lives, what it is to be from its next start on.
    """

    spec: ChildSpec
    next: ChildSpec | None = None
    change: Change = Change.NONE
    asked_version: int = 0  # of the upgrade it was last asked for
    state: State = State.IDLE
    generation: int = 0
    intent: Intent = Intent.NONE
    then: Intent = Intent.NONE  # an operator's word while it was going down: what is to follow
    watch: Watch = Watch.ALIVE
    os_pid: int = 0
    launched_at_s: float = 0.0
    ready_at_s: float = 0.0
    died_at_s: float = 0.0
    beaten_at_s: float = 0.0
    over_memory: steps.OverMemory | None = None
    attempt: int = 0  # restarts since the last stable life: the back-off's exponent
    short_lives: int = 0
    restarts: int = 0
    restarted_at_s: deque[float] = field(default_factory=lambda: deque(maxlen=64))
    exits: deque[ExitReason] = field(default_factory=lambda: deque(maxlen=EXITS_KEPT))
    window: Intensity | None = None
    caused_by: str = ""
    waits_for: str = ""
    supervision: Supervision | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return self.spec.id

    @property
    def is_living(self) -> bool:
        """Whether a process, or living children, stand behind it."""
        return self.state in LIVING

    @property
    def target(self) -> ChildSpec:
        """What it is to be: its next spec, or the one it has."""
        return self.spec if self.next is None else self.next

    def forgive(self) -> None:
        """Begin with a clean slate: an operator's start, or a new life of the supervisor."""
        self.attempt = self.short_lives = 0
        if self.window is not None:
            self.window = Intensity(self.window.max_restarts, self.window.window_s)
