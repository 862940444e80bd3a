"""Commands to one child: ask first where more than one process would go down, say what happened."""

from __future__ import annotations

import sys

from supervisor.cli.node import ask_about, get_view, subtree
from supervisor.cli.output import confirm, put
from supervisor.core.requests import Done, Verb
from supervisor.io.control_client import ControlClient


def command(client: ControlClient, child_id: str, verb: Verb, timeout_s: float) -> None:
    """Send a command about a child and write what the root says was done."""
    answer = ask_about(client, child_id, verb, timeout_s)
    text = answer.text if isinstance(answer, Done) else ""
    put(text or f"{child_id}: done")


def confirm_many(client: ControlClient, child_id: str, what: str, *, yes: bool) -> None:
    """Ask, on a terminal, before a command that takes down more than one process.

    Raises:
        Cancelled: The answer was not yes.
        NotFound: No such child.
    """
    if yes or not sys.stdin.isatty():
        return
    living = [row for row in subtree(get_view(client), child_id) if row.os_pid]
    if len(living) > 1:
        confirm(f"{what} {child_id} and the {len(living)} processes in it?", yes=yes)
