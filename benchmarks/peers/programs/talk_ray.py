"""Two Ray actors, each a process: `talk_ray.py MESSAGES TRIPS` prints JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import ray

PAYLOAD = {"id": 12345, "name": "a" * 40, "ok": True, "data": "b" * 30, "x": 1.5}


@ray.remote(num_cpus=0)
class Receiver:
    """Takes and answers."""

    def __init__(self) -> None:
        self.seen = 0
        self.began_s = 0.0

    def take(self, _payload: Any) -> None:
        """Count a message."""
        if not self.seen:
            self.began_s = time.perf_counter()
        self.seen += 1

    def rate(self) -> float:
        """Return messages a second since the first; called behind them."""
        return (self.seen - 1) / (time.perf_counter() - self.began_s)

    def echo(self, payload: Any) -> Any:
        """Answer."""
        return payload


@ray.remote(num_cpus=0)
class Sender:
    """Sends, and asks."""

    def one_way(self, receiver: Any, messages: int) -> float:
        """Send all; return the rate."""
        for _ in range(messages):
            receiver.take.remote(PAYLOAD)
        rate: float = ray.get(receiver.rate.remote())
        return rate

    def trips(self, receiver: Any, count: int) -> float:
        """Return the median of a round trip, microseconds."""
        took = []
        for _ in range(count):
            began_s = time.perf_counter()
            ray.get(receiver.echo.remote(PAYLOAD))
            took.append(time.perf_counter() - began_s)
        return sorted(took)[count // 2] * 1e6


def main(messages: int, trips: int) -> None:
    """Start both and let them."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    sender, receiver = Sender.remote(), Receiver.remote()
    ray.get(sender.trips.remote(receiver, 10))
    rate = ray.get(sender.one_way.remote(receiver, messages))
    trip_us = ray.get(sender.trips.remote(receiver, trips))
    ray.shutdown()
    print(json.dumps({"messages_per_s": rate, "trip_us": trip_us}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
