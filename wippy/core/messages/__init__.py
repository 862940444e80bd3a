"""Frames between the root and the processes of its node (ROUTER at the root, DEALER here).

A process is born with a `Birth` in the pipe it inherits: where the root is, who it is to be.
It says `Hello`; a spare then waits for its `Assign`. `generation` is that of the child; the root
drops frames of any other. Unknown fields are accepted, so that neighbours may be newer.

                root                                     process
                 │  ◄─────────────── Hello ────────────────  │  loop and socket are there
                 │  ─────────────── Assign ───────────────►  │  only to a spare
                 │  ◄─────────────── Ready ────────────────  │  entry function entered
                 │  ◄─────────────── Beat ─────────────────  │  every `heartbeat_s`
                 │  ─────────────── Cancel ───────────────►  │
                 │  ◄─────────────── Ended ────────────────  │  last words; then it exits
A pool worker also gets `StartActor`, `CancelActor`, `KillActor`; it answers with
`ActorReady` and `ActorEnded`.

Actors of different processes speak without the root (`wippy.core.wire`); what they need it for
goes here: `WatchProcess` and `Gone` (an OS process's end), `SpawnProcess` and `EndProcess`
(dedicated processes), `RegisterName` and `NameTaken`, `WantCode` and `Code`, `WantFunction` and
`Function`, `WantWorker` and `HostReady`.
"""

from __future__ import annotations

from wippy.core.codec import FrameDecoder
from wippy.core.messages.from_root import (
    EVERY_ACTOR,
    AllLeft,
    Assign,
    Cancel,
    CancelActor,
    Code,
    Function,
    Gone,
    GroupChanged,
    GroupMembers,
    HostReady,
    KillActor,
    NameFreed,
    NameTaken,
    Observed,
    Observing,
    Outdated,
    RegistryAt,
    SayMembers,
    StartActor,
    Told,
    ToProcess,
)
from wippy.core.messages.jobs import (
    DUMP_SIGNAL,
    MAILBOX_MESSAGES,
    ActorJob,
    Birth,
    CodeRef,
    ExecJob,
    Job,
    JobBase,
    LibraryRef,
    OsLimits,
    SystemJob,
    WorkerJob,
)
from wippy.core.messages.to_root import (
    PROTOCOL,
    ActorEnded,
    ActorReady,
    Beat,
    Ended,
    EndProcess,
    FromProcess,
    Hello,
    LeaveAll,
    MembersSaid,
    NotNeeded,
    NotUpgradable,
    Observe,
    Published,
    Ready,
    RegisterName,
    SetMember,
    SpawnProcess,
    Stale,
    UnregisterName,
    Unwatch,
    UnwatchGroup,
    Upgraded,
    UpgradeFailed,
    WantCode,
    WantFunction,
    WantWorker,
    WatchGroup,
    WatchProcess,
)

__all__ = [
    "DUMP_SIGNAL",
    "EVERY_ACTOR",
    "MAILBOX_MESSAGES",
    "PROTOCOL",
    "ActorEnded",
    "ActorJob",
    "ActorReady",
    "AllLeft",
    "Assign",
    "Beat",
    "Birth",
    "Cancel",
    "CancelActor",
    "Code",
    "CodeRef",
    "EndProcess",
    "Ended",
    "ExecJob",
    "FromProcess",
    "Function",
    "Gone",
    "GroupChanged",
    "GroupMembers",
    "Hello",
    "HostReady",
    "Job",
    "JobBase",
    "KillActor",
    "LeaveAll",
    "LibraryRef",
    "MembersSaid",
    "NameFreed",
    "NameTaken",
    "NotNeeded",
    "NotUpgradable",
    "Observe",
    "Observed",
    "Observing",
    "OsLimits",
    "Outdated",
    "Published",
    "Ready",
    "RegisterName",
    "RegistryAt",
    "SayMembers",
    "SetMember",
    "SpawnProcess",
    "Stale",
    "StartActor",
    "SystemJob",
    "ToProcess",
    "Told",
    "UnregisterName",
    "Unwatch",
    "UnwatchGroup",
    "UpgradeFailed",
    "Upgraded",
    "WantCode",
    "WantFunction",
    "WantWorker",
    "WatchGroup",
    "WatchProcess",
    "WorkerJob",
    "birth",
    "from_process",
    "to_process",
]

from_process: FrameDecoder[FromProcess] = FrameDecoder(FromProcess)
to_process: FrameDecoder[ToProcess] = FrameDecoder(ToProcess)
birth: FrameDecoder[Birth] = FrameDecoder(Birth)
