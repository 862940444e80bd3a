"""The pytest plugin, as a user's own pytest loads it; and code out of a configuration folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
DEADLINE_S = 120.0

TESTS = """
import pytest
from supervisor.testing import codes
from wippy import process

@pytest.fixture
def factor():
    return 3

async def test_an_entry_of_the_configuration_doubles(world, factor):
    world.define_all(codes("configs"))
    doubler = world.spawn("app:doubler", factor)
    assert await process.call(doubler, "times", 7) == 21

def test_a_plain_test_is_left_alone(factor):
    assert factor == 3

async def test_a_wrong_claim_fails(world):
    assert world.sent == ["what nobody sent"]
"""
CONFIG = """
version: "1.0"
namespace: app
entries:
  - {name: texts, kind: library.py, source: "file://texts.py"}
  - {name: doubler, kind: process.py, source: "file://doubler.py", method: main,
     imports: {texts: "app:texts"}}
"""
CODE = """
from wippy import process

async def main(factor):
    async for message in process.inbox():
        process.reply(message, texts.times(message.payload, factor))
"""


def test_async_tests_with_a_world_run_and_may_fail(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "app.yaml").write_text(CONFIG)
    (tmp_path / "configs" / "doubler.py").write_text(CODE)
    (tmp_path / "configs" / "texts.py").write_text("def times(a, b):\n    return a * b\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "wippy.pytest_plugin", "test_it.py"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=tmp_path,
        # By name, also where the entry point is installed: it may be that of another tree.
        env={**clean, "PYTHONPATH": str(REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 2 passed" in done.stdout
    assert "what nobody sent" in done.stdout
