"""`run`: an entry as a command: its arguments, its output, its result, its exit code."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import msgspec
import typer

from supervisor.cli.exit_codes import ExitCode
from supervisor.cli.messages import shown
from supervisor.cli.node import complete_id, find_run_dir
from supervisor.cli.options import Config, Json, RunDir
from supervisor.cli.output import put, put_json, say
from supervisor.io.control_client import TICK_S, require_node
from supervisor.io.node_file import read_node_file
from supervisor.io.run_client import RunClient, standard_fds
from wippy.core.reasons import Error, Exit, ExitReason, Killed, Normal, Shutdown, Signal, sentence
from wippy.core.units import parse_duration_s
from wippy.errors import Unavailable

SIGKILL = 9

EntryId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="Entry of an actor or a function.", autocompletion=complete_id
    ),
]
Arguments = Annotated[
    list[str] | None, typer.Argument(metavar="[ARGS]...", help="Each JSON, or plain text.")
]
Host = Annotated[str, typer.Option("--host", help="Dedicated host whose limits it gets.")]
Deadline = Annotated[
    str, typer.Option("--stop-timeout", help="How long it has to end after ^C.", metavar="TIME")
]


def run(
    entry: EntryId,
    args: Arguments = None,
    host: Host = "",
    stop_timeout: Deadline = "10s",
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Run an entry in the node as a command; prints what it returned.

    Examples:

        wippy-supervisor run app:import orders.csv
        wippy-supervisor run app:resize '{"width": 100}' --json

    It gets an OS process of its own in the node, with this command's stdin, stdout and stderr, and
    ends with it. An argument that is JSON is what it says, any other is text ('"42"' is the text
    42). ^C asks it to end, a second one kills it. Exits with 0 if it ended well, with its own code
    if it has exited with one, with 128 + n if signal n ended it, and else with 1.
    """
    deadline_s = parse_duration_s(stop_timeout)
    folder, node = find_node(run_dir, config)
    # With --json stdout is for the result alone: what the actor prints there goes to stderr.
    with standard_fds() as (stdin, stdout, stderr):
        fds = (stdin, stderr if json else stdout, stderr)
        with RunClient(folder, node, fds) as client, _interrupts() as interrupts:
            client.start(entry, tuple(parse(text) for text in args or []), host=host)
            _wait(client, interrupts, deadline_s)
            reason, value = client.outcome()
    _tell(entry, reason, value, json=json)
    raise typer.Exit(exit_code(reason, was_interrupted=bool(interrupts)))


def find_node(run_dir: Path | None, config: Path | None) -> tuple[Path, str]:
    """Return run folder and name of the node that is meant.

    Raises:
        NotFound: None runs; the message says how to start one.
        Unavailable: It is just starting.
    """
    folder = find_run_dir(run_dir, config)
    require_node(folder)
    found = read_node_file(folder)
    if found is None:
        raise Unavailable(f"the node at {folder} is just starting; try again")
    return folder, found.node


def parse(text: str) -> Any:
    """Return an argument: what its JSON says, or the text itself where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def exit_code(reason: ExitReason, *, was_interrupted: bool) -> int:
    """Return the exit code for the end of what was run."""
    if was_interrupted:
        return ExitCode.INTERRUPTED
    match reason:
        case Normal() | Shutdown():
            return ExitCode.OK
        case Exit(code):
            return code
        case Signal(number):
            return 128 + number
        case Killed():
            return 128 + SIGKILL
        case _:
            return ExitCode.FAILED


@contextmanager
def _interrupts() -> Iterator[list[float]]:
    """Give a list that gets the time of each ^C, which does nothing else meanwhile."""
    pressed: list[float] = []

    def note(_number: int, _frame: FrameType | None) -> None:
        pressed.append(time.monotonic())

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(client: RunClient, interrupts: list[float], deadline_s: float) -> None:
    answered = 0
    while not client.wait(TICK_S):
        if len(interrupts) > answered:
            is_first = answered == 0
            answered = len(interrupts)
            client.end(deadline_s if is_first and answered == 1 else 0.0)
            if is_first and answered == 1:
                say(f"asked to end within {deadline_s:g} s; ^C again kills it")


def _tell(entry: str, reason: ExitReason, value: Any, *, json: bool) -> None:
    if json:
        put_json({"id": entry, "reason": msgspec.to_builtins(reason), "value": value})
    elif isinstance(reason, Normal):
        if value is not None:
            put(shown(value))
    elif isinstance(reason, Error):
        # The traceback was written to stderr by the actor itself.
        say(f"error: {entry}: {sentence(reason)}")
    elif not isinstance(reason, Shutdown):
        say(f"error: {entry} ended: {sentence(reason)}")
    sys.stdout.flush()
