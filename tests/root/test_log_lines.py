"""Log lines of the root."""

from __future__ import annotations

import io
import json
import sys
import threading

import pytest

from supervisor.core.facts import Fact, FactKind
from supervisor.root import log_lines
from supervisor.root.log_lines import LogLines

DEADLINE_S = 60.0
FACT = Fact(seq=1, at_s=1.5, kind=FactKind.ALARM, id="app:a", text="look here")


class SlowReader(io.StringIO):
    """A pipe whose reader stands still until `goes_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reached = threading.Event()
        self.goes_on = threading.Event()

    def write(self, text: str) -> int:
        self.is_reached.set()
        assert self.goes_on.wait(DEADLINE_S)
        return super().write(text)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_line_says_when_what_and_how_bad(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    lines = LogLines(as_json=as_json)
    lines.write(FACT)
    lines.close(DEADLINE_S)
    out = capsys.readouterr().out
    if as_json:
        told = json.loads(out)
        assert (told["level"], told["message"], told["id"]) == ("error", "look here", "app:a")
        assert told["at"] == "1970-01-01T00:00:01.500Z"
    else:
        assert out.split() == ["1970-01-01T00:00:01.500Z", "error", "app:a", "look", "here"]


@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_slow_reader_missed_is_counted_in_the_same_format(
    monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    reader = SlowReader()
    monkeypatch.setattr(sys, "stdout", reader)
    monkeypatch.setattr(log_lines, "QUEUED_LINES", 3)
    lines = LogLines(as_json=as_json)
    lines.write(FACT)
    assert reader.is_reached.wait(DEADLINE_S)
    for _ in range(6):
        lines.write(FACT)
    reader.goes_on.set()
    lines.close(DEADLINE_S)
    said = reader.getvalue().splitlines()
    assert len(said) == 5  # one was being written, three waited, and one tells of the rest
    gap = json.loads(said[1])["message"] if as_json else said[1]
    assert gap.removeprefix("... ") == "3 lines dropped: nobody read them"
