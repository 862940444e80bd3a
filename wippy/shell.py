"""The prompt inside a node: an actor that evaluates what `wippy-supervisor shell` reads.

The client has the terminal: it edits lines, keeps the history and sends source here, under the
topic `TOPIC`; what is printed goes to its terminal directly. `await` works at the top level, and
whatever an actor may do works, since it is one: `process.pid()` can be sent to by others.

SIGINT ends what is being evaluated, not the actor: raised where Python code is running, and as a
cancellation where something is awaited.
"""

from __future__ import annotations

import _thread
import ast
import asyncio
import codeop
import inspect
import os
import rlcompleter
import signal
import sys
import threading
import traceback
from types import CodeType, FrameType, FunctionType
from typing import Any

import wippy
from wippy import process
from wippy.core.mailbox import Message
from wippy.runtime.output import LossyFile

TOPIC = "wippy.shell"
NAMES = ("channel", "events", "funcs", "groups", "log", "process", "registry", "sync", "time")
"""Modules of `wippy` that are imported already, where they are there."""
MAX_COMPLETIONS = 200
AGAIN_S = 0.005
"""After this, an interrupt that came at a bad moment is tried again."""


async def main() -> None:
    """Evaluate until the client says `end`, or is gone."""
    prompt = Prompt()
    signal.signal(signal.SIGINT, prompt.interrupt)
    async for message in process.listen(TOPIC):
        answer = await prompt.answer(message)
        if message.reference:
            process.reply(message, answer)
        if "end" in message.payload:
            return


class Prompt:
    """What has been evaluated so far, and what is being evaluated now."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "wippy": wippy}
        for name in NAMES:
            if name in wippy.__all__:
                self.names[name] = getattr(wippy, name)
        self._compiler = codeop.CommandCompiler()
        self._compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._task: asyncio.Task[int | None] | None = None
        self._runs_code = False
        self._is_interrupted = False

    async def answer(self, message: Message) -> dict[str, Any]:
        """Do what the client asks: `line` (of a prompt), `text` (a whole program), `complete`."""
        match message.payload:
            case {"line": str(source)}:
                return await self._line(source)
            case {"text": str(source)}:
                return await self._text(source)
            case {"complete": str(word)}:
                return {"words": self._complete(word)}
            case _:
                return {"pid": process.pid(), "os_pid": os.getpid(), "python": sys.version}

    def interrupt(self, _number: int, frame: FrameType | None) -> None:
        """^C of the client."""
        task = self._task
        if task is None or task.done():
            return
        if _is_writing(frame):
            # Written, but not yet known to be: raised here, it would be written a second time.
            threading.Timer(AGAIN_S, _thread.interrupt_main).start()
            return
        self._is_interrupted = True
        if self._runs_code and asyncio.current_task() is task:
            raise KeyboardInterrupt
        task.get_loop().call_soon_threadsafe(task.cancel)

    async def _line(self, source: str) -> dict[str, Any]:
        try:
            code = self._compiler(source, "<shell>", "single")
        except (SyntaxError, OverflowError, ValueError):
            _show_syntax_error()
            return {"is_failed": True}
        if code is None:
            return {"is_unfinished": True}
        return _judged(await self._evaluate(code))

    async def _text(self, source: str) -> dict[str, Any]:
        flags = self._compiler.compiler.flags
        try:
            code = compile(source, "<stdin>", "exec", flags, dont_inherit=True)
        except (SyntaxError, OverflowError, ValueError):
            _show_syntax_error()
            return {"is_failed": True}
        return _judged(await self._evaluate(code))

    async def _evaluate(self, code: CodeType) -> int | None:
        """Return None if it went well, a status otherwise."""
        self._is_interrupted = False
        self._task = asyncio.get_running_loop().create_task(self._guarded(code))
        try:
            return await self._task
        finally:
            self._task = None
            _flush()

    async def _guarded(self, code: CodeType) -> int | None:
        """The boundary: nothing that the user's code raises goes further."""
        try:
            self._runs_code = True
            result = FunctionType(code, self.names)()
            if inspect.iscoroutine(result):
                await result
        except SystemExit as error:
            return _status_of(error)
        except (KeyboardInterrupt, asyncio.CancelledError):
            if not self._is_interrupted:
                raise
            print("KeyboardInterrupt", file=sys.stderr)
            return 130
        except BaseException as error:  # noqa: BLE001  # the boundary to the user's code
            _show(error)
            return 1
        finally:
            self._runs_code = False
        return None

    def _complete(self, word: str) -> list[str]:
        completer = rlcompleter.Completer(self.names)
        words: list[str] = []
        while len(words) < MAX_COMPLETIONS:
            found = completer.complete(word, len(words))
            if found is None:
                break
            words.append(found)
        return words


class _Exits(int):
    """The status of a `sys.exit`: it ends the prompt."""


def _judged(status: int | None) -> dict[str, Any]:
    if status is None:
        return {}
    if isinstance(status, _Exits):
        return {"exit": int(status)}
    return {"is_failed": True}


def _status_of(error: SystemExit) -> _Exits:
    if error.code is None or isinstance(error.code, int):
        return _Exits((error.code or 0) & 0xFF)
    print(error.code, file=sys.stderr)
    return _Exits(1)


def _show_syntax_error() -> None:
    kind, error, _ = sys.exc_info()
    traceback.print_exception(kind, error, None)
    _flush()


def _show(error: BaseException) -> None:
    """Print a traceback that begins where the user's code does."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


def _is_writing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not LossyFile.write.__code__:
        frame = frame.f_back
    return frame is not None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
