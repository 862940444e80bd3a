"""The errors that users see.

    WippyError
    ├── Invalid             what was given is wrong; the same call will fail again
    ├── NotFound            no such entry, process, node or file
    ├── AlreadyExists       the name or the folder is taken
    ├── PermissionDenied    the caller may not
    ├── Unavailable         not now: starting, stopping, no room on the disk; try again
    │   └── MailboxFull     the receiver has not taken what was sent before
    ├── Conflict            somebody else changed it first
    ├── Timeout             no answer in time; it may still have happened
    ├── Cancelled           the caller gave it up
    ├── Exited              the process that was to answer ended first
    ├── Failed              the function that was called raised something else
    └── Internal            a bug of ours

A message says what, where and what to do. Errors cross processes as `Failure` and arrive as
the same class, with the traceback of where they were raised: `raise failure.to_error()`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class WippyError(Exception):
    """Any error that wippy raises on purpose.

    Attributes:
        kind: Stable word for programs, on the wire and in `--json`.
        retryable: Whether the same call may succeed later without a change.
        traceback: Where it was raised, as text, if that was in another process; else empty.
    """

    kind: ClassVar[str] = "error"
    retryable: bool = False
    traceback: str = ""


class Invalid(WippyError):
    """What was given is wrong; repeating the call will not help."""

    kind = "invalid"


class NotFound(WippyError):
    """There is no such entry, process, node or file."""

    kind = "not_found"


class AlreadyExists(WippyError):
    """The name, the id or the folder is already taken."""

    kind = "already_exists"


class PermissionDenied(WippyError):
    """The caller may not do this."""

    kind = "permission_denied"


class Unavailable(WippyError):
    """It cannot be done now: starting, stopping, or no room on the disk."""

    kind = "unavailable"
    retryable = True


class MailboxFull(Unavailable):
    """The receiver has not taken what was sent before: wait (`await process.ready(pid)`)."""

    kind = "mailbox_full"


class Conflict(WippyError):
    """Somebody else changed it first."""

    kind = "conflict"
    retryable = True


class Timeout(WippyError):
    """No answer in time; it may still have happened."""

    kind = "timeout"
    retryable = True


class Cancelled(WippyError):
    """The caller gave it up."""

    kind = "cancelled"


class Exited(WippyError):
    """The process that was to answer ended first; the message says why.

    Attributes:
        reason: The exit reason as data (`wippy.core.reasons`), if it is known here.
    """

    kind = "exited"

    def __init__(self, message: str, reason: object = None) -> None:
        super().__init__(message)
        self.reason = reason


class Failed(WippyError):
    """The function that was called raised an exception of another class than these.

    Attributes:
        type: Qualified name of that class, `ValueError` or `shop.errors.Rejected`.
        retryable: False where the retry policy names the class.
    """

    kind = "failed"
    retryable = True

    def __init__(self, message: str, type: str = "") -> None:
        super().__init__(message)
        self.type = type


class Internal(WippyError):
    """A bug of ours."""

    kind = "internal"


BY_KIND: dict[str, type[WippyError]] = {
    cls.kind: cls
    for cls in (
        Invalid,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        Unavailable,
        MailboxFull,
        Conflict,
        Timeout,
        Cancelled,
        Exited,
        Failed,
        Internal,
    )
}


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """The wire form of a `WippyError`.

    Attributes:
        kind: Its class.
        message: What it says.
        raised: Of a `Failed`: the class of what was raised.
        traceback: Where it was raised, as text; empty where that is not told.
    """

    kind: str
    message: str
    raised: str = ""
    traceback: str = ""

    @classmethod
    def of(cls, error: WippyError) -> Failure:
        """Return the wire form of `error`."""
        raised = error.type if isinstance(error, Failed) else ""
        return cls(error.kind, str(error), raised, error.traceback)

    def to_error(self) -> WippyError:
        """Return the same class of error with the same message; an unknown kind is `Internal`."""
        error = BY_KIND.get(self.kind, Internal)(self.message)
        error.traceback = self.traceback
        if isinstance(error, Failed):
            error.type = self.raised
        return error
