"""Hung is not dead, frozen is not hung (supervision.md section 7)."""

from __future__ import annotations

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.lifecycle import Intent, Watch
from supervisor.core.tree import stopping
from supervisor.core.tree.child import Child
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State

DUMP_WAIT_S = 0.5
"""Time for faulthandler to write the stacks before SIGKILL."""
STOPPED_STATES = frozenset({"T", "t"})
"""proc_pid_stat(5): stopped by a signal, stopped by a tracer."""


def beat(forest: Forest, child: Child) -> None:
    """A sign of life."""
    child.beaten_at_s = forest.now_s
    if child.watch is Watch.FROZEN:
        _thaw(forest, child)
    elif child.watch is Watch.SUSPECT:
        child.watch = Watch.ALIVE
        forest.set_deadline(child, "beat", forest.heartbeat_timeout_s(child))


def beat_due(forest: Forest, child: Child) -> None:
    """The deadline of the heartbeat has passed; it is moved lazily, so look first."""
    if child.state is not State.UP:
        return
    left_s = child.beaten_at_s + forest.heartbeat_timeout_s(child) - forest.now_s
    if child.watch is Watch.DUMPING:
        stopping.stop(forest, child, Intent.HUNG)
    elif left_s > 0:
        forest.set_deadline(child, "beat", left_s)
    elif child.watch is Watch.ALIVE:
        child.watch = Watch.SUSPECT
        forest.act(steps.CheckOs(child.id, child.generation))


def os_seen(forest: Forest, child: Child, os_state: str) -> None:
    """The kernel says what a process is doing."""
    if not child.is_living or child.supervision is not None:
        return
    if os_state in STOPPED_STATES:
        if child.watch is not Watch.FROZEN:
            child.watch = Watch.FROZEN
            text = f"pid {child.os_pid} is stopped (SIGSTOP); continue it with SIGCONT"
            forest.note(FactKind.FROZEN, child, os_pid=child.os_pid, text=text)
    elif child.watch is Watch.FROZEN:
        _thaw(forest, child)
    elif child.watch is Watch.SUSPECT and child.state is State.UP:
        _dump(forest, child)


def over_memory(forest: Forest, child: Child, event: steps.OverMemory) -> None:
    """Stop what uses more memory than it may; its own restart type decides what follows."""
    if child.state is State.UP:
        child.over_memory = event
        stopping.stop(forest, child, Intent.MEMORY)


def is_stable(forest: Forest, child: Child) -> None:
    """It has lived for `stable_threshold`: a crash loop is over."""
    forest.freshen(child)
    if child.short_lives >= 1 and child.state is State.UP:
        child.short_lives = child.attempt = 0
        forest.note(FactKind.STABLE, child, text="stable again")


def _thaw(forest: Forest, child: Child) -> None:
    child.watch = Watch.ALIVE
    child.beaten_at_s = forest.now_s  # silence while frozen does not count
    if child.state is State.UP and forest.heartbeat_timeout_s(child) > 0:
        forest.set_deadline(child, "beat", forest.heartbeat_timeout_s(child))
    forest.note(FactKind.THAWED, child, os_pid=child.os_pid, text="continued")


def _dump(forest: Forest, child: Child) -> None:
    child.watch = Watch.DUMPING
    silent_s = forest.now_s - child.beaten_at_s
    text = f"no heartbeat for {silent_s:.1f} s; asking for its stacks, then SIGKILL"
    forest.note(FactKind.HUNG, child, os_pid=child.os_pid, text=text)
    forest.act(steps.DumpStacks(child.id, child.generation))
    forest.set_deadline(child, "beat", DUMP_WAIT_S)
