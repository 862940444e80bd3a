"""A changed configuration is adopted: every child learns at once what it is to be.

What can be taken over as it runs is taken over here. What takes a stop or a restart is only marked
(`Change`); `rolling` brings it about in its turn, whatever else happens meanwhile, so that several
changes in quick succession need no care: the newest marks anew.
"""

from __future__ import annotations

from msgspec.structs import replace

from supervisor.core import steps
from supervisor.core.adoption import Takes, is_remade, launch_change
from supervisor.core.facts import FactKind
from supervisor.core.intensity import Intensity
from supervisor.core.lifecycle import GOING_DOWN
from supervisor.core.spec import ROOT_ID, ChildSpec, OnChange, TreeSpec
from supervisor.core.tree import retaking, settling, templates
from supervisor.core.tree.child import TOUCHABLE, Change, Child
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State


def adopt(forest: Forest, event: steps.Adopt) -> None:
    """Take over what can be, and mark the rest. While everything goes down nothing changes."""
    if forest.is_finished or forest.children[ROOT_ID].state in GOING_DOWN:
        return
    old, forest.spec = forest.spec, event.spec
    forest.known.update(dict.fromkeys(event.spec.children))
    touched: dict[str, None] = {}
    for child in list(forest.children.values()):
        _mark_place(forest, child, old)
    for child in list(forest.children.values()):
        if child.change is Change.LEAVING and child.id in event.spec.children:
            touched[child.id] = None  # it moves
        elif not forest.is_leaving(child):
            _take(forest, child, event, old, touched)
    _drop_what_is_down(forest)
    _add(forest, old, touched)
    _arrange(forest)
    _note_needs(forest)
    _revive_above(forest, touched)
    settling.begin(forest, event, touched)


# --- places --------------------------------------------------------------------------------------


def _mark_place(forest: Forest, child: Child, old: TreeSpec) -> None:
    """Mark who has no place any more. What is below goes with it, but for what moves."""
    is_leaving = _is_leaving(forest, child, old)
    if is_leaving and child.change is not Change.LEAVING:
        forest.note(FactKind.CHANGED, child, text="no longer configured here: to be stopped")
    if is_leaving:
        child.change = Change.LEAVING
    elif child.change is Change.LEAVING:
        child.change = Change.NONE  # wanted again before it had gone


def _is_leaving(forest: Forest, child: Child, old: TreeSpec) -> bool:
    wanted = forest.spec.children.get(child.id)
    if wanted is not None:
        return wanted.parent != child.spec.parent or is_remade(child.spec, wanted)
    if child.spec.parent not in forest.spec.children and child.spec.parent in forest.known:
        return False  # its supervisor goes, and it goes with that
    if child.id in old.children:
        return not templates.is_spare_worker(forest, child)
    return child.change is Change.LEAVING or templates.is_too_many(forest, child)


def _drop_what_is_down(forest: Forest) -> None:
    for child in list(forest.children.values()):
        is_there = forest.children.get(child.id) is child
        if is_there and child.change is Change.LEAVING and not child.is_living:
            forest.remove(child)


def _add(forest: Forest, old: TreeSpec, touched: dict[str, None]) -> None:
    """Add what is new, supervisors first; one that a temporary child left stays gone."""
    fresh: set[str] = set()
    for spec in _supervisors_first(forest.spec):
        parent = forest.children.get(spec.parent)
        if spec.id in forest.children:
            if forest.children[spec.id].change is Change.ADDED:
                fresh.add(spec.id)
                touched[spec.id] = None
            continue
        if parent is None or parent.supervision is None or forest.is_leaving(parent):
            continue  # added with it, or when it has gone from where it was
        before = old.children.get(spec.id)
        if before is not None and spec.parent not in fresh and not _comes_back(before, spec):
            continue
        child = forest.add(spec)
        fresh.add(spec.id)
        if child.state is not State.HELD:
            child.change = Change.ADDED
            touched[spec.id] = None
        forest.note(FactKind.ADDED, child, text="added")


