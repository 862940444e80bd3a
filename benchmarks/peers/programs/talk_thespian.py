"""Two Thespian actors in processes of their own: `talk_thespian.py MESSAGES TRIPS` prints JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from thespian.actors import Actor, ActorSystem

PAYLOAD = {"id": 12345, "name": "a" * 40, "ok": True, "data": "b" * 30, "x": 1.5}
SYSTEM = "multiprocUDPBase"
"""The fastest of its transports here: TCP carried 1,200 messages a second, queues 6,400."""
ANSWER_S = 120
WINDOW = 64
"""Messages on the way at once; with thousands it pauses, and datagrams would be lost."""


class Receiver(Actor):
    """Takes `PAYLOAD`s, and tells their rate behind the last; answers what is a list."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.began_s = 0.0

    def receiveMessage(self, message: Any, sender: Any) -> None:  # Thespian's name
        """See Thespian."""
        if isinstance(message, list):
            self.send(sender, message)
        elif message == "seen?":
            self.send(sender, "seen")
        elif message == "rate":
            rate = (self.seen - 1) / (time.perf_counter() - self.began_s)
            self.send(sender, {"rate": rate})
        elif isinstance(message, dict):
            if not self.seen:
                self.began_s = time.perf_counter()
            self.seen += 1


class Sender(Actor):
    """Sends, and asks; told by a tuple (receiver, messages, trips)."""

    def __init__(self) -> None:
        super().__init__()
        self.boss: Any = None
        self.receiver: Any = None
        self.rate = 0.0
        self.unsent = 0
        self.left = 0
        self.began_s = 0.0
        self.took: list[float] = []

    def receiveMessage(self, message: Any, sender: Any) -> None:  # Thespian's name
        """See Thespian."""
        if isinstance(message, tuple):
            self.boss, (self.receiver, self.unsent, self.left) = sender, message
            self.send_some()
        elif message == "seen":
            self.send_some()
        elif isinstance(message, dict):
            self.rate = message["rate"]
            self.ask()
        elif isinstance(message, list):
            self.took.append(time.perf_counter() - self.began_s)
            self.left -= 1
            if self.left:
                self.ask()
            else:
                middle = sorted(self.took)[len(self.took) // 2]
                self.send(self.boss, (self.rate, middle * 1e6))

    def send_some(self) -> None:
        """Send a window; ask for the rate behind the last."""
        count = min(WINDOW, self.unsent)
        self.unsent -= count
        for _ in range(count):
            self.send(self.receiver, PAYLOAD)
        self.send(self.receiver, "seen?" if self.unsent else "rate")

    def ask(self) -> None:
        """Begin a round trip."""
        self.began_s = time.perf_counter()
        self.send(self.receiver, [PAYLOAD])


def main(messages: int, trips: int) -> None:
    """Start both and let them."""
    system = ActorSystem(SYSTEM)
    try:
        sender, receiver = system.createActor(Sender), system.createActor(Receiver)
        rate, trip_us = system.ask(sender, (receiver, messages, trips), ANSWER_S)
    finally:
        system.shutdown()
    print(json.dumps({"messages_per_s": rate, "trip_us": trip_us}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
