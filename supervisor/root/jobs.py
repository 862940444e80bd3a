"""From a child's spec to the job that its process is sent."""

from __future__ import annotations

from typing import Any

from supervisor.core.identity import identity_of
from supervisor.core.linking import code_ref
from supervisor.core.spec import (
    ChildSpec,
    Dedicated,
    Foreign,
    Limits,
    PoolActor,
    PoolWorker,
    RuntimeSpec,
    SecurityMode,
    System,
    TreeSpec,
)
from supervisor.root.credentials import Credentials
from wippy.core.ids import SPAWNED_MARK
from wippy.core.messages import (
    ActorJob,
    ExecJob,
    Job,
    OsLimits,
    StartActor,
    SystemJob,
    WorkerJob,
)
from wippy.errors import Internal


def job_for(
    spec: ChildSpec,
    generation: int,
    runtime: RuntimeSpec,
    *,
    log_path: str,
    notify_path: str,
    credentials: Credentials,
) -> Job:
    """Return the job of a child that has an OS process of its own."""
    identity = identity_of(spec)
    is_shared = isinstance(spec.launch, PoolWorker)
    common: dict[str, Any] = {
        "node": runtime.node,
        "slot": spec.id,
        "generation": generation,
        "title": f"wippy: {spec.id} g{generation} [{runtime.node}]",
        "log_path": log_path,
        "heartbeat_s": runtime.heartbeat_s,
        "identity": identity,
        "is_strict": runtime.security is SecurityMode.STRICT,
    }
    if isinstance(spec.launch, Dedicated | PoolWorker):
        # Others have nothing to show it to: programs, and the runtime itself.
        common["credential"] = credentials.give(spec.id, generation, identity, is_shared=is_shared)
    match spec.launch:
        case Dedicated(process=process, code=code, args=args, limits=limits, spawner=spawner):
            env = _identity(spec, generation, runtime)
            return ActorJob(
                process=process,
                code=code_ref(code),
                args=args,
                limits=_limits(limits, env),
                parent=spawner.pid if spawner is not None else "",
                is_linked=spawner is not None and spawner.is_linked,
                context=spawner.context if spawner is not None else {},
                terminal=spawner.terminal if spawner is not None else "",
                **common,
            )
        case PoolWorker(host=host, number=number, limits=limits, search_path=search_path):
            env = _identity(spec, generation, runtime)
            return WorkerJob(
                host=host,
                number=number,
                search_path=search_path,
                limits=_limits(limits, env),
                **common,
            )
        case Foreign(command=command, limits=limits):
            env = _identity(spec, generation, runtime)
            return ExecJob(
                command=command, notify_path=notify_path, limits=_limits(limits, env), **common
            )
        case System(target=target):
            settings = {
                "run_dir": runtime.run_dir,
                "state_dir": runtime.state_dir,
                "history_limit": runtime.history_limit,
                "operator": credentials.own,
                "is_strict": runtime.security is SecurityMode.STRICT,
            }
            return SystemJob(target=target, settings=settings, **common)
        case _:
            raise Internal(f"{spec.id} has no OS process of its own")


def start_actor_for(
    spec: ChildSpec, launch: PoolActor, generation: int, actor: int, credentials: Credentials
) -> StartActor:
    """Return the frame that starts an actor in a worker."""
    identity = identity_of(spec)
    return StartActor(
        child=spec.id,
        generation=generation,
        actor=actor,
        process=launch.process,
        code=code_ref(launch.code),
        args=launch.args,
        identity=identity,
        credential=credentials.give(spec.id, generation, identity),
    )


def source_paths(spec: TreeSpec) -> tuple[str, ...]:
    """Return the source files of all actors of the tree, each once."""
    codes = [
        child.launch.code
        for child in spec.children.values()
        if isinstance(child.launch, Dedicated | PoolActor)
    ]
    paths = [code.path for code in codes]
    paths += [library.path for code in codes for library in code.libraries.values()]
    return tuple(dict.fromkeys(path for path in paths if path))


def log_name(child_id: str) -> str:
    """Return the file name of a child's log: `app.workers:handler#1` is `app.workers.handler-1`.

    All processes that were spawned from one entry share a file: they come and go by the thousand.
    """
    return child_id.partition(SPAWNED_MARK)[0].replace(":", ".").replace("#", "-") + ".log"


OWNER_ID = "WIPPY_ID"
OWNER_GENERATION = "WIPPY_GENERATION"
OWNER_NODE = "WIPPY_RUN_DIR"
"""Variables of a child's environment: whose descendant an escaped process is, and which node a
command started by a child talks to."""


def _identity(spec: ChildSpec, generation: int, runtime: RuntimeSpec) -> dict[str, str]:
    return {
        OWNER_ID: spec.id,
        OWNER_GENERATION: str(generation),
        OWNER_NODE: runtime.run_dir,
    }


def _limits(limits: Limits, env: dict[str, str]) -> OsLimits:
    return OsLimits(
        memory_bytes=limits.memory_bytes,
        open_files=limits.open_files,
        nice=limits.nice,
        umask=limits.umask,
        user=limits.user,
        group=limits.group,
        cwd=limits.cwd,
        env={**limits.env, **env},
    )
