"""What goes into the tree and what comes out: `tree.step(event, now_s) -> actions`.

Every event about a process carries the generation it is about; the tree drops those of an older
one. Every action is something that the shell can do at once, without waiting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.core.facts import Fact
from supervisor.core.spec import ChildSpec, OnChange, TreeSpec
from wippy.core.reasons import ExitReason

# --- events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """Start the tree."""


@dataclass(frozen=True, slots=True)
class Launched:
    """The kernel has made the process of a launch."""

    id: str
    generation: int
    os_pid: int


@dataclass(frozen=True, slots=True)
class BecameReady:
    """A process said READY, or its probe passed."""

    id: str
    generation: int


@dataclass(frozen=True, slots=True)
class SaidNotNeeded:
    """A starting child said that it is not needed here; its end follows."""

    id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Died:
    """A process has ended (or could not be made), with its last lines of output."""

    id: str
    generation: int
    reason: ExitReason
    output: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat."""

    id: str
    generation: int


@dataclass(frozen=True, slots=True)
class OsSeen:
    """The kernel's state letter of a process (proc_pid_stat(5)): `T` is stopped."""

    id: str
    generation: int
    os_state: str


@dataclass(frozen=True, slots=True)
class OverMemory:
    """A process uses more memory than its limit."""

    id: str
    generation: int
    used_bytes: int
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: what is due is done."""


@dataclass(frozen=True, slots=True)
class OperatorStop:
    """Stop a child and hold it down."""

    id: str


@dataclass(frozen=True, slots=True)
class OperatorStart:
    """Start what was stopped, is done or failed; or retry now what waits."""

    id: str


@dataclass(frozen=True, slots=True)
class OperatorRestart:
    """Stop a child and start it again; never counted."""

    id: str


@dataclass(frozen=True, slots=True)
class Spawn:
    """Add a child to a dynamic supervisor; `spec` is made from its template."""

    supervisor: str
    spec: ChildSpec


@dataclass(frozen=True, slots=True)
class Adopt:
    """The configuration has changed: become the tree of `spec`. Of several, the newest counts.

    Attributes:
        spec: The whole new tree.
        version: Of the registry; in facts, upgrades and the outcome.
        on_change: By child, or by supervisor for what is made from its template: what a change of
            the code means. `restart` where there is nothing.
        grace_s: `AdoptionSettled` follows when all that was touched has proven itself, or failed,
            at the latest after about this long; 0 asks for no outcome.
    """

    spec: TreeSpec
    version: int = 0
    on_change: Mapping[str, OnChange] = field(default_factory=dict)
    grace_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Upgraded:
    """An actor runs the code of `version` now, in the process that it had."""

    id: str
    generation: int
    version: int


@dataclass(frozen=True, slots=True)
class NotUpgradable:
    """An actor does not take new code while it runs: it is restarted in its turn."""

    id: str
    generation: int
    version: int


@dataclass(frozen=True, slots=True)
class UpgradeFailed:
    """The code of `version` cannot be loaded, says an actor that goes on with what it has."""

    id: str
    generation: int
    version: int
    detail: str


@dataclass(frozen=True, slots=True)
class Displaced:
    """The worker that an actor lives in is being stopped on purpose: it goes on in another."""

    id: str
    generation: int


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Stop everything in order and finish with `code`."""

    why: str
    code: int = 0


Event = (
    Begin
    | Launched
    | BecameReady
    | SaidNotNeeded
    | Died
    | Beat
    | OsSeen
    | OverMemory
    | Tick
    | OperatorStop
    | OperatorStart
    | OperatorRestart
    | Spawn
    | Adopt
    | Upgraded
    | NotUpgradable
    | UpgradeFailed
    | Displaced
    | ShutDown
)

# --- actions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launch:
    """Make the process of child `id` as `generation`."""

    id: str
    generation: int


@dataclass(frozen=True, slots=True)
class AskStop:
    """Ask a process to stop; SIGKILL follows in `deadline_s` seconds."""

    id: str
    generation: int
    reason: str
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL to a process's whole group."""

    id: str
    generation: int


@dataclass(frozen=True, slots=True)
class DumpStacks:
    """Make a process write its Python stacks to its log."""

    id: str
    generation: int


@dataclass(frozen=True, slots=True)
class CheckOs:
    """Ask the kernel for a process's state; `OsSeen` is the answer."""

    id: str
    generation: int


@dataclass(frozen=True, slots=True)
class AskUpgrade:
    """Tell an actor of its new code, that of its child's next spec; `Upgraded` or `NotUpgradable`
    is the answer, when the actor likes."""

    id: str
    generation: int
    version: int


@dataclass(frozen=True, slots=True)
class AdoptionSettled:
    """What became of the newest `Adopt`: who did not do well with it, and why, in words."""

    version: int
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Forget:
    """A child was removed; nothing of it need be kept."""

    id: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something happened; tell whoever listens."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Finish:
    """The tree is down; the runtime ends with `code`."""

    code: int
    reason: ExitReason


Action = (
    Launch
    | AskStop
    | Kill
    | DumpStacks
    | CheckOs
    | AskUpgrade
    | AdoptionSettled
    | Forget
    | Note
    | Finish
)
