"""`kill`: send a signal, through the root, so that the history knows who did it."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from supervisor.cli.node import complete_id, connected
from supervisor.cli.options import Config, RunDir, Yes
from supervisor.cli.targets import command, confirm_many
from supervisor.core.requests import Kill
from wippy.errors import Invalid

ANSWER_TIMEOUT_S = 10.0

Target = Annotated[
    str,
    typer.Argument(metavar="ID|PID", help="Child, or OS pid.", autocompletion=complete_id),
]
SignalOption = Annotated[
    str,
    typer.Option("-s", "--signal", metavar="SIG", help="KILL, SIGKILL or 9 (default: TERM)."),
]


def kill(
    target: Target,
    signal: SignalOption = "TERM",
    yes: Yes = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Send a signal to the OS process of a child; its supervisor decides what comes next.

    Examples:

        wippy-supervisor kill app:worker
        wippy-supervisor kill app:worker -s KILL
        wippy-supervisor kill 4711 -s STOP
    """
    number = parse_signal(signal)
    with connected(run_dir, config) as client:
        if not target.isdecimal():
            confirm_many(client, target, f"send {signal_name(number)} to", yes=yes)
        command(client, target, Kill(target, number), ANSWER_TIMEOUT_S)


def parse_signal(text: str) -> int:
    """Return the number of a signal written as `KILL`, `SIGKILL`, `kill` or `9`.

    Raises:
        Invalid: There is no such signal; the nearest name is suggested.
    """
    if text.isdecimal() and int(text) in {int(it) for it in signal.valid_signals()}:
        return int(text)
    name = text.upper().removeprefix("SIG")
    names = {it.name.removeprefix("SIG"): int(it) for it in signal.Signals}
    if name in names:
        return names[name]
    import difflib

    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else "; see kill -l"
    raise Invalid(f"-s {text}: no such signal{hint}")


def signal_name(number: int) -> str:
    """Return `SIGKILL` for 9; a signal without a name as its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
