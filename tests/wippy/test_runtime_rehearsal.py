"""The rehearsal warms a process up and leaves no trace."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from wippy.runtime.context import find_current
from wippy.runtime.rehearsal import rehearse


def test_rehearsal_leaves_nothing_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    before = (list(sys.path), dict(os.environ), os.getcwd(), set(sys.modules))
    asyncio.run(rehearse())
    assert (list(sys.path), dict(os.environ), os.getcwd()) == before[:3]
    assert not [name for name in sys.modules if "rehearsal:" in name]
    assert find_current() is None
    assert capfd.readouterr() == ("", "")
