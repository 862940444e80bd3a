"""The slot of a client: a command that talks to actors, and is no child of the root.

It stands where the slot of a child would (`node/cli~4711~88123.1/0`), and says which OS process it
is, so that the root can watch it without having been told of it. No child has such an id: it has no
namespace. The generation is always 1.
"""

from __future__ import annotations

import re

CLIENT_GENERATION = 1
_SLOT = re.compile(r"^cli~(?P<pid>[1-9][0-9]{0,8})~(?P<start_ticks>[0-9]{1,18})\Z")


def client_slot(pid: int, start_ticks: int) -> str:
    """Return the slot of the client that is the OS process `pid`, started at `start_ticks`
    (proc(5), field 22 of stat)."""
    return f"cli~{pid}~{start_ticks}"


def parse_client_slot(slot: str) -> tuple[int, int] | None:
    """Return (pid, start_ticks) of a client's slot; None for any other slot."""
    match = _SLOT.match(slot)
    return None if match is None else (int(match["pid"]), int(match["start_ticks"]))
