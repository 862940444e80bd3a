"""What arrives: views, facts, answers, sizes, silence."""

from __future__ import annotations

import msgspec
from tui_nodes import big, facts, pool, shop, with_row

from supervisor.core.facts import Fact, FactKind
from supervisor.core.requests import Done, Stop, ViewAnswer, Why, WhyAnswer, WhyView
from supervisor.core.view import NodeView, State
from supervisor.tui import model
from supervisor.tui.model import FLASH_S, MAX_FACTS, WHY_REFRESH_S
from supervisor.tui.press import press
from supervisor.tui.state import STALE_S, Model, Pane, Post, Tone, change, elapsed_s, stale_s
from wippy.errors import Failure, NotFound

NOW_S = 100.0


def looking(view: NodeView | None = None, **fields: object) -> Model:
    """Return a model that shows `view` (the shop)."""
    made = model.resized(Model(**fields), 120, 30)  # type: ignore[arg-type]
    return model.view_came(made, view or shop(), NOW_S)


def test_what_changed_flashes_for_two_seconds_and_what_always_moves_does_not() -> None:
    after = with_row(shop(), "app:redis", os_pid=1, generation=2, cpu_percent=9.0, uptime_s=0.1)
    shown = model.view_came(looking(), after, NOW_S + 1)
    assert set(shown.flashes) == {("app:redis", "pid"), ("app:redis", "gen")}
    assert set(shown.flashes.values()) == {NOW_S + 1 + FLASH_S}
    later = model.view_came(shown, after, NOW_S + 1 + FLASH_S)
    assert later.flashes == {}


def test_the_first_view_does_not_flash() -> None:
    assert looking().flashes == {}


def test_a_new_row_flashes_its_name() -> None:
    view = shop()
    before = msgspec.structs.replace(view, rows=view.rows[:-1])
    assert set(model.view_came(looking(before), view, NOW_S).flashes) == {("app:once", "name")}


def test_the_selection_stays_on_its_row_when_rows_come_and_go_above() -> None:
    shown = change(looking(), selected="app:redis")
    without = tuple(row for row in shop().rows if row.id != "app:left")
    shown = model.view_came(shown, msgspec.structs.replace(shop(), rows=without), NOW_S)
    assert shown.selected == "app:redis"
    assert shown.items[shown.place].row.id == "app:redis"


def test_the_selection_of_a_row_that_vanished_is_its_neighbour() -> None:
    shown = change(looking(), selected="app:once")
    gone = msgspec.structs.replace(shop(), rows=shop().rows[:-1])
    assert model.view_came(shown, gone, NOW_S).selected == "app:held"


def test_the_selection_within_a_pool_that_folds_is_the_pool() -> None:
    rows = (shop().rows[0], *pool("app:web", 200))
    shown = looking(msgspec.structs.replace(shop(), rows=rows))
    shown, _ = press(change(shown, selected="app:web"), "+", NOW_S)
    shown = change(shown, selected="app:web#7")
    shown, _ = press(shown, "left", NOW_S)
    shown, _ = press(shown, "-", NOW_S)
    assert (shown.selected, len(shown.items)) == ("app:web", 2)


def test_an_empty_node_is_shown_and_takes_keys() -> None:
    shown = looking(NodeView(node="empty"))
    for key in ("j", "G", "K", "r", "enter", "+", "-", "*", "space", "s", "n", "l", "w", "t"):
        shown, _ = press(shown, key, NOW_S)
    assert shown.items == ()


def test_the_selected_row_is_always_on_the_screen() -> None:
    shown = looking(big())
    for key in ("pgdn", "G", "k", "pgup", "g", "j"):
        shown, _ = press(shown, key, NOW_S)
        for size in ((200, 60), (80, 24), (60, 9)):
            shown = model.resized(shown, *size)
            assert shown.top <= shown.place < shown.top + shown.layout.tree


def test_facts_that_come_twice_are_shown_once() -> None:
    shown = model.facts_came(looking(), facts()[-2:], NOW_S)
    shown = model.view_came(shown, shop(), NOW_S)
    assert shown.facts == facts()


def test_a_new_roots_facts_are_added_although_it_counts_from_one() -> None:
    fresh = Fact(seq=1, at_s=9e9, kind=FactKind.ROOT_RECOVERED, text="found 12 processes")
    assert model.facts_came(looking(), (fresh,), NOW_S).facts == (*facts(), fresh)


def test_facts_are_bounded() -> None:
    many = tuple(Fact(seq=n, at_s=float(n), kind=FactKind.READY) for n in range(1, 3 * MAX_FACTS))
    shown = model.facts_came(looking(), many, NOW_S)
    assert len(shown.facts) == MAX_FACTS
    assert shown.facts[-1] == many[-1]


def test_someone_who_scrolled_back_in_the_events_keeps_reading_the_same_lines() -> None:
    shown, _ = press(looking(), "tab", NOW_S)
    shown = msgspec.structs.replace(shown, pane_back=2)
    fresh = Fact(seq=9, at_s=9e9, kind=FactKind.READY, id="app:x")
    assert model.facts_came(shown, (fresh,), NOW_S).pane_back == 3


def test_a_silent_root_is_stale_and_its_uptimes_stand_still() -> None:
    shown = looking()
    assert stale_s(shown, NOW_S + STALE_S) == 0.0
    assert stale_s(shown, NOW_S + 4.0) == 4.0
    assert elapsed_s(shown, NOW_S + 1.5) == 1.5
    assert elapsed_s(shown, NOW_S + 60.0) == 0.0