def _supervisors_first(tree: TreeSpec) -> list[ChildSpec]:
    found, waiting = [], [ROOT_ID]
    while waiting:
        spec = tree.children[waiting.pop()]
        found.append(spec)
        waiting.extend(reversed(spec.supervisor.children if spec.supervisor else ()))
    return found


def _comes_back(before: ChildSpec, spec: ChildSpec) -> bool:
    """Say whether what ended for good is wanted again: it is to do something else, or to stay."""
    if before.parent != spec.parent or before.lifecycle.restart is not spec.lifecycle.restart:
        return True
    return launch_change(before.launch, spec.launch).takes is Takes.RESTART


def _arrange(forest: Forest) -> None:
    forest.departing.clear()
    for supervisor in forest.children.values():
        if supervisor.supervision is not None:
            supervision = supervisor.supervision
            known = set(supervision.order)
            supervision.order += [
                id
                for id in supervision.spec.children
                if id in forest.children
                and id not in known
                and forest.children[id].spec.parent == supervisor.id
            ]
            forest.arrange(supervisor)
            below = [forest.children[id] for id in supervision.order]
            leaving = [it for it in below if it.change is Change.LEAVING]
            supervision.leaving = {it.id: None for it in leaving if it.state in TOUCHABLE}
            supervision.going = {it.id: None for it in leaving if it.state not in TOUCHABLE}
            if supervision.leaving:
                forest.departing[supervisor.id] = None
            supervision.outdated = {it.id: None for it in below if it.change is Change.OUTDATED}


def _note_needs(forest: Forest) -> None:
    """The needs of what is to be; and of what lives as it was until its turn comes."""
    forest.dependents.clear()
    forest.clinging.clear()
    forest.changing.clear()
    for spec in forest.spec.children.values():
        forest.note_needs(spec)
    for child in forest.children.values():
        if child.id not in forest.spec.children:
            forest.note_needs(child.target)
    if not any(child.change is Change.LEAVING for child in forest.children.values()):
        return
    for child in forest.children.values():
        is_to_change = child.change is Change.OUTDATED or forest.is_leaving(child)
        if child.is_living and child.supervision is None and is_to_change:
            forest.changing[child.id] = child.generation
            own = forest.line(child)
            for id in forest.requires(child.spec):
                needed = forest.children.get(id)
                forest.clinging.note(own, forest.line(needed) if needed is not None else [])


def _revive_above(forest: Forest, touched: dict[str, None]) -> None:
    """A supervisor that had failed, or waits, because of what is changed now tries again."""
    for id in touched:
        child = forest.children.get(id)
        for above in forest.line(child)[1:] if child is not None else ():
            supervisor = forest.children[above]
            if supervisor.state in (State.FAILED, State.BACKOFF):
                retaking.try_again(forest, supervisor)


# --- what each is to be --------------------------------------------------------------------------


def _take(
    forest: Forest, child: Child, event: steps.Adopt, old: TreeSpec, touched: dict[str, None]
) -> None:
    target = event.spec.children.get(child.id) or templates.target(forest, child, old)
    if target == child.spec and child.next is None and child.change is not Change.UPGRADING:
        return
    if child.supervision is not None:
        _take_supervision(child, target)
    change = launch_change(child.spec.launch, target.launch)
    on_change = event.on_change.get(child.id) or event.on_change.get(child.spec.parent)
    before = child.spec
    retaking.lifecycle(forest, child, target)
    if not child.is_living:
        child.spec, child.next = target, None
        if retaking.resting(forest, child, before, change.takes):
            touched[child.id] = None
        return
    _take_living(forest, child, event, target, change.takes, on_change or OnChange.RESTART)
    if child.change in (Change.OUTDATED, Change.UPGRADING):
        touched[child.id] = None
        what = ", ".join(change.what) or "code"
        how = "told" if child.change is Change.UPGRADING else "to be restarted in its turn"
        forest.note(FactKind.CHANGED, child, text=f"{what} changed: {how}")


