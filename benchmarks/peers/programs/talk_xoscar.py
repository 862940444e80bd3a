"""Two xoscar actors in two processes of a pool: `talk_xoscar.py MESSAGES TRIPS` prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import xoscar

PAYLOAD = {"id": 12345, "name": "a" * 40, "ok": True, "data": "b" * 30, "x": 1.5}


class Receiver(xoscar.Actor):
    """Takes and answers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.began_s = 0.0

    async def take(self, _payload: Any) -> None:
        """Count a message."""
        if not self.seen:
            self.began_s = time.perf_counter()
        self.seen += 1

    async def rate(self, messages: int) -> float | None:
        """Return messages a second once all are there."""
        if self.seen < messages:
            return None
        return (self.seen - 1) / (time.perf_counter() - self.began_s)

    async def echo(self, payload: Any) -> Any:
        """Answer."""
        return payload


class Sender(xoscar.Actor):
    """Sends, and asks."""

    async def one_way(self, receiver: Any, messages: int) -> float:
        """Tell all; return the rate."""
        for _ in range(messages):
            await receiver.take.tell(PAYLOAD)
        while (rate := await receiver.rate(messages)) is None:  # noqa: ASYNC110  # it is elsewhere
            await asyncio.sleep(0)
        return float(rate)

    async def trips(self, receiver: Any, count: int) -> float:
        """Return the median of a round trip, microseconds."""
        took = []
        for _ in range(count):
            began_s = time.perf_counter()
            await receiver.echo(PAYLOAD)
            took.append(time.perf_counter() - began_s)
        return sorted(took)[count // 2] * 1e6


async def main(messages: int, trips: int) -> None:
    """Start both, each in a process of its own, and let them."""
    pool = await xoscar.create_actor_pool("127.0.0.1", n_process=2)
    at = pool.external_address
    each = [xoscar.allocate_strategy.ProcessIndex(number) for number in (1, 2)]
    receiver = await xoscar.create_actor(
        Receiver, address=at, uid="receiver", allocate_strategy=each[0]
    )
    sender = await xoscar.create_actor(Sender, address=at, uid="sender", allocate_strategy=each[1])
    await sender.trips(receiver, 10)
    rate = await sender.one_way(receiver, messages)
    trip_us = await sender.trips(receiver, trips)
    await pool.stop()
    print(json.dumps({"messages_per_s": rate, "trip_us": trip_us}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
