"""An actor that takes newer code while it runs: save this file, and it goes on where it was."""

from wippy import channel, process, time


async def ledger(pages: int = 0) -> None:
    """Write a page every two seconds; useless without the card terminal."""
    process.set_options(upgradable=True)
    events = process.events()
    print(f"{process.pid()}: the books are open at page {pages}")
    while True:
        tick = time.after("2s")
        chosen = await channel.select(events.case_receive(), tick.case_receive())
        if chosen.index == 1:
            pages += 1
        elif chosen.value.kind == process.event.OUTDATED:
            process.upgrade(pages)
        else:
            print(f"the books are closed at page {pages}")
            return
