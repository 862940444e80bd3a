"""`call`: a message to an actor that is answered."""

from __future__ import annotations

import typer

from supervisor.cli.exit_codes import ExitCode
from supervisor.cli.messages import (
    Payload,
    Target,
    TimeoutText,
    Topic,
    encode_json,
    reached,
    shown,
    timeout_of,
)
from supervisor.cli.options import Config, RunDir
from supervisor.cli.output import put, say


def call(
    target: Target,
    topic: Topic,
    json: Payload = "null",
    timeout: TimeoutText = "5s",
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Ask an actor something and print its answer as JSON; exits with 1 if it is an error.

    Examples:

        wippy-supervisor call app:worker status
        wippy-supervisor call app:worker add '[1, 2]' --timeout 30s
    """
    data = encode_json(json)
    with reached(target, timeout_of(timeout), run_dir, config) as (client, pid, left_s):
        answer = client.call(pid, topic, data, left_s)
    if answer.error is not None:
        # Its own error, whatever its kind, must not be taken for one of finding it.
        say(f"error: {target} answered: {answer.error.get('message') or 'an error without words'}")
        raise typer.Exit(ExitCode.FAILED)
    put(shown(answer.payload))
