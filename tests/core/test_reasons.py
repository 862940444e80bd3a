"""Exit reasons: which are abnormal, how they read, how they travel, what a chain says."""

from __future__ import annotations

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core import reasons
from wippy.core.reasons import (
    Error,
    Exit,
    ExitReason,
    GaveUp,
    Hung,
    Killed,
    Lost,
    MemoryLimit,
    NoProcess,
    Normal,
    Shutdown,
    Signal,
    StartFailed,
    StartTimeout,
    Unkillable,
)

TABLE: list[tuple[ExitReason, str, bool, str, str]] = [
    (Normal(), "normal", False, "normal", "ended normally"),
    (Shutdown(), "shutdown", False, "shutdown", "stopped as asked"),
    (Killed(), "killed", True, "killed", "did not stop in time and was killed"),
    (Signal(9), "signal", True, "SIGKILL", "killed by SIGKILL"),
    (Signal(42), "signal", True, "signal 42", "killed by signal 42"),
    (Exit(3), "exit", True, "exit 3", "exited with status 3"),
    (Error("a.b.Boom", "no"), "error", True, "Boom", "a.b.Boom: no"),
    (Error("KeyError", ""), "error", True, "KeyError", "KeyError"),
    (StartFailed(), "start_failed", True, "start failed", "failed to start: unknown"),
    (StartFailed("no file"), "start_failed", True, "start failed", "failed to start: no file"),
    (
        StartFailed(cause=Exit(2)),
        "start_failed",
        True,
        "start failed (exit 2)",
        "failed to start: exited with status 2",
    ),
    (StartTimeout(2.0), "start_timeout", True, "start timeout", "was not ready within 2 s"),
    (Hung(3.21), "hung", True, "hung", "hung: no heartbeat for 3.2 s"),
    (
        MemoryLimit(200 * 2**20, 100 * 2**20),
        "memory_limit",
        True,
        "oom",
        "used 200 MiB of memory, 100 MiB allowed",
    ),
    (
        GaveUp("app:s", "app:c", 3, 5.0),
        "gave_up",
        True,
        "gave up",
        "app:s gave up: app:c needed more than 3 restarts in 5 s",
    ),
    (Unkillable(), "unkillable", True, "unkillable", "survived SIGKILL"),
    (NoProcess(), "noproc", True, "noproc", "there is no such process"),
    (Lost(), "lost", True, "lost", "ended, and how is not known"),
]


@pytest.mark.parametrize(("reason", "tag", "abnormal", "brief", "sentence"), TABLE)
def test_a_reason_says_what_it_is(
    reason: ExitReason, tag: str, abnormal: bool, brief: str, sentence: str
) -> None:
    assert reasons.tag(reason) == tag
    assert reasons.is_abnormal(reason) is abnormal
    assert reasons.brief(reason) == brief
    assert sentence in reasons.sentence(reason)


@pytest.mark.parametrize("reason", [row[0] for row in TABLE])
def test_a_reason_travels_whole(reason: ExitReason) -> None:
    as_bytes = msgspec.msgpack.encode(reason)
    assert msgspec.msgpack.decode(as_bytes, type=ExitReason) == reason
    assert msgspec.json.decode(msgspec.json.encode(reason), type=ExitReason) == reason


def test_the_table_has_every_reason() -> None:
    assert {type(row[0]) for row in TABLE} == set(typing.get_args(ExitReason))


@given(st.integers(-64, 255))
def test_every_wait_status_is_a_reason(returncode: int) -> None:
    reason = reasons.from_returncode(returncode)
    if returncode == 0:
        assert reason == Normal()
    elif returncode < 0:
        assert reason == Signal(-returncode)
    else:
        assert reason == Exit(returncode)


def test_the_chain_goes_from_the_top_to_the_leaf() -> None:
    inner = GaveUp("app:inner", "app:leaf", 1, 10.0, (Exit(2), Exit(3)))
    outer = GaveUp("app:outer", "app:inner", 0, 10.0, (inner,))
    assert reasons.causal_chain(outer) == (
        "app:outer gave up: app:inner needed more than 0 restarts in 10 s",
        "app:inner gave up: app:leaf needed more than 1 restart in 10 s",
        "exited with status 3",
    )


def test_the_chain_goes_through_a_failed_start() -> None:
    gave_up = GaveUp("app:inner", "app:leaf", 1, 10.0, (Signal(11),))
    chain = reasons.causal_chain(StartFailed("app:inner gave up", cause=gave_up))
    assert chain[-1] == "killed by SIGSEGV"


@pytest.mark.parametrize("reason", [row[0] for row in TABLE])
def test_a_chain_of_one_is_the_reason_itself(reason: ExitReason) -> None:
    assert reasons.causal_chain(reason)[0] == reasons.sentence(reason)


def test_a_chain_without_exits_ends() -> None:
    assert len(reasons.causal_chain(GaveUp("app:s", "app:c", 0, 1.0))) == 1
