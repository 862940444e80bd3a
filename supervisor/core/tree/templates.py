"""What is made from a template at run time follows a changed template."""

from __future__ import annotations

from msgspec.structs import replace

from supervisor.core.graph import pool_worker
from supervisor.core.spec import (
    ChildSpec,
    Dedicated,
    PoolActor,
    PoolSize,
    PoolWorker,
    Restart,
    TreeSpec,
)
from supervisor.core.tree.child import Change, Child
from supervisor.core.tree.forest import Forest


def target(forest: Forest, child: Child, old: TreeSpec) -> ChildSpec:
    """Return what a child that no configuration lists is to be: what its supervisor's template
    says, with the arguments and the lifecycle that it was given for itself."""
    before, after = _template(old, child), _template(forest.spec, child)
    if before is None or after is None or before == after:
        return child.target
    if isinstance(after.launch, PoolWorker) and isinstance(child.target.launch, PoolWorker):
        return extra_worker(after, child.target.launch.number)
    own = child.target
    lifecycle = after.lifecycle if own.lifecycle == before.lifecycle else own.lifecycle
    launch = after.launch
    match before.launch, own.launch, launch:
        case (
            (Dedicated() | PoolActor()) as was,
            (Dedicated() | PoolActor()) as mine,
            (Dedicated() | PoolActor()) as new,
        ) if mine.args != was.args:
            launch = replace(new, args=mine.args)
    return replace(after, id=own.id, parent=own.parent, lifecycle=lifecycle, launch=launch)


def extra_worker(template: ChildSpec, number: int) -> ChildSpec:
    """Return a worker above a pool's minimum: it is replaced by growing again, if needed."""
    spec = pool_worker(template, number)
    return replace(spec, lifecycle=replace(spec.lifecycle, restart=Restart.TEMPORARY))


def _template(tree: TreeSpec, child: Child) -> ChildSpec | None:
    supervisor = tree.children.get(child.spec.parent)
    spec = supervisor.supervisor if supervisor is not None else None
    return spec.template if spec is not None else None


def is_spare_worker(forest: Forest, child: Child) -> bool:
    """Say whether a worker that is listed no longer may stay as one that its pool has grown by."""
    return _pool(forest, child) is not None and not is_too_many(forest, child)


def is_too_many(forest: Forest, child: Child) -> bool:
    """Say whether a worker's pool may not be as large as it is with it; the last ones go."""
    size, parent = _pool(forest, child), forest.parent(child)
    if size is None or parent is None:
        return False
    listed = forest.spec.children
    others = [
        id
        for id in forest.supervision(parent).order
        if id not in listed and forest.children[id].change is not Change.LEAVING
    ]
    return others.index(child.id) >= size.max - size.min if child.id in others else False


def _pool(forest: Forest, child: Child) -> PoolSize | None:
    supervisor = forest.spec.children.get(child.spec.parent)
    if not isinstance(child.spec.launch, PoolWorker) or supervisor is None:
        return None
    return supervisor.supervisor.pool if supervisor.supervisor is not None else None
