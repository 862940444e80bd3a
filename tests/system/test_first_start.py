"""A first start that fails: what had started is stopped in reverse, the message says who and why
with its last lines of output, the exit code is 1, and nothing is left."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import entry, files, journal, service

pytestmark = pytest.mark.system

BAD = """
import functools

@functools.cache  # hides the number of arguments from the check of the configuration
def two(a, b):
    pass
"""
RAISES_WHEN_LOADED = """
import sys

def main():
    pass

print("about to fail", file=sys.stderr)
raise OSError("no disk")
"""


def program(command: str, **fields: object) -> str:
    return entry("bad", kind="exec.service", command=command, cwd=".", **fields)


def actor(source: str, method: str, **fields: object) -> str:
    code = entry("bad.code", kind="process.py", source=f'"file://{source}"', method=method)
    return f"{code}\n{entry('bad', kind='process.service', process='bad.code', **fields)}"


NEVER = '{exec: ["false"]}'
CASES = {
    "a probe that never passes": (
        program(
            "[sh, -c, \"echo starting; echo no luck >&2; while :; do sleep 1; done\"]",
            readiness=NEVER,
            lifecycle="{start_timeout: 700ms}",
        ),
        ["was not ready within 0.7 s", "no luck"],
    ),
    "a program that exits 0 before it is ready": (
        program('[sh, -c, "echo done already"]', readiness=NEVER),
        ["t:bad failed to start: ended normally", "done already"],
    ),
    "a program that fails": (
        program("[sh, -c, \"echo cannot bind port 80 >&2; exit 9\"]", readiness=NEVER),
        ["t:bad failed to start: exited with status 9", "cannot bind port 80"],
    ),
    "a program that is not there": (
        program("[no-such-program-here, --now]"),
        ["t:bad failed to start: cannot start 'no-such-program-here': not found on PATH"],
    ),
    "a file that is not executable": (
        program("[./t.yaml]"),
        ["t:bad failed to start: cannot start './t.yaml': it is not an executable file"],
    ),
    "an actor with the wrong number of arguments": (
        actor("bad.py", "two", input="[1]"),
        ["t:bad failed to start: the arguments do not fit", "'b'"],
    ),
    "an actor whose code raises when it is loaded": (
        actor("broken.py", "main"),
        ["t:bad failed to start:", "broken.py", "OSError", "no disk", "about to fail"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_failed_first_start_stops_the_others_in_reverse_and_says_why(
    node: Callable[..., RealNode], case: str
) -> None:
    bad, said = CASES[case]
    top = entry("s", kind="supervisor", children="[a, b, bad, c]")
    shop = node(
        files([top, service("a"), service("b"), bad, service("c")])
        | {"bad.py": BAD, "broken.py": RAISES_WHEN_LOADED},
        is_awaited=False,
    )
    assert shop.wait_end() == 1
    what = [f"{line.what} {line.id.removeprefix('t:')}" for line in journal(shop.folder)]
    # READY comes right before the first line of a's own code: b's may be written first.
    assert sorted(what[:2]) == ["start a", "start b"]
    assert what[2:] == ["stop b", "stop a"]
    end = shop.output()[shop.output().index("t:s ") :]
    for words in said:
        assert words in end


def test_start_detached_tells_why_the_first_start_failed(node: Callable[..., RealNode]) -> None:
    bad = program('[sh, -c, "echo out of cheese >&2; exit 4"]', readiness=NEVER)
    shop = node(files([bad]), is_awaited=False)
    shop.wait_end()
    done = shop.cli(
        "start", str(shop.config), "--detach", "--run-dir", str(shop.run_dir), "--name", shop.name
    )
    assert done.returncode == 1
    assert "t:bad" in done.stderr
    assert "out of cheese" in done.stderr
