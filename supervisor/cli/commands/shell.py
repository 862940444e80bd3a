"""`shell`: a Python prompt inside the running node."""

from __future__ import annotations

import contextlib
import os
import readline
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from supervisor.cli.commands.run import find_node
from supervisor.cli.exit_codes import ExitCode
from supervisor.cli.options import Config, RunDir
from supervisor.cli.output import say
from supervisor.io.control_client import TICK_S
from supervisor.io.os_process import OsProcess
from supervisor.io.run_client import RunClient, standard_fds
from wippy.core import payload
from wippy.core.reasons import sentence
from wippy.errors import Exited, NotFound, Unavailable, WippyError

ENTRY = "wippy:shell"
TOPIC = "wippy.shell"
END_S = 2.0
"""For the clean-up of what was begun at the prompt."""
FOREVER_S = 10 * 365 * 86_400.0
COMPLETE_TIMEOUT_S = 2.0
HISTORY_LINES = 1000
PS1, PS2 = ">>> ", "... "


def shell(run_dir: RunDir = None, config: Config = None) -> None:
    """Open a Python prompt inside the running node, as an actor of its own.

    Examples:

        wippy-supervisor shell
        echo 'print(process.pid())' | wippy-supervisor shell

    `process`, `channel`, `time` and the other modules of wippy are imported, `await` works at the
    prompt, Tab completes. ^C ends what is being evaluated, ^D ends the prompt. Others can send to
    its `process.pid()`. Piped input is run as one program; exits with 1 if that fails.
    """
    folder, node = find_node(run_dir, config)
    with standard_fds(has_input=False) as fds, RunClient(folder, node, fds) as client:
        client.start(ENTRY, ())
        if not client.wait_started():
            reason, _ = client.outcome()
            raise Unavailable(f"the shell could not be started: {sentence(reason)}")
        with contextlib.closing(Session(client)) as session:
            is_terminal = sys.stdin.isatty()
            status = session.interact() if is_terminal else session.run(sys.stdin.read())
    raise typer.Exit(status)


class Session:
    """The terminal's side of one prompt.

    Args:
        client: Runs the actor.
    """

    def __init__(self, client: RunClient) -> None:
        self._client = client
        hello = self._ask({"hello": 1})
        self._pid, self._python = str(hello["pid"]), str(hello["python"]).split(" ")[0]
        self._process = OsProcess.open(int(hello["os_pid"]))

    def run(self, text: str) -> int:
        """Run a whole program; return the exit code."""
        answer = self._ask({"text": text})
        return int(answer.get("exit", ExitCode.FAILED if answer.get("is_failed") else ExitCode.OK))

    def interact(self) -> int:
        """Read and evaluate until the end of input; return the exit code."""
        say(f"Python {self._python} in {self._pid}; await works here, ^D ends")
        with _history(), _completion(self._complete):
            source = ""
            while True:
                try:
                    source += input(PS2 if source else PS1)
                except EOFError:
                    say("")
                    return ExitCode.OK
                except KeyboardInterrupt:
                    say("\nKeyboardInterrupt")
                    source = ""
                    continue
                answer = self._ask({"line": source})
                if "exit" in answer:
                    return int(answer["exit"])
                source = f"{source}\n" if answer.get("is_unfinished") else ""

    def close(self) -> None:
        """End the actor."""
        with contextlib.suppress(NotFound):  # the node is gone, and with it the actor
            self._client.end(END_S)
            while not self._client.wait(TICK_S):
                continue
        if self._process is not None:
            self._process.close()

    def _ask(self, question: dict[str, Any], timeout_s: float = FOREVER_S) -> dict[str, Any]:
        with self._interrupting():
            try:
                answer = self._client.messages.call(
                    self._client.pid, TOPIC, payload.encode(question), timeout_s
                )
            except (Exited, NotFound):
                raise self._death() from None
        return dict(answer.payload or {})

    def _death(self) -> WippyError:
        """Return what to say of an actor that has ended under its user's hands."""
        while not self._client.wait(TICK_S):
            continue
        reason, _ = self._client.outcome()
        return Exited(f"the shell has ended: {sentence(reason)}", reason)

    def _complete(self, word: str) -> list[str]:
        answer = self._ask({"complete": word}, COMPLETE_TIMEOUT_S)
        return [str(found) for found in answer.get("words", [])]

    @contextlib.contextmanager
    def _interrupting(self) -> Iterator[None]:
        """^C meanwhile is the actor's."""

        def pass_on(_number: int, _frame: FrameType | None) -> None:
            process = getattr(self, "_process", None)
            if process is not None:
                process.signal(signal.SIGINT)

        before = signal.signal(signal.SIGINT, pass_on)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _history() -> Iterator[None]:
    """Have the lines of earlier sessions, and keep those of this one."""
    path = _history_path()
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_LINES)
    try:
        yield
    finally:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(path)
        except OSError as error:
            say(f"the history could not be written to {path}: {error.strerror}")


def _history_path() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "wippy" / "shell_history"


@contextlib.contextmanager
def _completion(complete: Any) -> Iterator[None]:
    """Complete with Tab; a Tab at the beginning of a line indents."""
    found: list[str] = []

    def completer(word: str, index: int) -> str | None:
        if index == 0:
            found[:] = complete(word) if word else ["    "]
        return found[index] if index < len(found) else None

    readline.set_completer(completer)
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.set_completer(None)
