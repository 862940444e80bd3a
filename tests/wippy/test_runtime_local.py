"""What the plane keeps of an actor: next to nothing while nothing happens to it."""

from __future__ import annotations

from typing import cast

import pytest

from wippy.core.mailbox import Box, Delivery, take
from wippy.runtime.context import Event, EventChannel, EventKind
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer

LAZY = ("watchers", "links", "unanswered", "waits", "names", "values", "closers")


def new() -> LocalActor:
    return LocalActor(3, "n/s.1/3", EventChannel())


def made(local: LocalActor) -> list[str]:
    found = []
    for name in LAZY:
        try:
            getattr(LocalActor, name).__get__(local)
        except AttributeError:
            continue
        found.append(name)
    return found


def test_an_actor_has_no_container_that_nobody_has_asked_for() -> None:
    assert made(new()) == []


@pytest.mark.parametrize("name", LAZY)
def test_a_container_is_made_empty_when_it_is_asked_for_and_stays(name: str) -> None:
    local = new()
    container = getattr(local, name)
    assert not container
    assert getattr(local, name) is container
    assert made(local) == [name]


def test_what_no_actor_has_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(new(), "nonsense")  # noqa: B009  # mypy knows that there is none


def test_a_process_that_is_gone_is_forgotten_and_nothing_is_made_for_it() -> None:
    gone, other = cast("Peer", object()), cast("Peer", object())
    local = new()
    local.forget_callers(gone)
    assert made(local) == []
    local.watchers.update({(gone, 1): 7, (other, 1): 8})
    local.forget_callers(gone)
    assert local.watchers == {(other, 1): 8}
    assert made(local) == ["watchers"]


def test_a_line_that_is_dropped_when_it_is_empty_loses_nothing() -> None:
    box = Box()
    for turn in range(3):
        box.add(Delivery("t", "s", [turn], 1, "o"))
        box.drop_empty_line()
        delivery = take(box)
        assert delivery is not None
        assert list(delivery.rest) == [turn]
        box.drop_empty_line()
        assert box.deliveries is None
    assert take(box) is None


def test_events_come_in_order_however_often_there_were_none() -> None:
    events = EventChannel()
    for turn in range(3):
        assert events.take_nowait() is None
        assert not events.has_events()
        for part in range(2):
            events.put(Event(EventKind.CANCEL, f"{turn}.{part}", 0.0))
        assert events.unread == 2
        taken = [events.take_nowait(), events.take_nowait()]
        assert [event.reason for event in taken if event] == [f"{turn}.0", f"{turn}.1"]
