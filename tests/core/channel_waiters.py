"""Who waits at a channel, for the tests of the core of channels."""

from __future__ import annotations

from typing import Any

from wippy.core.channels import (
    ChannelCore,
    Stage,
    Waiter,
)


class Someone(Waiter):
    """A waiter that is woken by nobody; `is_gone` is what a cancelled future is."""

    is_gone = False
    wakes = 0

    def is_there(self) -> bool:
        return not self.is_gone

    def wake(self) -> bool:
        self.wakes += 1
        return True

    def outcome(self) -> tuple[int, Any, bool] | None:
        return (self.index, self.value, self.ok) if self.stage is Stage.SETTLED else None


def receiver(core: ChannelCore) -> Someone:
    waiter = Someone()
    core.wait_to_receive(waiter)
    return waiter


def sender(core: ChannelCore, value: Any) -> Someone:
    waiter = Someone((value,))
    core.wait_to_send(waiter)
    return waiter


def full(size: int) -> ChannelCore:
    core = ChannelCore(size)
    assert all(core.send(number) for number in range(size))
    return core
