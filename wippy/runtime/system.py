"""A process of the runtime itself, for instance the keeper: `target` is its `main(port)`."""

from __future__ import annotations

import asyncio
import importlib
from collections import deque
from typing import Any

from wippy.core.messages import Cancel, Ended, Published, Ready, SystemJob, Told, ToProcess
from wippy.core.reasons import ExitReason, Normal, Shutdown
from wippy.runtime import judge
from wippy.runtime.beat import Heart
from wippy.runtime.control import HWM_FRAMES, Control
from wippy.runtime.output import complain


class Port:
    """The `SystemPort` (wippy.core.ports) over the control socket."""

    def __init__(self, job: SystemJob, control: Control) -> None:
        self.node = job.node
        self.slot = job.slot
        self.generation = job.generation
        self.settings: dict[str, Any] = job.settings
        self._control = control
        self._told: deque[Told] = deque(maxlen=HWM_FRAMES)
        self._news = asyncio.Event()
        self._cancelled: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def is_cancelled(self) -> bool:
        """Whether the process was asked to stop."""
        return self._cancelled.done()

    def ready(self) -> None:
        """Tell the root that the process serves."""
        self._control.send(Ready(self.generation))

    def publish(self, topic: str, payload: dict[str, Any]) -> None:
        """Tell the root something of the process's own kind."""
        self._control.send(Published(topic, payload))

    async def told(self) -> Told:
        """Wait for the next thing that the root tells."""
        while not self._told:
            self._news.clear()
            await self._news.wait()
        return self._told.popleft()

    async def cancelled(self) -> str:
        """Wait until the process is asked to stop; return the reason."""
        return await asyncio.shield(self._cancelled)

    def handle(self, message: ToProcess) -> None:
        """Take a frame from the root."""
        match message:
            case Told():
                self._told.append(message)
                self._news.set()
            case Cancel(reason=reason):
                if not self._cancelled.done():
                    self._cancelled.set_result(reason)
            case _:
                complain(f"a {type(message).__name__} frame is not for a system process")


class SystemProcess:
    """The life of a process of the runtime."""

    def __init__(self, job: SystemJob, control: Control) -> None:
        self._job = job
        self._control = control
        self._main: asyncio.Future[Any] | None = None
        self._escaped: BaseException | None = None

    def escaped(self, error: BaseException) -> None:
        """A `sys.exit` in one of its tasks ends the process."""
        self._escaped = error
        judge.report(error)
        if self._main is not None:
            self._main.cancel()

    async def run(self) -> int:
        """Run the target; return the exit status."""
        job = self._job
        port = Port(job, self._control)
        self._control.set_handler(port.handle)
        Heart(
            self._control, job.generation, interval_s=job.heartbeat_s, count_actors=lambda: 0
        ).start()
        reason = await self._outcome(port)
        self._control.send(Ended(job.generation, reason))
        return judge.status_of(reason)

    async def _outcome(self, port: Port) -> ExitReason:
        try:
            module, _, function = self._job.target.partition(":")
            main = getattr(importlib.import_module(module), function)
            self._main = asyncio.ensure_future(main(port))
            await self._main
        except BaseException as error:  # noqa: BLE001  # the boundary: nothing may go further
            end = self._escaped or error
            judge.report(end)
            return judge.error_reason(end)
        return Shutdown() if port.is_cancelled else Normal()
