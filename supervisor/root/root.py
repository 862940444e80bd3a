"""The root: takes in what happens, steps the tree, performs what it asks for.

Everything runs in one asyncio loop and nothing in it waits: processes are made by the forkserver,
history is written by the keeper, log lines by a thread, files are read in a thread pool.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.identity import IDENTITY_REVOKED
from supervisor.core.spec import KEEPER_ID, Blueprint, TreeSpec
from supervisor.core.tree import Tree
from supervisor.core.view import State
from supervisor.io.forkserver import Forkserver
from supervisor.io.keeper_client import KeeperClient
from supervisor.io.message_folder import MessageFolder
from supervisor.io.process_table import ProcessTable
from supervisor.root.admin import Admin
from supervisor.root.adopting import Adopting
from supervisor.root.chronicle import Chronicle
from supervisor.root.clients import Clients
from supervisor.root.control import ControlSocket
from supervisor.root.credentials import Credentials
from supervisor.root.directory import Directory
from supervisor.root.fleet import Fleet
from supervisor.root.frames import Frames
from supervisor.root.groups import Groups
from supervisor.root.growth import Growth
from supervisor.root.housekeeping import Housekeeping
from supervisor.root.jobs import source_paths
from supervisor.root.live_files import LiveFiles
from supervisor.root.log_lines import LogLines
from supervisor.root.memory import Memory
from supervisor.root.observers import Observers
from supervisor.root.peers import Peers
from supervisor.root.perform import Performer
from supervisor.root.pools import Pools, Seat
from supervisor.root.probing import Probing
from supervisor.root.promises import Promises
from supervisor.root.run_folder import RunFolder
from supervisor.root.runs import Runs
from supervisor.root.spawns import Spawns
from supervisor.root.stalls import Stalls
from supervisor.root.subscribers import Subscribers
from supervisor.root.views import Views
from supervisor.root.watches import Watches
from wippy.core.messages import Told

CLOSE_WAIT_S = 2.0
"""Given to each thing that is flushed at the end."""


class Root:
    """The root of one node.

    Args:
        blueprint: The configuration.
        spec: The tree that it means.
        table: The process table of the run folder.
        root_starts: Roots so far, this one included.
        guardian_pid: Who started this process.
        python_path: Where children find our packages.
        log_format: Of log lines: `text` or `json`.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        spec: TreeSpec,
        table: ProcessTable,
        *,
        root_starts: int,
        guardian_pid: int,
        python_path: str,
        log_format: str = "text",
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.blueprint = blueprint
        self.runtime = blueprint.runtime
        self.guardian_pid = guardian_pid
        self.root_starts = root_starts
        self.started_s = self.loop.time()
        self.registry_version = 0
        self.code: int | None = None
        self.closed = asyncio.Event()
        self._events: deque[steps.Event] = deque()
        self._is_stepping = False
        self._timer: asyncio.TimerHandle | None = None

        run_dir, source = Path(self.runtime.run_dir), Path(blueprint.source)
        self.memory = Memory(table, on_alarm=self.alarm)
        self.memory.clear_directory()
        self.message_folder = MessageFolder(run_dir)
        self.tree = Tree(
            spec,
            generations=self.memory.generations,
            held=self.memory.held,
            recovering=root_starts > 1,
            start_parallel=self.runtime.start_parallel,
        )
        self.control = ControlSocket(
            self.loop,
            self.runtime.run_dir,
            is_process=self.is_process,
            on_frame=lambda peer, frame: self.frames.take(peer, frame),
            on_request=lambda peer, request: self.admin.take(peer, request),
        )
        run_id = f"{int(time.time() * 1000):x}-{root_starts}"
        self.credentials = Credentials()
        self.keeper = KeeperClient(
            run_dir, run_id, context=self.control.context, credential=self.credentials.own
        )
        self.lines = LogLines(as_json=log_format == "json")
        self.chronicle = Chronicle(self.loop, self.lines, self.keeper)
        self.forkserver = Forkserver(
            python_path=python_path,
            node=self.runtime.node,
            preload=self.runtime.preload,
            sources=source_paths(spec),
            search_path=str(source if source.is_dir() else source.parent),
            temp_dir=run_dir,
            stderr_path=Path(self.runtime.log_dir) / "wippy.forkserver.log",
        )
        self.fleet = Fleet(
            self.loop,
            self.forkserver,
            self.chronicle,
            endpoint=self.control.endpoint,
            node=self.runtime.node,
            spares=self.runtime.spares,
            orphan_timeout_s=self.runtime.orphan_timeout_s,
            message_dir=str(self.message_folder.path),
            state_dir=self.runtime.state_dir,
            send=self.control.send_process,
        )
        self.fleet.before_judging = self.control.drain
        self.directory = Directory(self.memory)
        self.runs = Runs(self)
        self.watches = Watches(self.runs.send)
        self.groups = Groups(self.memory, self.control.send_process, self.alarm)
        self.observers = Observers(self.memory, self.chronicle, self.control.send_process)
        self.clients = Clients(self.loop, self.watches, self.message_folder, self.alarm)
        self.peers = Peers(self)
        self.spawns = Spawns(self)
        self.growth = Growth(self)
        self.adopting = Adopting(self)
        self.promises = Promises(self)
        self.live_files = LiveFiles(self)
        self.pools = Pools(self.fleet, self._seated, self.peers.host_changed, self.credentials)
        self.probing = Probing(self)
        self.frames = Frames(self)
        self.performer = Performer(self)
        self.views = Views(self)
        self.subscribers = Subscribers(
            self.loop, self.chronicle, self.views.node, self.control.send_client
        )
        self.chronicle.on_fact = self._told
        self.admin = Admin(self)
        self.stalls = Stalls(self)
        self.run_folder = RunFolder(self, log_format)
        self.housekeeping = Housekeeping(self)

    # --- the loop ---

    def feed(self, event: steps.Event) -> None:
        """Take in an event; everything that follows from it is done before this returns."""
        self._events.append(event)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._events:
                self._step(self._events.popleft())
        finally:
            self._is_stepping = False
        self._arm()
        self.admin.look()

    def _step(self, event: steps.Event) -> None:
        try:
            self._perform(self.tree.step(event, self.loop.time()))
        except Exception as error:  # noqa: BLE001
            # The boundary of the loop: a bug in one step must not end the tree.
            traceback.print_exc()
            self.alarm(f"internal error at {event!r}: {error!r}; see the node's log")

    def _perform(self, actions: Sequence[steps.Action]) -> None:
        """Do first, tell afterwards: a replacement does not wait for its story to be written.

        But who watches an end is told before a replacement exists, and who has become READY is
        found before those who need it are started.
        """
        for action in actions:
            if isinstance(action, steps.Note):
                self.peers.heed(action.fact)
        try:
            for action in actions:
                if not isinstance(action, steps.Note):
                    self.performer.perform(action)
        finally:
            for action in actions:
                if isinstance(action, steps.Note):
                    self.performer.perform(action)

    def command(self, event: steps.Event) -> None:
        """Take in an operator's event; `WippyError` says why it cannot be obeyed."""
        actions = self.tree.step(event, self.loop.time())
        self._is_stepping = True
        try:
            self._perform(actions)
        finally:
            self._is_stepping = False
        if self._events:
            self.feed(self._events.popleft())
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at_s = self.tree.next_deadline_s()
        if at_s is not None and not self.tree.is_finished:
            self._timer = self.loop.call_at(at_s, self.feed, steps.Tick())

    # --- beginning and end ---

    def begin(self) -> None:
        """Start the tree."""
        Path(self.runtime.log_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.housekeeping.begin()
        self.chronicle.tell(
            FactKind.NODE_STARTED,
            f"root pid {self.views.pid} starts {self.blueprint.source}"
            + (f" (root number {self.root_starts})" if self.root_starts > 1 else ""),
        )
        self.promises.begin()
        self.feed(steps.Begin())

    def shut_down(self, why: str, code: int = 0) -> None:
        """Stop everything in order; asked again, kill what still lives."""
        if self.is_closing:
            for vessel in list(self.fleet.by_slot.values()):
                self.fleet.kill(vessel)
            return
        self.fleet.is_closing = True
        self.feed(steps.ShutDown(why, code))

    @property
    def is_closing(self) -> bool:
        """Whether the node is being stopped."""
        return self.fleet.is_closing

    def finish(self, code: int) -> None:
        """The tree is down."""
        self.fleet.is_closing = True
        self.code = code
        self.loop.create_task(self._close())

    async def _close(self) -> None:
        self.housekeeping.end()
        self.fleet.discard_spares()
        self.forkserver.stop()
        await self.fleet.wait_empty(CLOSE_WAIT_S)
        self.admin.look()
        self.chronicle.pass_on()
        self.subscribers.flush()
        self.keeper.close()
        self.control.close()
        self.memory.close()
        await asyncio.to_thread(self.lines.close, CLOSE_WAIT_S)
        self.closed.set()

    # --- small things that several parts need ---

    def is_process(self, peer: bytes) -> bool:
        """Say whether a routing id is that of a process of ours."""
        return peer in self.fleet.by_routing_id

    def alarm(self, text: str) -> None:
        """Tell what someone must act on."""
        self.chronicle.tell(FactKind.ALARM, text)

    def _told(self) -> None:
        self.subscribers.wake()
        self.observers.wake()

    def revoke(self, slot: str, generation: int | None = None) -> None:
        """What had the credential of a child's generation (None: of any) is there no more."""
        credential = self.credentials.revoke(slot, generation)
        keeper = self.fleet.by_slot.get(KEEPER_ID)
        if credential is not None and keeper is not None:
            self.fleet.send(keeper, Told(IDENTITY_REVOKED, {"credential": credential}))

    def _seated(self, seat: Seat) -> None:
        self.memory.note_generation(seat.child, seat.generation)
        self.feed(steps.Launched(seat.child, seat.generation, seat.worker.pid))

    async def load_registry(self, generation: int) -> None:
        """The keeper serves: have it commit the registry; only then is it READY for the tree."""
        try:
            version = await self._stored_version()
            self.registry_version = version
            text = f"registry version {version} from {self.blueprint.source}"
            self.chronicle.tell(FactKind.REGISTRY, text)
            await self.adopting.begin(version)
        except Exception as error:  # noqa: BLE001
            # Whatever the disk says, processes that run are worth more than a version number.
            self.alarm(f"the registry could not be stored: {error}")
            child = self.tree.child(KEEPER_ID)
            if self.root_starts == 1 and child is not None and child.state is State.STARTING:
                self.shut_down(f"the registry could not be stored: {error}", code=1)
                return
        self.feed(steps.BecameReady(KEEPER_ID, generation))

    async def _stored_version(self) -> int:
        """Have the files merged, unless a root before has: they may be newer by now, in the
        registry as well as on the disk. Return the version of the registry."""
        blueprint = self.blueprint
        if blueprint.is_stored:
            return await self.adopting.stored_version()
        done = await self.keeper.load_registry(
            blueprint.docs.values(),
            blueprint.places,
            author="start",
            comment=f"loaded from {blueprint.source}",
            origin=blueprint.source,
            seen=blueprint.seen,
        )
        self.blueprint = msgspec.structs.replace(blueprint, is_stored=True)
        self.run_folder.note_blueprint_soon()
        return done.version
