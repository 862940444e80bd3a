"""Channels: how the tasks (and threads) of one OS process hand values to each other, as in Go.

from wippy import channel

jobs = channel.new(10)
await jobs.send("job")
async for job in jobs:       # ends when the channel is closed and drained
    ...

chosen = await channel.select(jobs.case_receive(), stop.case_receive(), timeout="5s")
match chosen.index:
    case 0: ...              # chosen.value is a job, or chosen.ok is False: jobs is closed
    case 1: ...
    case channel.TIMEOUT: ...

Between OS processes, and between actors that share one, there are messages (`wippy.process`).
"""

from __future__ import annotations

from typing import Any

from wippy.core.channels import TIMEOUT, Closed, WouldBlock
from wippy.core.selecting import Case
from wippy.runtime.channels import Channel
from wippy.runtime.selecting import DEFAULT, Selected, select, select_blocking

__all__ = [
    "DEFAULT",
    "TIMEOUT",
    "Case",
    "Channel",
    "Closed",
    "Selected",
    "WouldBlock",
    "new",
    "select",
    "select_blocking",
]


def new(size: int = 0) -> Channel[Any]:
    """Return a new channel.

    Args:
        size: How many values may wait in it while nobody receives. 0, the default, is a
            rendezvous: `send` waits until somebody receives.

    Raises:
        Invalid: `size` is no whole number from 0.
    """
    return Channel(size)
