"""Foreign programs: the fork becomes the program, or says why not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from fake_root import Child, FakeRoot

from wippy.core.messages import Assign, Ended, ExecJob, OsLimits
from wippy.core.reasons import StartFailed

OF_THE_C_LIBRARY = 0b11 << 31
"""Signals 32 and 33, which no program can set: glibc has them ignored where it uses vfork."""


def exec_job(root: FakeRoot, *command: str, **values: Any) -> ExecJob:
    return ExecJob(
        node="test",
        slot="app:program",
        generation=1,
        title="wippy: app:program",
        log_path=str(root.log_path),
        command=command,
        **values,
    )


def detail_of(child: Child) -> str:
    reason = child.expect(Ended).reason
    assert isinstance(reason, StartFailed)
    return reason.detail


def test_program_runs_in_place_with_its_output_environment_and_folder(
    root: FakeRoot, tmp_path: Path
) -> None:
    job = exec_job(
        root,
        "sh",
        "-c",
        'echo $$ "$WORD" "$NOTIFY_SOCKET" "$PWD"; echo err >&2; exit 5',
        notify_path="/run/n.sock",
        limits=OsLimits(env={"WORD": "given"}, cwd=str(tmp_path)),
    )
    child = root.bear(job)
    assert child.status() == 5
    assert root.log() == f"{child.pid} given /run/n.sock {tmp_path}\nerr\n"


def test_spare_becomes_a_program(root: FakeRoot) -> None:
    child = root.bear()
    child.tell(Assign(exec_job(root, "sh", "-c", "echo $$")))
    assert child.status() == 0
    assert root.log() == f"{child.pid}\n"


def test_program_inherits_no_descriptor_of_ours(root: FakeRoot) -> None:
    child = root.bear(exec_job(root, "ls", "/proc/self/fd"))
    assert child.status() == 0
    assert root.log().split() == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


def test_program_inherits_no_signal_setting_of_ours(root: FakeRoot) -> None:
    child = root.bear(exec_job(root, "grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status"))
    assert child.status() == 0
    masks = dict(line.split(":\t") for line in root.log().splitlines())
    assert masks["SigBlk"] == "0" * 16
    assert int(masks["SigIgn"], 16) & ~OF_THE_C_LIBRARY == 0
    assert int(masks["SigCgt"], 16) & (1 << (signal.SIGTERM - 1)) == 0


def test_program_reads_end_of_file_from_stdin(root: FakeRoot) -> None:
    child = root.bear(exec_job(root, "cat"))
    assert child.status() == 0


def test_environment_of_the_forkserver_is_not_passed_on(root: FakeRoot) -> None:
    child = root.bear(exec_job(root, "env"))
    assert child.status() == 0
    assert "WIPPY_FORKSERVER" not in root.log()
    assert "WIPPY_PRELOAD" not in root.log()


def test_program_that_is_not_there_is_named_and_its_log_shows_the_path_that_was_searched(
    root: FakeRoot,
) -> None:
    limits = OsLimits(env={"PATH": "/nowhere:/else:/nowhere"})
    child = root.bear(exec_job(root, "no-such-program", "x", limits=limits))
    expected = "cannot start 'no-such-program': not found on PATH, which its log shows"
    assert detail_of(child) == expected
    assert child.status() == 127
    assert root.log() == f"wippy: PATH is /nowhere:/else\nwippy: {expected}\n"


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0, "no such file"),
        ("#!/bin/sh\n", 0o644, "it is not an executable file"),
        ("#!/no/interpreter -x\n", 0o755, "its interpreter is missing (#!/no/interpreter -x)"),
        ("echo no first line\n", 0o755, "neither a program of this machine nor a script"),
    ],
)
def test_file_that_cannot_be_executed_is_a_failed_start_that_says_why(
    root: FakeRoot, tmp_path: Path, content: str | None, mode: int, words: str
) -> None:
    program = tmp_path / "program"
    if content is not None:
        program.write_text(content)
        program.chmod(mode)
    child = root.bear(exec_job(root, str(program)))
    detail = detail_of(child)
    assert detail.startswith(f"cannot start '{program}'")
    assert words in detail
    assert child.status() in (126, 127)


def test_empty_command_and_folder_are_failed_starts(root: FakeRoot, tmp_path: Path) -> None:
    assert detail_of(root.bear(exec_job(root))) == "the command is empty"
    assert "not an executable file" in detail_of(root.bear(exec_job(root, f"{tmp_path}{os.sep}")))


def test_nul_in_an_argument_is_a_failed_start(root: FakeRoot) -> None:
    assert "embedded null byte" in detail_of(root.bear(exec_job(root, "sh", "a\0b")))
