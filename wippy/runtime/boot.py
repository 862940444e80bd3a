"""One process's start: from the fork to its job, and from the end of the job to the exit.

The order matters: out of the forkserver's family first (session, descriptors, signals), then the
loop and the socket, then `Hello`. A spare has all that behind it when its `Assign` comes.

The end: last words, then the tasks that are left are cancelled and `atexit` handlers run, since
user code relies on both (logging flushes, temporary files go), but all of it within
`EXIT_GRACE_S`. Threads are not waited for: the actor has ended, and its threads end with it.
"""

from __future__ import annotations

import _thread
import asyncio
import atexit
import os
import signal
import time
from collections.abc import Callable
from typing import Protocol

import setproctitle
import zmq
from multiprocess import forkserver, resource_tracker

from wippy.core import messages
from wippy.core.ids import Pid, socket_name
from wippy.core.messages import (
    ActorJob,
    Assign,
    Birth,
    Cancel,
    Ended,
    ExecJob,
    Hello,
    Job,
    Stale,
    SystemJob,
    WorkerJob,
)
from wippy.errors import WippyError
from wippy.runtime import (
    foothold,
    freshness,
    guard,
    judge,
    keeper_link,
    os_limits,
    output,
    registry,
    resting,
    watchdog,
)
from wippy.runtime.control import Control
from wippy.runtime.dedicated import DedicatedActor
from wippy.runtime.directory import Directory
from wippy.runtime.exec_program import ForeignProgram
from wippy.runtime.plane import Plane
from wippy.runtime.rehearsal import rehearse
from wippy.runtime.sockets import PullSocket
from wippy.runtime.system import SystemProcess
from wippy.runtime.worker import Worker

EXIT_GRACE_S = 2.0
"""From the last words to the exit: for clean-up that nobody waits for."""


class Role(Protocol):
    """What a process does after it knows its job."""

    async def run(self) -> int:
        """Do it; return the exit status."""

    def escaped(self, error: BaseException) -> None:
        """A task of user code was left by `sys.exit`, which asyncio lets through the loop."""


def run(birth: bytes, parent_sentinel: int) -> int:
    """Live the life of a forked process; return its exit status.

    Args:
        birth: An encoded `Birth`.
        parent_sentinel: The reading end of the pipe that the birth came through. Its closing
            tells the root that the process has exec'ed or ended, so it is left open; a spare gets
            its `Assign` from it.
    """
    born = messages.birth.decode(birth)
    _leave_family()
    return Life(born, parent_sentinel).run()


class Life:
    """A process, from its birth on."""

    def __init__(self, birth: Birth, parent_sentinel: int) -> None:
        self._birth = birth
        self._parent_sentinel = parent_sentinel
        self._role: Role | None = None
        self._pull: PullSocket | None = None
        self._plane: Plane | None = None
        self._foothold: zmq.Context[zmq.Socket[bytes]] | None = None
        self._is_orphan = False
        self._loop = resting.new_loop()
        asyncio.set_event_loop(self._loop)
        self._control = Control(self._loop)

    def run(self) -> int:
        """Say Hello, be what the job says, end; return the exit status."""
        registry.set_node(self._birth.state_dir, os.path.dirname(self._birth.message_dir))
        self._control.greet_with(
            Hello(
                self._birth.token,
                os.getpid(),
                freshness.is_preloaded(),
                not_preloaded=tuple(freshness.preloaded.failed),
            )
        )
        if not _may_be_tied_late(self._birth.job):
            self._connect()
        watchdog.watch_root(
            self._birth.root_pid,
            orphan_timeout_s=self._birth.orphan_timeout_s,
            on_death=self._root_died,
            at_first=self._connect,
        )
        if self._birth.job is None:
            self._control.read_pipe(self._parent_sentinel)
            setproctitle.setproctitle(f"wippy: spare [{self._birth.node}]")
        status = self._run_to_end(self._loop.create_task(self._live()))
        self._wind_up(status)
        return status

    def _connect(self) -> None:
        job = self._birth.job
        # Whoever gives up the rights to reach the socket must have reached it before. A spare has:
        # its Assign came through it.
        gives_up_rights = job is not None and _gives_up_rights(job)
        self._control.connect(self._birth.endpoint, self._birth.routing_id, confirm=gives_up_rights)

    def _reconnect(self) -> None:
        # Not confirmed: a process that has given up its rights may fail to, and its exit status
        # and its log tell as well.
        self._control.reconnect(self._birth.endpoint, self._birth.routing_id)

    def _root_died(self) -> None:
        self._is_orphan = True
        self._control.inject(Cancel("the root died", self._birth.orphan_timeout_s))

    def _run_to_end(self, life: asyncio.Task[int]) -> int:
        while True:
            try:
                return self._loop.run_until_complete(life)
            except (SystemExit, KeyboardInterrupt) as error:
                if self._role is None or life.done():
                    raise
                self._role.escaped(error)

    async def _live(self) -> int:
        job = self._birth.job or await self._assignment()
        if job is None:
            return 0
        guard.set_strict(job.is_strict)
        is_late = _may_be_tied_late(job)
        try:
            stale = _settle_in(job, _do_nothing if is_late else self._bind)
        except WippyError as error:
            output.complain(str(error))
            self._connect()
            self._control.send(Ended(job.generation, judge.start_failure(error)))
            return 1
        if stale is not None:
            self._connect()
            self._control.send(Stale(stale))
            return 0
        self._role = self._role_for(job)
        return await self._role.run()

    def _tie(self, job: Job) -> Plane | None:
        """Be connected to the root, and reachable for messages."""
        self._connect()
        if self._plane is None:
            self._bind(job)
        return self._plane

    def _bind(self, job: Job) -> None:
        """Be reachable for messages before any user code runs. A spare is bound already, under
        a name of its own, and only takes another."""
        born, is_actor = self._birth, isinstance(job, ActorJob | WorkerJob)
        if self._pull is not None and not is_actor:
            self._pull.close()
        if not born.message_dir or not is_actor:
            return
        name = socket_name(job.slot, job.generation)
        if self._pull is None:
            self._pull = PullSocket(self._control.context, born.message_dir, name)
        else:
            self._pull.rename(name)
        is_leaving = _gives_up_rights(job)
        if is_leaving:
            self._foothold = foothold.context_in(born.message_dir)
        self._plane = Plane(
            self._loop,
            self._control,
            self._foothold or self._control.context,
            self._pull,
            pid=Pid(job.node, job.slot, job.generation),
            message_dir=foothold.HERE if is_leaving else born.message_dir,
            directory=Directory(os.path.dirname(born.message_dir), is_kept=is_leaving),
        )

    async def _assignment(self) -> Job | None:
        """Wait for the job of a spare; None if it is not needed any more."""
        if self._birth.message_dir:
            name = f"spare-{os.getpid()}"
            self._pull = PullSocket(self._control.context, self._birth.message_dir, name)
        await rehearse()
        while True:
            match await self._control.next_message():
                case Assign(job=job):
                    return job
                case Cancel():
                    return None
                case other:
                    output.complain(f"a {type(other).__name__} frame is not for a spare")

    def _role_for(self, job: Job) -> Role:
        match job:
            case ActorJob():
                is_late = _may_be_tied_late(job)
                return DedicatedActor(
                    job, self._control, lambda: self._tie(job), is_tied_late=is_late
                )
            case WorkerJob():
                return Worker(job, self._control, self._plane)
            case SystemJob():
                return SystemProcess(job, self._control)
            case ExecJob():
                return ForeignProgram(job, self._control, self._reconnect)

    def _wind_up(self, status: int) -> None:
        _thread.start_new_thread(_exit_at_last, (status,))
        self._cancel_leftovers()
        atexit._run_exitfuncs()
        output.flush()
        keeper_link.close()
        if self._plane is not None:
            self._plane.close()
        elif self._pull is not None:
            self._pull.close()
        if self._foothold is not None:
            self._foothold.term()
        self._control.close()
        if self._is_orphan:
            watchdog.kill_own_group()

    def _cancel_leftovers(self) -> None:
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=EXIT_GRACE_S))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except (SystemExit, KeyboardInterrupt) as error:
            # The process is ending anyway, for the reason it has given.
            judge.report(error)


