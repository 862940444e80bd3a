"""The benchmarks run; what they measure is for people to judge, not for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE_S = 150.0

pytestmark = pytest.mark.system


def test_restart_measures_ours_beside_the_floor() -> None:
    result = run("restart.py", "--no-peers")
    samples = {name: spread["samples"] for name, spread in result["ms"].items()}
    assert min(samples.values()) > 0
    assert sum(name.startswith("ours") for name in samples) >= 3
    assert any(name.startswith("floor") for name in samples) or result["absent"]


def test_scale_measures_a_small_and_a_large_node() -> None:
    result = run("scale.py")
    assert result["few"]["children"] < result["many"]["children"]
    assert result["many"]["child_unique_mib_most"] > 0
    assert [goal["text"] for goal in result["goals"]]


def test_loading_measures_time_and_memory() -> None:
    result = run("loading.py")
    assert set(result["bytes"]) < set(result["us"])
    assert min(spread["least"] for spread in result["us"].values()) > 0


def test_registry_measures_reads_beside_a_bare_one() -> None:
    result = run("registry.py")
    assert min(spread["least"] for spread in (*result["us"].values(), *result["ms"].values())) > 0
    assert result["goals"][0]["limit"] == 3.0


def test_live_files_measures_from_the_save_to_every_process() -> None:
    result = run("live_files.py")
    assert {name: it["samples"] for name, it in result["ms"].items()} == {
        "to each of 4 processes": 12,
        "to the last of 4 processes": 3,
    }


def test_registry_endurance_sees_every_change_in_every_watcher() -> None:
    found = run("registry_endurance.py")["found"]
    assert found["changes"] == 100
    assert found["changes missed, all watchers"] == found["gaps, all watchers"] == 0
    assert found["keeper MiB at the end"] > 0


def test_spawning_measures_time_rate_and_memory() -> None:
    result = run("spawning.py")
    assert min(spread["least"] for spread in result["us"].values()) > 0
    assert result["spawns_per_s"] > 0
    assert result["actor_bytes"] > result["coroutine_bytes"]


def test_messages_measures_ours_beside_raw_pyzmq_wherever_they_run() -> None:
    result = run("peers_messages.py", "--no-peers")
    assert len(result["spreads"]) == 12  # ours and raw, three places, one way and a round trip
    assert min(spread["least"] for spread in result["spreads"].values()) > 0


def run(name: str, *flags: str) -> dict[str, Any]:
    """Run a benchmark as briefly as it goes; return its result."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "benchmarks" / name), "--quick", "--json", *flags],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
