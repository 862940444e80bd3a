"""Actors: who I am, whom I make, what I send and what I get.

from wippy import process

async def handler():
    async for message in process.inbox():
        match message.topic:
            case "task":
                process.send(message.sender, "done", {"id": message.payload["id"]})

What never waits is a plain function: what can be judged here and now raises here and now, what
cannot arrives as an event. What waits is awaited.
"""

from __future__ import annotations

from wippy.core.mailbox import Message
from wippy.process.bonds import link, monitor, unlink, unmonitor
from wippy.process.identity import exit, id, not_needed, pid, set_options, upgrade, values
from wippy.process.incoming import Events, events
from wippy.process.messaging import CALL_TIMEOUT_S as CALL_TIMEOUT_S
from wippy.process.messaging import call, inbox, listen, ready, reply, send
from wippy.process.names import lookup, register, unregister
from wippy.process.spawning import (
    Spawning,
    cancel,
    exec,
    spawn,
    spawn_linked,
    spawn_monitored,
    terminate,
    with_options,
)
from wippy.runtime.context import Event, EventKind
from wippy.runtime.inbox import Inbox

__all__ = [
    "Event",
    "Events",
    "Inbox",
    "Message",
    "Spawning",
    "call",
    "cancel",
    "event",
    "events",
    "exec",
    "exit",
    "id",
    "inbox",
    "link",
    "listen",
    "lookup",
    "monitor",
    "not_needed",
    "pid",
    "ready",
    "register",
    "reply",
    "send",
    "set_options",
    "spawn",
    "spawn_linked",
    "spawn_monitored",
    "terminate",
    "unlink",
    "unmonitor",
    "unregister",
    "upgrade",
    "values",
    "with_options",
]

event = EventKind
"""The kinds of events: `process.event.CANCEL`, `EXIT`, `LINK_DOWN`, `NAME_TAKEN`, `OUTDATED`."""
