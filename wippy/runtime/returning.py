"""What a function's caller is told: its value as data, or what left it."""

from __future__ import annotations

import asyncio
from typing import Any

from wippy.core import payload
from wippy.core.reasons import Error, sentence
from wippy.core.wire import MAX_MESSAGE_BYTES
from wippy.errors import Cancelled, Failure, Invalid, WippyError
from wippy.runtime import judge

NONE = payload.encode(None)


def encode_result(value: Any) -> bytes:
    """Return what a function returned, encoded.

    Raises:
        Invalid: It is no data (the message names the place), or too large.
    """
    try:
        data = payload.encode(value)
    except TypeError as error:
        text = str(error).replace("payload", "result", 1)
        raise Invalid(f"what it returned is no data: {text}") from None
    if len(data) > MAX_MESSAGE_BYTES:
        raise Invalid(
            f"it returned {len(data)} bytes; at most {MAX_MESSAGE_BYTES} are carried: return the "
            "name of a file"
        )
    return data


def failure_of(function: str, raised: BaseException, unwanted: WippyError | None) -> Failure:
    """Return what left a function as its caller is told of it.

    Args:
        function: Its entry id.
        raised: What left it.
        unwanted: Why it was cancelled, if it was from outside.
    """
    if isinstance(raised, asyncio.CancelledError | Cancelled) and unwanted is not None:
        return Failure.of(unwanted)
    if isinstance(raised, asyncio.CancelledError):
        return Failure.of(Cancelled(f"{function} was cancelled by its own code"))
    if isinstance(raised, WippyError):
        # The traceback of one that was raised elsewhere stands in it, as a note.
        traceback = judge.traceback_text(raised)[-judge.MAX_TRACEBACK_CHARS :]
        form = Failure.of(raised)
        return Failure(form.kind, form.message, form.raised, traceback)
    reason = judge.error_reason(raised)
    if isinstance(reason, Error):
        text = f"{reason.type}: {reason.message}" if reason.message else reason.type
        return Failure("failed", text, reason.type, reason.traceback)
    return Failure("failed", f"it called sys.exit: {sentence(reason)}", "SystemExit")
