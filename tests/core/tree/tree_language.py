"""A tiny language for trees: the configuration in a few lines, events, and all that happens.

    tree rest_for_one 3/10        a supervisor `app:tree` below `wippy:root`; 3 restarts in 10 s
      a                           its children, in order; deeper indentation nests
      b transient stop=0.5
      sub one_for_one parallel
        c requires=a

Words of a supervisor: a strategy, `N/S` (intensity), `parallel`, `auto=any`, `auto=all`. Words of
any child: a restart type, `start=S`, `stop=S`, `stable=S`, `beat=S`, `backoff=S`, `own=N/S`,
`quarantine`, `significant`, `essential`, `manual`, `foreign`, `pooled`, `requires=a,b`.
Words of the line `node`, which may come first: `N/S`, `slots=N`, `ordered`, `recovering`,
`held=a,b`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from supervisor.core import facts, steps
from supervisor.core.spec import (
    ROOT_ID,
    AutoShutdown,
    ChildSpec,
    Code,
    Dedicated,
    Foreign,
    IntensitySpec,
    Launch,
    Lifecycle,
    OnLimit,
    PoolActor,
    Restart,
    StartMode,
    Strategy,
    SupervisorSpec,
    TreeSpec,
)
from supervisor.core.tree import Tree
from supervisor.core.tree.rows import rows
from supervisor.core.view import State
from wippy.core import reasons
from wippy.core.backoff import Backoff
from wippy.core.reasons import ExitReason
from wippy.errors import WippyError

T0_S = 1000.0
"""Transcripts begin then; they show seconds since."""
CODE = Code(method="main", text="")
STRATEGIES = frozenset(str(strategy) for strategy in Strategy)
RESTARTS = frozenset(str(restart) for restart in Restart)
SECONDS = {
    "start": "start_timeout_s",
    "stop": "stop_timeout_s",
    "stable": "stable_threshold_s",
    "beat": "heartbeat_timeout_s",
}
FLAGS: dict[str, dict[str, Any]] = {
    "quarantine": {"on_limit": OnLimit.QUARANTINE},
    "significant": {"significant": True},
    "essential": {"essential": True},
    "manual": {"auto_start": False},
}
AUTO = {"any": AutoShutdown.ANY_SIGNIFICANT, "all": AutoShutdown.ALL_SIGNIFICANT}


def full(name: str) -> str:
    """Return a bare name as an id."""
    return name if ":" in name else f"app:{name}"


# --- the configuration ---------------------------------------------------------------------------


def parse_tree(lines: list[str]) -> tuple[TreeSpec, dict[str, Any]]:
    """Return the tree, and the arguments of `Tree`, that `lines` describe."""
    words = lines[0].split()[1:] if lines[0].split()[0] == "node" else []
    top, arguments = _node(words)
    specs = {ROOT_ID: top}
    _children(specs, ROOT_ID, lines[1:] if lines[0].startswith("node") else lines)
    return TreeSpec(specs), arguments


def _node(words: list[str]) -> tuple[ChildSpec, dict[str, Any]]:
    supervisor = SupervisorSpec(start=StartMode.PARALLEL, intensity=IntensitySpec(20, 10.0))
    arguments: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key == "slots":
            arguments["start_parallel"] = int(value)
        elif key == "recovering":
            arguments["recovering"] = True
        elif key == "held":
            arguments["held"] = [full(name) for name in value.split(",")]
        elif key == "ordered":
            supervisor = replace(supervisor, start=StartMode.ORDERED)
        else:
            supervisor = replace(supervisor, intensity=_intensity(word))
    return ChildSpec(id=ROOT_ID, parent="", kind="supervisor", supervisor=supervisor), arguments


def _children(specs: dict[str, ChildSpec], parent: str, lines: list[str]) -> None:
    """Add the children of `parent`: the blocks of `lines` at the least indentation."""
    ids = []
    for head, below in _blocks(lines):
        spec = _child(parent, head.split())
        specs[spec.id] = spec
        ids.append(spec.id)
        _children(specs, spec.id, below)
    owner = specs[parent]
    if owner.supervisor is not None:
        supervisor = owner.supervisor
        if supervisor.strategy is Strategy.DYNAMIC:
            template = ChildSpec(id="", parent=parent, kind="process.service", launch=_launch([]))
            supervisor = replace(supervisor, template=template, start=StartMode.PARALLEL)
        specs[parent] = replace(owner, supervisor=replace(supervisor, children=tuple(ids)))


def _blocks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    if not lines:
        return
    depths = [len(line) - len(line.lstrip()) for line in lines]
    starts = [n for n, depth in enumerate(depths) if depth == depths[0]]
    for start, end in itertools.pairwise([*starts, len(lines)]):
        yield lines[start], lines[start + 1 : end]


def _child(parent: str, words: list[str]) -> ChildSpec:
    name, *rest = words
    strategies = [word for word in rest if word in STRATEGIES]
    return ChildSpec(
        id=full(name),
        parent=parent,
        kind="supervisor" if strategies else "process.service",
        lifecycle=_lifecycle(rest),
        launch=None if strategies else _launch(rest),
        supervisor=_supervisor(strategies[0], rest) if strategies else None,
    )


def _supervisor(strategy: str, words: list[str]) -> SupervisorSpec:
    spec = SupervisorSpec(strategy=Strategy(strategy))
    for word in words:
        if word == "parallel":
            spec = replace(spec, start=StartMode.PARALLEL)
        elif word.startswith("auto="):
            spec = replace(spec, auto_shutdown=AUTO[word.removeprefix("auto=")])
        elif "/" in word and "=" not in word:
            spec = replace(spec, intensity=_intensity(word))
    return spec


def _launch(words: list[str]) -> Launch:
    if "foreign" in words:
        return Foreign(("program",))
    if "pooled" in words:
        return PoolActor("app:code", "app:pool", CODE)
    return Dedicated("app:code", CODE)


def _lifecycle(words: list[str]) -> Lifecycle:
    fields: dict[str, Any] = {"backoff": Backoff(jitter=0.0), "heartbeat_timeout_s": 0.0}
    for word in words:
        key, _, value = word.partition("=")
        if key in SECONDS:
            fields[SECONDS[key]] = float(value)
        elif key in RESTARTS:
            fields["restart"] = Restart(key)
        elif key == "backoff":
            fields["backoff"] = Backoff(initial_delay_s=float(value), jitter=0.0)
        elif key == "own":
            own = _intensity(value)
            fields.update(max_restarts=own.max_restarts, within_s=own.within_s)
        elif key == "requires":
            fields["requires"] = tuple(full(name) for name in value.split(","))
        else:
            fields.update(FLAGS.get(key, {}))
    return Lifecycle(**fields)


def _intensity(text: str) -> IntensitySpec:
    max_restarts, within_s = text.split("/")
    return IntensitySpec(int(max_restarts), float(within_s))


# --- events --------------------------------------------------------------------------------------


def reason(words: list[str]) -> ExitReason:
    """Return the reason written as `SIGKILL`, `exit 3`, `normal`, `ValueError boom`."""
    word, *rest = words or ["normal"]
    numbers = {name: number for number, name in reasons.SIGNAL_NAMES.items()}
    if word in numbers:
        return reasons.Signal(numbers[word])
    if word == "exit":
        return reasons.Exit(int(rest[0]))
    if word == "normal":
        return reasons.Normal()
    return reasons.Error(word, " ".join(rest))


@dataclass
class Stage:
    """A tree, its processes as far as anyone has said something of them, and the clock."""

    tree: Tree
    now_s: float = T0_S
    next_pid: int = 100

    def __post_init__(self) -> None:
        self.asked: dict[str, steps.Action] = {}
        """Launches and stops that no event has answered, by child."""

    def play(self, line: str) -> list[str]:
        """Return what happens at one line of events, as text."""
        verb, *words = line.split()
        if verb == "show":
            return self._rows()
        if verb == "up":
            return self._answer(steps.Launch)
        if verb == "obey":
            return self._answer(steps.AskStop, steps.Kill)
        if verb == "tick":
            self.now_s += float(words[0])
        told = []
        for event in self._events(verb, words):
            told += self.take(event)
        return told

    def take(self, event: steps.Event) -> list[str]:
        """Return what happens at one event."""
        try:
            actions = self.tree.step(event, self.now_s)
        except WippyError as error:
            return [f"error {error.kind}: {error}"]
        if isinstance(event, steps.BecameReady | steps.Died):
            self.asked.pop(event.id, None)
        told = []
        for action in actions:
            if isinstance(action, steps.Launch | steps.AskStop | steps.Kill):
                self.asked[action.id] = action
            told.append(_action(action))
        return told

    def _answer(self, *kinds: type[steps.Action]) -> list[str]:
        """Answer what was asked for, and what that leads to, until nothing is asked any more."""
        told = []
        while waiting := [action for action in self.asked.values() if isinstance(action, kinds)]:
            event = _answer(waiting[0])
            name, outcome = event.id, type(event).__name__
            if isinstance(event, steps.Died):
                told.append(f"> died {name} {reasons.brief(event.reason)}")
            else:
                told.append(f"> {'ready' if outcome == 'BecameReady' else outcome} {name}")
                told += self._launched(event.id)
            told += self.take(event)
        return told

    def _launched(self, id: str) -> list[str]:
        child = self.tree.child(id)
        self.next_pid += 1
        return self.take(steps.Launched(id, child.generation if child else 0, self.next_pid))

    def _events(self, verb: str, words: list[str]) -> Iterator[steps.Event]:
        name = full(words[0]) if words else ""
        child = self.tree.child(name)
        generation = child.generation if child is not None else 0
        match verb:
            case "begin":
                yield steps.Begin()
            case "ready":
                self._launched(name)
                yield steps.BecameReady(name, generation)
            case "died":
                before, _, output = " ".join(words[1:]).partition(" : ")
                lines = tuple(output.split(" | ")) if output else ()
                yield steps.Died(name, generation, reason(before.split()), lines)
            case "late":  # an event of the generation before
                yield steps.Died(name, generation - 1, reason(words[1:]))
            case "notneeded":
                yield steps.SaidNotNeeded(name, generation)
            case "beat":
                yield steps.Beat(name, generation)
            case "seen":
                yield steps.OsSeen(name, generation, words[1])
            case "memory":
                yield steps.OverMemory(name, generation, int(words[1]), int(words[2]))
            case "tick":
                yield steps.Tick()
            case "stop":
                yield steps.OperatorStop(name)
            case "start":
                yield steps.OperatorStart(name)
            case "restart":
                yield steps.OperatorRestart(name)
            case "spawn":
                yield spawn(self.tree, name, words[1:])
            case "shutdown":
                yield steps.ShutDown(" ".join(words) or "asked to")
            case _:
                raise ValueError(f"no event {verb!r}")

    def _rows(self) -> list[str]:
        told = []
        for row in rows(self.tree.forest, self.now_s):
            marks = " (crash loop)" if row.is_crash_loop else ""
            detail = f", {row.detail}" if row.detail else ""
            told.append(f"{'  ' * row.depth}{row.id} g{row.generation} {row.state}{detail}{marks}")
        return told


def spawn(tree: Tree, supervisor: str, words: list[str]) -> steps.Spawn:
    """Return the event that adds a child to a dynamic supervisor; its words are as in a tree."""
    child = tree.child(supervisor)
    number = len(child.supervision.order) + 1 if child and child.supervision else 1
    name = words[0] if words else f"{supervisor}#{number}"
    return steps.Spawn(supervisor, _child(supervisor, [name, *words[1:]]))


def _answer(action: steps.Action) -> steps.BecameReady | steps.Died:
    match action:
        case steps.Launch(id, generation):
            return steps.BecameReady(id, generation)
        case steps.AskStop(id, generation):
            return steps.Died(id, generation, reasons.Shutdown())
        case steps.Kill(id, generation):
            return steps.Died(id, generation, reasons.Signal(9))
    raise TypeError(action)


def _action(action: steps.Action) -> str:
    match action:
        case steps.Note(fact):
            return f"  {fact.kind} {fact.id or 'node'}: {facts.sentence(fact)}"
        case steps.AskStop(id, generation, why, deadline_s):
            return f"ask {id} g{generation} to stop in {deadline_s:g} s: {why}"
        case steps.Finish(code, why):
            return f"finish with {code}: {reasons.sentence(why)}"
        case steps.Forget(id):
            return f"forget {id}"
        case steps.Launch(id, generation):
            return f"launch {id} g{generation}"
        case steps.Kill(id, generation):
            return f"kill {id} g{generation}"
        case steps.DumpStacks(id, generation):
            return f"dump the stacks of {id} g{generation}"
        case steps.CheckOs(id, generation):
            return f"ask the kernel about {id} g{generation}"
    raise TypeError(action)


def states(tree: Tree) -> dict[str, State]:
    """Return the state of each child but the top, by bare name."""
    return {
        id.removeprefix("app:"): child.state
        for id, child in tree.forest.children.items()
        if id != ROOT_ID
    }


def tree_of(text: str) -> Stage:
    """Return a stage with the tree that `text` describes, not yet begun."""
    lines = [line for line in text.splitlines() if line.strip()]
    spec, arguments = parse_tree(lines)
    return Stage(Tree(spec, **arguments))


def running(text: str) -> Stage:
    """Return a stage with the tree that `text` describes, all of it up."""
    stage = tree_of(text)
    stage.play("begin")
    stage.play("up")
    return stage
