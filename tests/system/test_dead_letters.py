"""What could not be delivered is counted where operators look."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import entry, files

pytestmark = pytest.mark.system

SENDER = """
import asyncio
from wippy import process

async def main():
    gone = process.pid().rpartition("/")[0] + "/77"
    for _ in range(3):
        process.send(gone, "x")
        await process.ready(gone)
    await asyncio.Event().wait()
"""


def test_dead_letters_are_in_the_row_of_the_process_that_counted_them(
    node: Callable[..., RealNode],
) -> None:
    made = files(
        [
            entry("code", kind="process.py", source='"file://sender.py"', method="main"),
            entry("it", kind="process.service", process="code"),
        ],
        runtime="heartbeat: 100ms",
    )
    made["sender.py"] = SENDER
    shop = node(made)
    row = shop.wait_row("t:it", lambda row: bool(row.dead_letters))
    assert set(row.dead_letters) <= {"no such actor", "no such process"}
