"""Log lines to stdout, from a thread: a pipe that nobody reads must not stop the root."""

from __future__ import annotations

import queue
import sys
import threading

from supervisor.core.facts import Fact, FactKind, Level, level, sentence
from supervisor.core.json_form import json_line, log_line, rfc3339
from supervisor.io.log_text import harmless

QUEUED_LINES = 10_000
"""Lines that may wait for a slow reader; past it they are dropped, and the number is told."""


class LogLines:
    """Writes facts as lines of text, or of JSON.

    Args:
        as_json: One JSON object a line instead of text.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._queue: queue.SimpleQueue[Fact | None] = queue.SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log lines", daemon=True)
        self._thread.start()

    def write(self, fact: Fact) -> None:
        """Write a fact soon; never blocks."""
        if level(fact) is Level.DEBUG:
            return
        if self._queue.qsize() >= QUEUED_LINES:
            self._dropped += 1
            return
        self._queue.put(fact)

    def close(self, timeout_s: float) -> None:
        """Write what waits, for at most `timeout_s` seconds."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while (fact := self._queue.get()) is not None:
                sys.stdout.write(self._line(fact) + "\n")
                if self._dropped:
                    sys.stdout.write(self._gap() + "\n")
                    self._dropped = 0
                if self._queue.empty():
                    sys.stdout.flush()
            sys.stdout.flush()
        except (BrokenPipeError, OSError):
            # Whoever read us is gone, or its disk is full; facts go on to history and subscribers.
            while self._queue.get() is not None:
                pass

    def _line(self, fact: Fact) -> str:
        if self._as_json:
            return log_line(fact).decode()
        return render(fact)

    def _gap(self) -> str:
        text = f"{self._dropped} lines dropped: nobody read them"
        if self._as_json:
            return json_line({"level": Level.WARNING, "message": text}).decode()
        return f"... {text}"


def render(fact: Fact) -> str:
    """Return a fact as one line of text: time (UTC), level, child, what happened. Under the last
    line of a node whose start failed is what the culprit had said."""
    line = f"{rfc3339(fact.at_s)} {level(fact):<7} {fact.id or 'node':<24} {sentence(fact)}"
    said = fact.output if fact.kind is FactKind.NODE_STOPPED else ()
    return "\n".join((line, *(f"    {harmless(text)}" for text in said)))
