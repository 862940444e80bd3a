"""From a Python exception to an exit reason: a value that crosses processes."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from wippy.core.reasons import Error, Exit, ExitReason, Normal, Shutdown, StartFailed
from wippy.core.reasons import from_returncode as reason_from_status
from wippy.errors import WippyError

MAX_MESSAGE_CHARS = 4_000
MAX_TRACEBACK_CHARS = 32_000
"""A recursion error's traceback is long, an exception's message may hold a whole page; the end of
a traceback is what one reads. The log has all of it."""

_OWN = ("wippy.runtime.", "importlib")


def error_reason(error: BaseException) -> ExitReason:
    """Return why an actor that `error` left has ended."""
    if isinstance(error, SystemExit):
        return reason_from_status(exit_status(error))
    return Error(
        type=_type_name(error),
        message=_message(error)[:MAX_MESSAGE_CHARS],
        traceback=traceback_text(error)[-MAX_TRACEBACK_CHARS:],
    )


def start_failure(error: BaseException) -> StartFailed:
    """Return why an actor could not be started.

    A `WippyError` says it in its message; what user code raised is its cause.
    """
    if not isinstance(error, WippyError):
        cause = error_reason(error)
        return StartFailed(detail=_one_line(error), cause=cause)
    user_error = error.__cause__
    return StartFailed(
        detail=str(error)[:MAX_MESSAGE_CHARS],
        cause=None if user_error is None else error_reason(user_error),
    )


def exit_status(error: SystemExit) -> int:
    """Return the status that `sys.exit` asked for, 0 to 255; a text is 1, as in Python."""
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def status_of(reason: ExitReason) -> int:
    """Return the exit status of a process that ends for `reason`."""
    match reason:
        case Normal() | Shutdown():
            return 0
        case Exit(code):
            return code
        case _:
            return 1


def traceback_text(error: BaseException) -> str:
    """Return the traceback of `error` without the frames of the runtime that lead to user code."""
    user_frames = _skip_own(error.__traceback__)
    return "".join(traceback.format_exception(type(error), error, user_frames))


def report(error: BaseException) -> None:
    """Write `error` to stderr as Python would: a traceback, or the text of `sys.exit(text)`."""
    if isinstance(error, SystemExit):
        if error.code is not None and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
        return
    print(traceback_text(error), end="", file=sys.stderr, flush=True)


def _skip_own(frames: TracebackType | None) -> TracebackType | None:
    first = frames
    while first is not None and _is_own(first):
        first = first.tb_next
    return first if first is not None else frames


def _is_own(frames: TracebackType) -> bool:
    name = frames.tb_frame.f_globals.get("__name__") or ""
    return str(name).startswith(_OWN)


def _type_name(error: BaseException) -> str:
    cls = type(error)
    # The module of an actor in a pool ends with its number, which says nothing of the error.
    module = str(cls.__module__).partition("/")[0]
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unprintable:  # noqa: BLE001  # user code: a __str__ that raises
        return f"<no message: str() raised {type(unprintable).__name__}>"


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {_message(error)}"[:MAX_MESSAGE_CHARS]