def _take_living(
    forest: Forest,
    child: Child,
    event: steps.Adopt,
    target: ChildSpec,
    takes: Takes,
    on_change: OnChange,
) -> None:
    if child.change is Change.UPGRADING and child.state is State.UP and takes <= Takes.CODE:
        # It may have taken the code it was last told of: which one it runs, only it can say.
        _ask_upgrade(forest, child, event, target)
    elif takes <= Takes.NOTICE:
        child.spec, child.next = target, None
        child.change = Change.NONE if child.change is Change.OUTDATED else child.change
    elif takes is Takes.CODE and on_change is OnChange.IGNORE:
        child.spec = replace(target, launch=child.spec.launch)
        child.next = target
        child.change = Change.NONE if child.change is Change.OUTDATED else child.change
    elif takes is Takes.CODE and on_change is OnChange.UPGRADE and child.state is State.UP:
        _ask_upgrade(forest, child, event, target)
    else:
        needs = replace(target.lifecycle, requires=child.spec.lifecycle.requires)
        child.spec, child.next = replace(child.spec, lifecycle=needs), target
        child.change = Change.OUTDATED


def _ask_upgrade(forest: Forest, child: Child, event: steps.Adopt, target: ChildSpec) -> None:
    child.spec, child.next = replace(target, launch=child.spec.launch), target
    child.change = Change.UPGRADING
    child.asked_version = event.version
    forest.act(steps.AskUpgrade(child.id, child.generation, event.version))


def _take_supervision(child: Child, target: ChildSpec) -> None:
    """What has been counted stays counted; the new strategy decides from the next end on."""
    supervision, spec = child.supervision, target.supervisor
    if supervision is None or spec is None:
        raise TypeError(f"{child.id} is remade, not changed")
    supervision.spec = spec
    counted, intensity = supervision.window.restarted_at_s, spec.intensity
    supervision.window = Intensity(intensity.max_restarts, intensity.within_s, counted)
    supervision.last_number = max(supervision.last_number, len(spec.children))


# --- upgrades ------------------------------------------------------------------------------------


def upgraded(forest: Forest, child: Child, version: int) -> None:
    """An actor runs the code that it was told of; an answer to an older question is none."""
    if child.change is Change.UPGRADING and version == child.asked_version:
        assert child.next is not None, f"{child.id} was asked to become what it is"
        child.spec, child.next = child.next, None
        child.change = Change.NONE
        forest.freshen(child)
        forest.note(FactKind.CHANGED, child, os_pid=child.os_pid, text="runs the new code")


def not_upgradable(forest: Forest, child: Child) -> None:
    """It is restarted, when its turn comes."""
    if child.change is Change.UPGRADING:
        mark_outdated(forest, child)


def upgrade_failed(forest: Forest, child: Child, version: int, detail: str) -> None:
    """It goes on with the code that it has; its next start runs the new one, and fails if that is
    as bad as it seems. For the configuration that is a failure now."""
    if child.change is not Change.UPGRADING or version != child.asked_version:
        return
    child.change = Change.NONE
    text = f"goes on with its old code, the new one cannot be loaded: {detail}"
    forest.note(FactKind.CHANGED, child, os_pid=child.os_pid, text=text)
    if forest.adoption is not None and child.id in forest.adoption.waiting:
        forest.adoption.refused[child.id] = f"cannot load its new code: {detail}"


def mark_outdated(forest: Forest, child: Child) -> None:
    """Have a living child restarted in its turn."""
    child.change = Change.OUTDATED
    parent = forest.parent(child)
    if parent is not None:
        forest.supervision(parent).outdated[child.id] = None
        forest.unsettled[parent.id] = None
