"""One actor that blocks its worker's event loop is seen, named, and let alone until it is hung."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import entry, files, service

pytestmark = pytest.mark.system

BLOCKER = '''
import asyncio, os
from wippy import process

def wait_for_the_word():
    """Block until the test says so: a byte in the pipe."""
    fifo = os.path.dirname(os.environ["WIPPY_RUN_DIR"]) + "/fifo"
    if not os.path.exists(fifo):
        os.mkfifo(fifo)
    with open(fifo) as end:
        end.read()

async def blocks():
    await asyncio.sleep(0)
    wait_for_the_word()
    async for event in process.events():
        break
'''


def test_a_blocked_loop_is_seen_and_the_actor_and_the_line_are_named(
    node: Callable[..., RealNode],
) -> None:
    made = files(
        [
            entry("pool", kind="process.host", workers=1),
            service("quiet", host="pool"),
            entry("code", kind="process.py", source='"file://blocker.py"', method="blocks"),
            entry("culprit", kind="process.service", process="code", host="pool"),
        ],
        runtime="heartbeat: 200ms",
    )
    made["blocker.py"] = BLOCKER
    shop = node(made)
    try:
        row = shop.wait_row("t:pool#1", lambda row: "blocker.py" in row.detail)
        assert "event loop blocked for" in row.detail
        assert "by t:culprit: blocker.py:10 in wait_for_the_word" in row.detail
        assert "blocks t:pool#1" in shop.row("t:culprit").detail
    finally:
        (shop.folder / "fifo").write_text("go")
    shop.wait_row("t:pool#1", lambda row: row.detail == "")
    assert shop.row("t:pool#1").generation == 1
