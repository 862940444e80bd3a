"""Runs the keeper's `main` with a port of its own: `python keeper_process.py RUN STATE [LIMIT]`.

Says on stdout, a line each: `ready`, `published TOPIC PAYLOAD`, `failed KIND MESSAGE`. The end of
stdin asks it to stop; a line on stdin is a `Told` topic.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from supervisor.keeper import boot
from wippy.core.messages import Told
from wippy.errors import WippyError


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


class StdioPort:
    node = "test"
    slot = "wippy:keeper"
    generation = 1

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self._told: asyncio.Queue[Told] = asyncio.Queue()
        self._cancelled = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._read)

    def ready(self) -> None:
        say("ready")

    def publish(self, topic: str, payload: dict[str, Any]) -> None:
        say("published", topic, json.dumps(payload))

    async def told(self) -> Told:
        return await self._told.get()

    async def cancelled(self) -> str:
        await self._cancelled.wait()
        return "asked"

    def _read(self) -> None:
        line = sys.stdin.buffer.raw.readline()  # type: ignore[attr-defined]  # never read ahead
        if line:
            self._told.put_nowait(Told(line.decode().strip()))
        else:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self._cancelled.set()


async def run() -> None:
    run_dir, state_dir, *rest = sys.argv[1:]
    settings: dict[str, Any] = {"run_dir": run_dir, "state_dir": state_dir}
    if rest:
        settings["history_limit"] = int(rest[0])
    await boot.main(StdioPort(settings))


if __name__ == "__main__":
    try:
        asyncio.run(run())
    except WippyError as error:
        say("failed", error.kind, str(error))
        sys.exit(1)
