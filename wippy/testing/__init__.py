"""Actors in a test, without a supervisor: their messages, their ends, and time that the test moves.

from wippy import process
from wippy.testing import World

def test_a_doubler_doubles():
    async def main(world):
        doubler = world.spawn(double)
        assert await process.call(doubler, "double", 21) == 42

    World.run(main)

The actors run in one event loop, on the runtime that they have in a node: the same mailboxes,
calls, monitors, links and names, and every message is encoded and checked. What is not there is
what the operating system does: no process is started or killed, and an actor that blocks the loop
blocks the test. The test itself is an actor (`process.pid()` is its pid), and it can play others
(`world.probe("app:db")`).

Time stands still: `time.sleep`, `asyncio.sleep`, time-outs and back-offs end when the test says
`await world.advance("5s")`, and at once then. A test that waits for what can never come fails with
`Stuck` instead of hanging. With pytest and the plugin of this package, an `async def` test that has
the fixture `world` runs in one.
"""

from wippy.testing.captured import Exit, Sent
from wippy.testing.probe import Probe
from wippy.testing.world import BEGAN, Stuck, World

__all__ = ["BEGAN", "Exit", "Probe", "Sent", "Stuck", "World"]
