"""multiprocessing.Queue between two processes: `talk_queue.py MESSAGES TRIPS` prints JSON."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from typing import Any

PAYLOAD = {"id": 12345, "name": "a" * 40, "ok": True, "data": "b" * 30, "x": 1.5}


def receive(there: Any, back: Any, messages: int, trips: int) -> None:
    """Take messages and say how fast they came; then answer."""
    there.get()
    began_s = time.perf_counter()
    for _ in range(messages - 1):
        there.get()
    back.put((messages - 1) / (time.perf_counter() - began_s))
    for _ in range(trips):
        back.put(there.get())


def main(messages: int, trips: int) -> None:
    """Send, then ask."""
    fork = multiprocessing.get_context("fork")
    there, back = fork.Queue(), fork.Queue()
    receiver = fork.Process(target=receive, args=(there, back, messages, trips))
    receiver.start()
    for _ in range(messages):
        there.put(PAYLOAD)
    rate, took = back.get(), []
    for _ in range(trips):
        began_s = time.perf_counter()
        there.put(PAYLOAD)
        back.get()
        took.append(time.perf_counter() - began_s)
    receiver.join()
    print(json.dumps({"messages_per_s": rate, "trip_us": sorted(took)[trips // 2] * 1e6}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
