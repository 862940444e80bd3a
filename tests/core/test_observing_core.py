"""What may be published, what waits for a subscriber, and who wants what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core import observing, pattern
from wippy.core.observing import (
    MAX_EVENT_BYTES,
    MAX_SIZE,
    MAX_TOPICS_COUNTED,
    Lost,
    Routes,
    Unseen,
    Window,
    is_wanted,
)
from wippy.errors import Invalid


def unseen(number: int) -> Unseen:
    return Unseen("t", str(number).encode(), "", float(number))


@given(st.integers(1, 9), st.lists(st.booleans(), max_size=60))
def test_a_window_gives_the_newest_in_order_and_counts_all_others(
    size: int, puts: list[bool]
) -> None:
    window, model, dropped = Window(size), list[Unseen](), 0
    for number, is_put in enumerate(puts):
        if is_put:
            window.put(unseen(number))
            model.append(unseen(number))
            if len(model) > size:
                model.pop(0)
                dropped += 1
        else:
            assert window.take() == (model.pop(0) if model else None)
        assert (len(window), window.dropped) == (len(model), dropped)


def test_what_was_lost_is_told_once_and_counted_anew() -> None:
    lost = Lost()
    for topic in ("a", "b", "a"):
        lost.note(topic)
    assert lost.take() == {"a": 2, "b": 1}
    assert lost.take() == {}


def test_a_flood_of_topics_is_counted_in_bounded_room_and_none_is_forgotten() -> None:
    lost = Lost()
    for number in range(10 * MAX_TOPICS_COUNTED):
        lost.note(f"t.{number}")
    lost.note("t.5")
    counts = lost.take()
    assert len(counts) == MAX_TOPICS_COUNTED
    assert sum(counts.values()) == 10 * MAX_TOPICS_COUNTED + 1
    assert counts["t.5"] == 2
    assert counts["t.0"] == 9 * MAX_TOPICS_COUNTED + 1


def test_routes_name_each_process_that_wants_a_topic_once() -> None:
    routes = Routes((("a", 1, ("shop.*", "shop.paid")), ("b", 2, ("**",)), ("c", 1, ("news",))))
    assert routes.of("shop.paid") == (("a", 1), ("b", 2))
    assert routes.of("news") == (("b", 2), ("c", 1))
    assert Routes().of("news") == ()


def test_routes_remember_a_bounded_number_of_topics_and_answer_alike() -> None:
    routes = Routes((("a", 1, ("t.1*",)),))
    for number in [*range(2 * Routes.MAX_REMEMBERED + 1), 1, 2]:
        expected = (("a", 1),) if str(number).startswith("1") else ()
        assert routes.of(f"t.{number}") == expected
        assert len(routes._known) <= Routes.MAX_REMEMBERED


def test_a_row_with_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(Invalid):
        Routes((("a", 1, ("shop..paid",)),))


def test_a_topic_is_wanted_if_any_pattern_stands_for_it() -> None:
    patterns = (pattern.parse("a.*"), pattern.parse("b"))
    wanted = [it for it in ("a.x", "b", "b.x", "a") if is_wanted(it, patterns)]
    assert wanted == ["a.x", "b"]
    assert not is_wanted("a", ())


@pytest.mark.parametrize("topic", ["wippy", "wippy.exited", "wippy:x", "wippy.a.b"])
def test_topics_of_the_runtime_are_not_for_actors(topic: str) -> None:
    with pytest.raises(Invalid, match="runtime's own"):
        observing.check_topic(topic)


@pytest.mark.parametrize("topic", ["", "a b", "a..b", "*", "a.*", "x" * 256, "."])
def test_what_is_no_topic_is_refused(topic: str) -> None:
    with pytest.raises(Invalid):
        observing.check_topic(topic)


@pytest.mark.parametrize("topic", ["a", "shop.orders.paid", "wippyish.x", "app:db.up"])
def test_topics_of_actors_are_accepted(topic: str) -> None:
    observing.check_topic(topic)


def test_a_topic_that_is_no_text_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        observing.check_topic(7)  # type: ignore[arg-type]


def test_sizes_are_checked_at_their_bounds() -> None:
    observing.check_size(1)
    observing.check_size(MAX_SIZE)
    for size in (0, MAX_SIZE + 1, True, 1.5, "9"):
        with pytest.raises(Invalid, match="unread observations"):
            observing.check_size(size)  # type: ignore[arg-type]
    observing.check_event_size(b"x" * MAX_EVENT_BYTES)
    with pytest.raises(Invalid, match="send the data as a message"):
        observing.check_event_size(b"x" * (MAX_EVENT_BYTES + 1))
