"""The bound of a mailbox, between real processes."""

from __future__ import annotations

from actors_world import SETUP, ActorsWorld

from wippy.core.messages import CodeRef, StartActor

SLOW = """
async def main():
    async for message in process.listen('call'):
        process.reply(message, 'yes')
"""
SENDER = """
from wippy.errors import MailboxFull
async def main(target):
    await process.call(target, 'call')
    count = 0
    try:
        while count < 100_000:
            process.send(target, 'noise', count)
            count += 1
    except MailboxFull: pass
    print('sent', count, flush=True)
    await process.ready(target)
    print('never: nobody takes it', flush=True)
"""


def test_flood_of_an_actor_that_takes_nothing_is_stopped_at_the_bound_of_its_entry(
    world: ActorsWorld,
) -> None:
    worker = world.start_worker("app:pool")
    code = CodeRef(method="main", text=SETUP + SLOW, origin="slow", mailbox_messages=8)
    worker.tell(StartActor(child="app:slow", generation=1, actor=3, process="app:code", code=code))
    world.start_actor("app:one", SENDER, "test/app:pool#1.1/3")
    # The call has been taken; its credit comes back with the next one's.
    world.wait_line("app:one", "sent 7")
    world.start_actor("app:two", SENDER, "test/app:pool#1.1/3")
    assert world.wait_line("app:two", "sent 4") == ["sent 4"]
    assert world.lines("app:one") == ["sent 7"]
