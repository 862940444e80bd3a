"""Why a process ended: a structured value, never a bare number.

| reason | meaning | abnormal |
|---|---|---|
| `Normal` | the entry function returned, the program exited 0 | no |
| `Shutdown` | asked to stop, and it obeyed | no |
| `Killed` | asked to stop, did not obey in time | yes |
| `Signal` | ended by a signal nobody here sent as part of a stop | yes |
| `Exit` | a non-zero exit status | yes |
| `Error` | an exception left the entry function | yes |
| `StartFailed` | it died, or said so, before it was READY | yes |
| `StartTimeout` | not READY within `start_timeout` | yes |
| `Hung` | no heartbeat within `heartbeat_timeout` | yes |
| `MemoryLimit` | used more memory than its limit | yes |
| `GaveUp` | a supervisor exceeded its restart intensity | yes |
| `Unkillable` | SIGKILL did not end it | yes |
| `Lost` | it ended while nobody could see how: no root, or no forkserver to pass it on | yes |
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from wippy.core.units import counted

OUTPUT_LINES = 20
"""Last lines of output kept with a failed start: a screenful is read, more is not."""


class Normal(msgspec.Struct, frozen=True, tag_field="reason", tag="normal"):
    """The entry function returned, or the program exited 0."""


class Shutdown(msgspec.Struct, frozen=True, tag_field="reason", tag="shutdown"):
    """Asked to stop, and it obeyed."""


class Killed(msgspec.Struct, frozen=True, tag_field="reason", tag="killed"):
    """Asked to stop; it did not obey in time, so SIGKILL ended it."""


class Signal(msgspec.Struct, frozen=True, tag_field="reason", tag="signal"):
    """Ended by signal `number`."""

    number: int


class Exit(msgspec.Struct, frozen=True, tag_field="reason", tag="exit"):
    """Ended with the exit status `code`, 1 to 255."""

    code: int


class Error(msgspec.Struct, frozen=True, tag_field="reason", tag="error"):
    """An exception left the entry function.

    Attributes:
        type: Qualified name of the exception's class.
        message: `str()` of the exception.
        traceback: The whole traceback as text.
    """

    type: str
    message: str
    traceback: str = ""


class StartFailed(msgspec.Struct, frozen=True, tag_field="reason", tag="start_failed"):
    """Died, or reported an error, before READY.

    Attributes:
        detail: What went wrong, in words, where more than `cause` is known.
        cause: How the process ended; None where it never existed.
        output: Its last lines of output.
    """

    detail: str = ""
    cause: ExitReason | None = None
    output: tuple[str, ...] = ()


class StartTimeout(msgspec.Struct, frozen=True, tag_field="reason", tag="start_timeout"):
    """Not READY within `after_s` seconds."""

    after_s: float


class Hung(msgspec.Struct, frozen=True, tag_field="reason", tag="hung"):
    """Silent for `silent_s` seconds; `stacks` is where its threads stood, if it could say."""

    silent_s: float
    stacks: str = ""


class MemoryLimit(msgspec.Struct, frozen=True, tag_field="reason", tag="memory_limit"):
    """Used `used_bytes` of resident memory where `limit_bytes` are allowed."""

    used_bytes: int
    limit_bytes: int


class GaveUp(msgspec.Struct, frozen=True, tag_field="reason", tag="gave_up"):
    """A supervisor exceeded its restart intensity.

    The causal chain is in the value: where `child` is itself a supervisor that gave up, its
    `GaveUp` is the last of `last_exits`, and so on down to the leaf.

    Attributes:
        supervisor: Who gave up.
        child: Whose restart was one too many.
        restarts: Restarts allowed (and used) within the window.
        within_s: Length of the window, seconds.
        last_exits: The last exit reasons of `child`, oldest first.
    """

    supervisor: str
    child: str
    restarts: int
    within_s: float
    last_exits: tuple[ExitReason, ...] = ()


class Unkillable(msgspec.Struct, frozen=True, tag_field="reason", tag="unkillable"):
    """SIGKILL did not end it (uninterruptible sleep, a dead mount)."""


class Lost(msgspec.Struct, frozen=True, tag_field="reason", tag="lost"):
    """It ended while nobody could see how: no root, or no forkserver to pass its status on."""


class NoProcess(msgspec.Struct, frozen=True, tag_field="reason", tag="noproc"):
    """There is no such process: it ended before it was asked about, or never was."""


ExitReason = (
    Normal
    | Shutdown
    | Killed
    | Signal
    | Exit
    | Error
    | StartFailed
    | StartTimeout
    | Hung
    | MemoryLimit
    | GaveUp
    | Unkillable
    | Lost
    | NoProcess
)

SIGNAL_NAMES = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT",
    7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2",
    13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 17: "SIGCHLD", 18: "SIGCONT", 19: "SIGSTOP",
    20: "SIGTSTP", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
}  # fmt: skip
"""Linux numbers (signal(7)); the core may not import `signal`."""


def is_abnormal(reason: ExitReason) -> bool:
    """Say whether `reason` counts as a crash (OTP: anything but normal and shutdown)."""
    return not isinstance(reason, Normal | Shutdown)


def from_returncode(returncode: int) -> ExitReason:
    """Return the reason for a wait status as `os.waitstatus_to_exitcode` gives it."""
    if returncode == 0:
        return Normal()
    return Signal(-returncode) if returncode < 0 else Exit(returncode)


def brief(reason: ExitReason) -> str:
    """Return `reason` in a word or two, for a table: `SIGKILL`, `exit 3`, `ValueError`."""
    match reason:
        case Signal(number):
            return SIGNAL_NAMES.get(number, f"signal {number}")
        case Exit(code):
            return f"exit {code}"
        case Error(type=name):
            return name.rsplit(".", 1)[-1]
        case StartFailed(cause=cause):
            return "start failed" if cause is None else f"start failed ({brief(cause)})"
        case MemoryLimit():
            return "oom"
        case _:
            return tag(reason).replace("_", " ")


def tag(reason: ExitReason) -> str:
    """Return the word of `reason` on the wire and in `--json`, for instance `start_failed`."""
    return str(reason.__struct_config__.tag)


def sentence(reason: ExitReason) -> str:
    """Return `reason` as one line that says all a reader needs without the traceback."""
    match reason:
        case Signal(number):
            return f"killed by {SIGNAL_NAMES.get(number, f'signal {number}')}"
        case Exit(code):
            return f"exited with status {code}"
        case Error(type=name, message=message):
            return f"{name}: {message}" if message else name
        case StartFailed(detail=detail, cause=cause):
            why = detail or (sentence(cause) if cause is not None else "unknown")
            return f"failed to start: {why}"
        case StartTimeout(after_s=after_s):
            return f"was not ready within {after_s:g} s"
        case Hung(silent_s=silent_s):
            return f"hung: no heartbeat for {silent_s:.1f} s"
        case MemoryLimit(used_bytes=used, limit_bytes=limit):
            return f"used {used / 2**20:.0f} MiB of memory, {limit / 2**20:.0f} MiB allowed"
        case GaveUp(supervisor=who, child=child, restarts=restarts, within_s=within_s):
            more = counted(restarts, "restart")
            return f"{who} gave up: {child} needed more than {more} in {within_s:g} s"
        case Normal():
            return "ended normally"
        case Shutdown():
            return "stopped as asked"
        case Killed():
            return "did not stop in time and was killed"
        case Unkillable():
            return "survived SIGKILL (uninterruptible sleep?)"
        case Lost():
            return "ended, and how is not known"
        case NoProcess():
            return "there is no such process"
    assert_never(reason)


def causal_chain(reason: ExitReason) -> tuple[str, ...]:
    """Return the chain of a `GaveUp` as lines, the first who gave up first, the leaf last.

    The line of a failed start ends with that of its cause, which is not said again.
    """
    lines: list[str] = []
    current: ExitReason | None = reason
    while current is not None:
        if not lines or not lines[-1].endswith(sentence(current)):
            lines.append(sentence(current))
        match current:
            case GaveUp(last_exits=exits) if exits:
                current = exits[-1]
            case StartFailed(cause=cause) if isinstance(cause, GaveUp | StartFailed):
                current = cause
            case _:
                current = None
    return tuple(lines)
