"""The prompt of a shell: an interrupt ends what is evaluated, and loses or repeats nothing."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from wippy.runtime import output
from wippy.shell import Prompt


@pytest.fixture
def prompt() -> Iterator[Prompt]:
    one = Prompt()
    before = signal.signal(signal.SIGINT, one.interrupt)
    yield one
    signal.signal(signal.SIGINT, before)


def test_what_is_printed_at_the_very_moment_of_an_interrupt_is_shown_once(
    prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []

    def write_and_be_interrupted(_fd: int, data: bytes) -> int:
        written.append(bytes(data))
        if len(written) == 1:
            signal.raise_signal(signal.SIGINT)
        return len(data)

    monkeypatch.setattr(sys, "stdout", output.line_stream(1))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_and_be_interrupted)
        status = asyncio.run(
            prompt._evaluate(compile("print('now')\nwhile True: pass", "x", "exec"))
        )
        sys.stdout.flush()
    assert status == 130
    assert written == [b"now\n"]
