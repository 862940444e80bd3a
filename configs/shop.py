"""The actors of the demonstration. An actor is a function; where it runs is configuration."""

import asyncio
import itertools
import random

from wippy import funcs, process, registry


async def db_proxy(database: str) -> None:
    """Hold the connection that the workers behind it depend on."""
    print(f"{process.pid()}: connected to {database}")
    try:
        async for event in process.events():
            print(f"asked to stop ({event.reason}): closing {database}")
            return
    finally:
        print("closed")


async def worker(number: int) -> None:
    """Work on one order after the other."""
    print(f"{process.pid()}: worker {number} takes orders")
    for order in itertools.count(1):
        await asyncio.sleep(random.uniform(1, 3))
        cost = await funcs.call("shop:postage", random.randint(100, 5000))
        print(f"order {order} packed, postage {cost}")


def postage(grams: int) -> int:
    """Say what a parcel costs; runs in whichever worker of its pool has the least to do."""
    prices = registry.get("shop:prices")
    return prices.base + prices.per_kilo * (grams // 1000)


def reporter() -> None:
    """Report, written as a plain function: it runs in a thread of its own."""
    print(f"{process.pid()}: the reporter is here")
    for event in process.events():
        print(f"last report before the {event.kind}: {event.reason}")
        return


async def page(name: str) -> None:
    """Serve one page of the shop; shares its OS process with others."""
    print(f"{process.pid()}: page {name} is served")
    while True:
        await asyncio.sleep(random.uniform(2, 6))
        print(f"{name}: somebody looked")


async def card_terminal() -> None:
    """Useless without the ledger (`ledger.py`), as the ledger is without it."""
    print(f"{process.pid()}: insert card")
    await asyncio.Event().wait()


async def flaky(seconds: int) -> None:
    """Crash after a while."""
    patience = random.uniform(seconds / 2, seconds)
    print(f"{process.pid()}: I give it {patience:.0f} seconds")
    await asyncio.sleep(patience)
    raise RuntimeError("no more coffee")