def _may_be_tied_late(job: Job | None) -> bool:
    """Say whether user code may run before the process is connected to anybody.

    Sockets, their threads and the pages that they write cost a fork as much as all the rest of its
    start. A supervised actor needs none of them for its first line; one that somebody spawned has a
    parent that waits for its word, and one with a user of its own could not connect later.
    """
    if not isinstance(job, ActorJob) or job.parent:
        return False
    return not _gives_up_rights(job)


def _gives_up_rights(job: Job) -> bool:
    """Say whether the process is to be somebody else than the runtime."""
    return bool(job.limits.user or job.limits.group)


def _do_nothing(_job: Job) -> None:
    """It is done later."""


def _leave_family() -> None:
    """Be nobody's: own session and process group, nothing of the forkserver's kept open."""
    os.setsid()
    # `parent_sentinel` stays open until exec or exit closes it: that is how the root sees either.
    for fd in (
        # While a child holds this one, the forkserver does not see that the root is gone.
        forkserver._forkserver._forkserver_alive_fd,
        resource_tracker._resource_tracker._fd,
    ):
        if fd is not None:
            os.close(fd)
    # User code that uses multiprocess makes servers of its own.
    forkserver._forkserver._forkserver_address = None
    forkserver._forkserver._forkserver_alive_fd = None
    resource_tracker._resource_tracker._fd = None
    _reset_signals()
    if not freshness.is_preloaded():
        _prepare_image()


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    # Python's own default: a closed pipe is an exception, not a silent death.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _prepare_image() -> None:
    # Imported here: the module of the forkserver imports this one.
    from wippy.runtime.preload import prepare_image

    prepare_image()


def _settle_in(job: Job, bind: Callable[[Job], None]) -> str | None:
    """Apply what the job says of the process; return the module that is stale, if one is.

    What needs the rights of the runtime comes before the limits: the user of the job may have
    none on the log, or in the folder of the sockets.

    Raises:
        WippyError: A limit cannot be applied.
    """
    if isinstance(job, ActorJob | WorkerJob):
        stale = freshness.find_stale()
        if stale is not None:
            return stale
    setproctitle.setproctitle(job.title)
    if job.log_path:
        output.redirect(job.log_path)
    bind(job)
    if isinstance(job, ActorJob) and job.terminal:
        output.take_terminal(job.terminal)
    before = os.geteuid()
    os_limits.apply(job.limits)
    if os.geteuid() != before:
        registry.close_to_user()
    return None


def _exit_at_last(status: int) -> None:
    time.sleep(EXIT_GRACE_S)
    os._exit(status)
