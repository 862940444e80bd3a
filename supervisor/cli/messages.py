"""Messages from the command line: the payload, and the way to the actor that is meant."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from supervisor.cli.node import complete_id, find_row, find_run_dir, get_view
from supervisor.core.view import RowKind
from supervisor.io.control_client import ControlClient, require_node
from supervisor.io.message_client import MessageClient
from supervisor.io.node_file import read_node_file
from wippy.core import payload
from wippy.core.ids import Pid
from wippy.core.units import parse_duration_s
from wippy.errors import Invalid, NotFound, Unavailable

LOOK_S = 0.05
"""How often the directory is asked for a service that is being restarted."""
ACTORS = (RowKind.ACTOR, RowKind.POOL_ACTOR)

Target = Annotated[
    str,
    typer.Argument(metavar="TARGET", help="Id, name or pid.", autocompletion=complete_id),
]
Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="What the message is about.")]
Payload = Annotated[str, typer.Argument(metavar="[JSON]", help="What it says.")]
TimeoutText = Annotated[
    str, typer.Option("--timeout", "-t", help="For all of it: 500ms, 5s, 2m.", metavar="TIME")
]


def encode_json(text: str) -> bytes:
    """Return the payload written as JSON; raises `Invalid` for anything else."""
    try:
        return payload.encode(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Invalid(
            f"{text[:80]!r} is no JSON ({error}); write for instance '{{\"id\": 1}}' or '\"text\"'"
        ) from error
    except TypeError as error:
        raise Invalid(str(error)) from error


def shown(value: Any) -> str:
    """Return an answer as JSON: bytes in base64, times as ISO 8601, numbers that are no floats as
    text. `Invalid` for a dict with keys that JSON has not."""
    try:
        return msgspec.json.format(msgspec.json.encode(value)).decode()
    except (TypeError, ValueError) as error:
        raise Invalid(f"the answer cannot be shown as JSON: {error}") from error


def timeout_of(text: str) -> float:
    """Return a time-out in seconds, > 0."""
    timeout_s = parse_duration_s(text)
    if timeout_s <= 0:
        raise Invalid(f"--timeout {text}: must be above 0")
    return timeout_s


@contextlib.contextmanager
def reached(
    target: str, timeout_s: float, run_dir: Path | None, config: Path | None
) -> Iterator[tuple[MessageClient, Pid, float]]:
    """Give a client, the pid of `target` and the time left, once the target can be reached.

    Raises:
        NotFound: No such child, name or process; or no node.
        Invalid: A child that takes no messages.
        Unavailable: It cannot be reached within `timeout_s` (it is down, or being restarted).
    """
    folder = find_run_dir(run_dir, config)
    require_node(folder)
    node = read_node_file(folder)
    if node is None:
        raise Unavailable(f"the node at {folder} is just starting; try again")
    deadline_s = time.monotonic() + timeout_s
    with MessageClient(folder, node.node) as client:
        pid = client.find(target) or _wait(client, target, folder, deadline_s)
        yield client, pid, max(0.001, deadline_s - time.monotonic())


def _wait(client: MessageClient, target: str, run_dir: Path, deadline_s: float) -> Pid:
    """Wait until a service that is known can be reached; nothing else is waited for."""
    if "/" in target:
        raise NotFound(f"{target} is not there: it has ended, or never was")
    if ":" not in target:
        raise NotFound(f"nobody has registered the name {target!r}")
    state = _state_of_actor(run_dir, target)
    while time.monotonic() < deadline_s:
        pid = client.find(target)
        if pid is not None:
            return pid
        time.sleep(LOOK_S)
    raise Unavailable(
        f"{target} cannot be reached: it was {state} when asked for; "
        f"see wippy-supervisor why {target}"
    )


def _state_of_actor(run_dir: Path, child_id: str) -> str:
    with ControlClient(run_dir) as control:
        row = find_row(get_view(control), child_id)
    if row.kind not in ACTORS:
        raise Invalid(f"{child_id} takes no messages: it is no actor but a {row.kind}")
    return row.state
