"""`shell` on a real node: piped, and at a prompt in a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from real_node import DEADLINE_S, RealNode

ECHO = """
from wippy import process

async def echo():
    async for message in process.inbox():
        if message.reference:
            process.reply(message, message.payload)
"""
CONFIG = """\
version: "1.0"
namespace: t
entries:
  - {name: echo, kind: process.py, source: "file://echo.py", method: echo}
  - {name: a, kind: process.service, process: echo}
"""


@pytest.fixture
def shop(node: Callable[..., RealNode]) -> RealNode:
    wippy = 'version: "1.0"\nruntime: {spares: 1}\n'
    return node({"t.yaml": CONFIG, "wippy.yaml": wippy, "echo.py": ECHO})


class Terminal:
    """The client in a terminal of its own."""

    def __init__(self, shop: RealNode) -> None:
        self._master, slave = pty.openpty()
        self._seen = ""
        self.process = subprocess.Popen(
            shop.command("shell"),
            cwd=shop.folder,
            env=shop.environ(
                {
                    "WIPPY_RUN_DIR": str(shop.run_dir),
                    "XDG_STATE_HOME": str(shop.folder / "state"),
                    "TERM": "dumb",
                }
            ),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            # The terminal is its controlling one, so that ^C is a signal.
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until `pattern` is shown, behind what was waited for before."""
        deadline_s = time.monotonic() + DEADLINE_S
        while (found := re.search(pattern, self._seen, re.DOTALL)) is None:
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"no {pattern!r} in {self._seen!r}"
            if select.select([self._master], [], [], left_s)[0]:
                self._seen += self._read()
        self._seen = self._seen[found.end() :]
        return found

    def enter(self, line: str, pattern: str) -> re.Match[str]:
        """Type a line and wait for what it prints and the next prompt."""
        self.type(f"{line}\n")
        return self.wait_for(rf"{pattern}.*?>>> $")

    def ended(self) -> int:
        while self._read():
            continue
        return self.process.wait(DEADLINE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
        os.close(self._master)

    def _read(self) -> str:
        try:
            return os.read(self._master, 65536).decode(errors="replace")
        except OSError:
            return ""  # nobody has the other end any more


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(shop: RealNode) -> Iterator[Terminal]:
    made = Terminal(shop)
    yield made
    made.close()


def test_piped_input_runs_as_one_program_and_its_exit_code_is_told(shop: RealNode) -> None:
    good = 'x = await process.call("t:a", "say", {"n": 1})\nprint(x, process.id())\n'
    done = shop.cli("shell", input=good)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("{'n': 1} wippy:shell~")
    for program, code, words in (
        ("print(1)\n1/0", 1, 'File "<stdin>", line 2'),
        ("import sys; sys.exit(5)", 5, ""),
        ("if", 1, "SyntaxError"),
        ("import os; os.kill(os.getpid(), 9)", 1, "the shell has ended: killed by SIGKILL"),
    ):
        done = shop.cli("shell", input=program)
        assert done.returncode == code, done
        assert words in done.stderr


def test_a_prompt_evaluates_awaits_and_goes_on_after_errors(terminal: Terminal) -> None:
    terminal.wait_for(r"wippy:shell~\w+\.1/0; await works here.*?>>> $")
    terminal.enter("1 + 1", r"\n2\r")
    terminal.enter("answer = await process.call('t:a', 'say', [7])", "")
    terminal.enter("answer", r"\n\[7\]\r")
    terminal.enter("1 / 0", "ZeroDivisionError: division by zero")
    terminal.enter("1 +", "SyntaxError")
    terminal.type("for n in range(2):\n  print('n', n)\n\n")
    terminal.wait_for(r"n 0\r\nn 1\r\n>>> $")
    terminal.type("proce\t.pi\t\n")
    terminal.wait_for(r"wippy:shell~\w+\.1/0'.*?>>> $")
    terminal.type("\x04")
    assert terminal.ended() == 0


def test_an_interrupt_ends_what_is_evaluated_and_nothing_else(terminal: Terminal) -> None:
    terminal.wait_for(">>> $")
    terminal.enter("kept = 5", "")
    for line in ("print('now'); await time.sleep('1h')", "print('now')\nwhile True: pass\n"):
        terminal.type(f"{line}\n" if "while" not in line else "exec(" + repr(line) + ")\n")
        terminal.wait_for(r"\nnow\r\n")
        terminal.type("\x03")
        terminal.wait_for(r"KeyboardInterrupt\r\n>>> $")
    terminal.type("never finished")
    terminal.wait_for("never finished")
    terminal.type("\x03")
    terminal.wait_for(r"KeyboardInterrupt\r\n.*>>> $")
    terminal.enter("kept", r"\n5\r")
    terminal.type("import sys; sys.exit(3)\n")
    assert terminal.ended() == 3


def test_others_reach_the_prompt_by_its_pid(shop: RealNode, terminal: Terminal) -> None:
    pid = terminal.wait_for(r"in (\S+wippy:shell~\w+\.1/0);.*?>>> $")[1]
    assert shop.cli("send", pid, "hello", '{"from": "outside"}').returncode == 0
    terminal.enter("(await process.inbox().receive()).payload", r"\{'from': 'outside'\}")
    slot = pid.split("/")[1].removesuffix(".1")
    assert slot in shop.cli("status").stdout


def test_a_shell_ends_with_its_client_and_with_its_actor(
    shop: RealNode, terminal: Terminal
) -> None:
    terminal.wait_for(">>> $")
    found = terminal.enter("import os; (process.pid(), os.getpid())", r"\('(\S+)', (\d+)\)")
    slot, os_pid = found[1].split("/")[1].removesuffix(".1"), int(found[2])
    terminal.process.kill()
    shop.wait_view(lambda view: slot not in {row.id for row in view.rows})
    assert not os.path.exists(f"/proc/{os_pid}")
    other = Terminal(shop)
    try:
        other.wait_for(">>> $")
        os_pid = int(other.enter("import os; os.getpid()", r"\n(\d+)\r")[1])
        os.kill(os_pid, signal.SIGKILL)
        other.type("1\n")
        other.wait_for("the shell has ended: killed by SIGKILL")
        assert other.ended() == 1
    finally:
        other.close()
