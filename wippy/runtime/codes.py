"""The code of `process.py` entries, as a worker knows it: asked of the root once for each."""

from __future__ import annotations

import asyncio

from wippy.core.messages import Code, CodeRef, WantCode
from wippy.errors import NotFound
from wippy.runtime.control import Control


class Codes:
    """What the root has said of entries.

    Args:
        control: The way to it.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._known: dict[str, CodeRef] = {}
        self._asked: dict[str, asyncio.Future[Code]] = {}

    async def find(self, process: str) -> CodeRef:
        """Return where the code of an entry is; `NotFound` if there is no such entry."""
        known = self._known.get(process)
        if known is not None:
            return known
        asked = self._asked.get(process)
        if asked is None:
            asked = self._asked[process] = asyncio.get_running_loop().create_future()
            self._control.send(WantCode(process))
        # Shielded: one actor that is killed while it waits must not take the answer from others.
        answer = await asyncio.shield(asked)
        if answer.code is None:
            raise NotFound(answer.error or f"there is no process.py entry {process}")
        return answer.code

    def replace(self, process: str, code: CodeRef) -> None:
        """The code of an entry is another one from now on."""
        if process in self._known:
            self._known[process] = code

    def take(self, message: Code) -> None:
        """Take an answer, or the news that there is none any more. That there is none is not
        remembered: it may come."""
        if message.code is not None:
            self._known[message.process] = message.code
        else:
            self._known.pop(message.process, None)
        asked = self._asked.pop(message.process, None)
        if asked is not None and not asked.done():
            asked.set_result(message)