def test_any_answer_ends_staleness() -> None:
    shown = model.answered(looking(), 1, Done(), NOW_S + 10)
    assert stale_s(shown, NOW_S + 11) == 0.0


def test_the_answer_to_a_command_is_in_the_message_line() -> None:
    shown = model.posted(looking(), 7, Post(Stop("app:x"), "stop app:x"), NOW_S)
    assert shown.message is not None
    assert shown.message.text == "stop app:x …"
    shown = model.answered(shown, 7, Done("already stopped"), NOW_S)
    assert shown.message is not None
    assert (shown.message.text, shown.message.tone) == ("stop app:x: already stopped", Tone.GOOD)
    assert shown.pending == {}


def test_an_error_is_a_message_and_nothing_more() -> None:
    shown = model.posted(looking(), 7, Post(Stop("app:x"), "stop app:x"), NOW_S)
    shown = model.answered(shown, 7, Failure.of(NotFound("no such child")), NOW_S)
    assert shown.message is not None
    assert (shown.message.text, shown.message.tone) == ("stop app:x: no such child", Tone.ERROR)


def test_an_error_among_several_answers_is_not_hidden_by_a_success() -> None:
    shown = model.posted(looking(), 7, Post(Stop("app:x"), "stop app:x"), NOW_S)
    shown = model.posted(shown, 8, Post(Stop("app:y"), "stop app:y"), NOW_S)
    shown = model.answered(shown, 7, Failure.of(NotFound("no such child")), NOW_S)
    shown = model.answered(shown, 8, Done("stopped"), NOW_S)
    assert shown.message is not None
    assert "no such child" in shown.message.text


def test_an_answer_nobody_asked_for_is_harmless() -> None:
    assert model.answered(looking(), 99, Done("?"), NOW_S).message is None


def test_a_view_may_also_come_as_an_answer() -> None:
    shown = model.answered(Model(), 1, ViewAnswer(shop()), NOW_S)
    assert shown.view == shop()


def test_while_paused_the_picture_stands_and_the_newest_follows_after() -> None:
    shown, _ = press(looking(), "p", NOW_S)
    after = with_row(shop(), "app:redis", os_pid=1)
    shown = model.view_came(shown, after, NOW_S + 5)
    assert shown.view == shop()
    assert elapsed_s(shown, NOW_S + 5) == 0.0
    shown, _ = press(shown, "p", NOW_S + 6)
    assert shown.view == after
    assert ("app:redis", "pid") in shown.flashes


def test_tags_of_rows_that_are_gone_are_gone() -> None:
    shown = change(looking(), tagged=frozenset({"app:once", "app:redis"}))
    gone = msgspec.structs.replace(shop(), rows=shop().rows[:-1])
    assert model.view_came(shown, gone, NOW_S).tagged == {"app:redis"}


def test_why_is_asked_for_the_selected_row_once_and_again_when_something_happened_to_it() -> None:
    shown, _ = press(change(looking(), selected="app:redis"), "w", NOW_S)
    shown, posts = model.wanted_posts(shown, NOW_S)
    assert [post.verb for post in posts] == [Why("app:redis")]
    shown = model.answered(shown, 1, WhyAnswer(WhyView(view=shop())), NOW_S)
    assert model.wanted_posts(shown, NOW_S + 99)[1] == ()

    exited = Fact(seq=9, at_s=9e9, kind=FactKind.EXITED, id="app:redis")
    shown = model.facts_came(shown, (exited,), NOW_S)
    assert model.wanted_posts(shown, NOW_S + WHY_REFRESH_S / 2)[1] == ()
    shown, posts = model.wanted_posts(shown, NOW_S + WHY_REFRESH_S)
    assert len(posts) == 1
    assert shown.why is not None, "what was known stays until the answer"

    shown, _ = press(shown, "k", NOW_S)
    shown, posts = model.wanted_posts(shown, NOW_S + 1)
    assert [post.verb for post in posts] == [Why(shown.selected)]


def test_a_log_is_read_only_while_it_is_shown_and_not_under_a_reader_who_scrolled() -> None:
    shown = change(looking(), selected="app:redis")
    assert model.wanted_log(shown) is None
    shown, _ = press(shown, "l", NOW_S)
    assert model.wanted_log(shown) == "/nowhere/app:redis.log"
    shown = model.log_came(shown, "/nowhere/app:redis.log", ("a", "b"))
    shown = msgspec.structs.replace(shown, is_following=False, pane_back=1)
    assert model.wanted_log(shown) is None
    shown, _ = press(shown, "k", NOW_S)
    assert model.wanted_log(shown) == "/nowhere/app:right.log"


def test_nothing_changes_sooner_than_a_second_unless_something_flashes_or_ends() -> None:
    assert model.next_change_s(looking(), NOW_S) == NOW_S + 1.0
    flashing = msgspec.structs.replace(looking(), flashes={("a", "b"): NOW_S + 0.3})
    assert model.next_change_s(flashing, NOW_S) == NOW_S + 0.3


def test_opening_a_pane_keeps_the_node_untouched() -> None:
    shown, effects = press(looking(), "l", NOW_S)
    assert (shown.pane, effects) == (Pane.LOG, ())


def test_a_state_that_changed_flashes() -> None:
    after = with_row(shop(), "app:redis", state=State.BACKOFF)
    assert ("app:redis", "state") in model.view_came(looking(), after, NOW_S).flashes
