"""The heartbeat: a sign of life that only a running event loop can give."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wippy.core.messages import Beat
from wippy.runtime import guard
from wippy.runtime.control import Control
from wippy.runtime.output import dropped_bytes
from wippy.runtime.plane import Plane


class Heart:
    """Sends a `Beat` every `interval_s` seconds, for as long as the loop runs.

    Args:
        control: Where to.
        generation: Of the child.
        interval_s: Seconds between beats; 0 sends none.
        count_actors: Says how many actors live here.
        plane: Its messages are counted too; None where there is none.
        count_calls: Says how many calls were under way since it was asked last.
    """

    def __init__(
        self,
        control: Control,
        generation: int,
        *,
        interval_s: float,
        count_actors: Callable[[], int],
        plane: Plane | None = None,
        count_calls: Callable[[], int] | None = None,
    ) -> None:
        self._count_calls = count_calls
        self._plane = plane
        self._control = control
        self._generation = generation
        self._interval_s = interval_s
        self._count_actors = count_actors

    def start(self) -> None:
        """Send the first beat after one interval."""
        if self._interval_s > 0:
            self._loop = asyncio.get_running_loop()
            self._wait_until(self._loop.time() + self._interval_s)

    def _wait_until(self, due_s: float) -> None:
        self._loop.call_at(due_s, self._beat, due_s)

    def _beat(self, due_s: float) -> None:
        now_s = self._loop.time()
        plane = self._plane
        guard.refresh_or_complain()
        self._control.send(
            Beat(
                generation=self._generation,
                lag_s=max(0.0, now_s - due_s),
                actors=self._count_actors(),
                inbox=0 if plane is None else plane.waiting(),
                sent=0 if plane is None else plane.sent,
                received=0 if plane is None else plane.received,
                output_dropped=dropped_bytes(),
                dead_letters={} if plane is None else dict(plane.dead_letters),
                calls=0 if self._count_calls is None else self._count_calls(),
            )
        )
        # From now, not from when it was due: after a pause there is one beat, not a burst.
        self._wait_until(now_s + self._interval_s)
