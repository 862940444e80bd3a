"""Figures of real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor.io.figures import Sampler, descendants, details, totals
from wippy.errors import NotFound

PAUSE = "import signal; signal.pause()"
NOBODY = 2**22 + 1


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", f"print(1, flush=True); {PAUSE}"],
        stdout=subprocess.PIPE,
        env={**os.environ, "A_SECRET": "value"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_share_of_a_core_is_that_between_two_samples() -> None:
    sampler = Sampler()
    first = sampler.sample({"me": os.getpid()}, 100.0)["me"]
    ticks = sum(os.times()[:2])
    while sum(os.times()[:2]) < ticks + 0.2:
        pass
    second = sampler.sample({"me": os.getpid()}, 101.0)["me"]
    assert first.cpu_percent is None
    assert second.cpu_percent is not None
    assert second.cpu_percent >= 19.0
    assert second.memory_bytes > 2**20
    assert second.os_state == "R"


def test_a_stopped_process_is_seen_and_an_idle_one_uses_nothing(
    child: subprocess.Popen[bytes],
) -> None:
    sampler = Sampler()
    sampler.sample({"a": child.pid}, 1.0)
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    sample = sampler.sample({"a": child.pid}, 2.0)["a"]
    assert sample.os_state == "T"
    assert sample.cpu_percent is not None
    assert sample.cpu_percent <= 2.0


def test_another_process_in_the_same_slot_begins_anew(child: subprocess.Popen[bytes]) -> None:
    sampler = Sampler()
    sampler.sample({"a": os.getpid(), "gone": NOBODY}, 1.0)
    sample = sampler.sample({"a": child.pid}, 2.0)
    assert list(sample) == ["a"]
    assert sample["a"].cpu_percent is None


def test_a_second_sample_at_the_same_time_divides_by_nothing() -> None:
    sampler = Sampler()
    sampler.sample({"me": os.getpid()}, 1.0)
    assert sampler.sample({"me": os.getpid()}, 1.0)["me"].cpu_percent is None


def test_details_show_names_of_variables_and_no_values(child: subprocess.Popen[bytes]) -> None:
    shown = details(child.pid)
    assert shown.argv[0] == sys.executable
    assert shown.cwd == os.getcwd()
    assert "A_SECRET" in shown.env_names
    assert "value" not in repr(shown.env_names)
    assert shown.threads == 1
    assert shown.open_files >= 3
    assert child.pid in details(os.getpid()).descendants


def test_a_process_that_is_gone_is_not_found() -> None:
    with pytest.raises(NotFound):
        details(NOBODY)
    assert descendants(NOBODY) == []


def test_totals_count_those_that_are_there(child: subprocess.Popen[bytes]) -> None:
    both = totals([os.getpid(), child.pid, NOBODY])
    assert both.processes == 2
    assert both.memory_bytes >= both.unique_bytes > 0
