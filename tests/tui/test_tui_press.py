"""What keys do."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tui_nodes import pool, shop, with_row

from supervisor.core.requests import Kill, Restart, Start, Stop, StopNode
from supervisor.core.view import NodeView
from supervisor.tui import model
from supervisor.tui.look import Look
from supervisor.tui.press import press
from supervisor.tui.render import frame_lines
from supervisor.tui.signals import SIGNALS
from supervisor.tui.state import (
    Effect,
    Leave,
    Mode,
    Model,
    Pane,
    Post,
    Redraw,
    Suspend,
    Tone,
    change,
)

NOW_S = 100.0


def at(id: str, view: NodeView | None = None, **fields: object) -> Model:
    """Return a model with the cursor on `id`."""
    made = model.resized(Model(**fields), 120, 30)  # type: ignore[arg-type]
    return change(model.view_came(made, view or shop(), NOW_S), selected=id)


def typed(shown: Model, *keys: str) -> tuple[Model, list[Effect]]:
    """Press keys; return the model after them and all effects."""
    effects: list[Effect] = []
    for key in keys:
        shown, new = press(shown, key, NOW_S)
        effects += new
    return shown, effects


def verbs(effects: list[Effect]) -> list[object]:
    return [effect.verb for effect in effects if isinstance(effect, Post)]


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ("j", 1), ("jj", 2), ("jk", 0), ("k", 0), ("G", 19), ("Gj", 19), ("Gg", 0), ("Gkk", 17),
    ],
)  # fmt: skip
def test_moving_stops_at_both_ends(keys: str, place: int) -> None:
    assert typed(at("wippy:root"), *keys)[0].place == place


def test_q_leaves_a_viewer_at_once() -> None:
    assert typed(at("wippy:root"), "q")[1] == [Leave()]
    assert typed(at("wippy:root"), "ctrl-c")[1] == [Leave()]


@pytest.mark.parametrize("key", ["q", "ctrl-c"])
def test_q_in_a_foreground_start_asks_and_does_nothing_yet(key: str) -> None:
    shown, effects = typed(at("wippy:root", owns_node=True), key)
    assert (shown.mode, effects) == (Mode.QUIT, [])


def test_the_question_can_be_answered_with_stop_detach_and_cancel() -> None:
    shown = at("wippy:root", owns_node=True)
    stopped, effects = typed(shown, "q", "s")
    assert verbs(effects) == [StopNode()]
    assert stopped.is_stopping
    assert not any(isinstance(effect, Leave) for effect in effects), "the tree is shown going down"
    assert typed(shown, "q", "d")[1] == [Leave(is_detached=True)]
    for no in ("c", "esc", "q", "n"):
        back, effects = typed(shown, "q", no)
        assert (back.mode, effects) == (Mode.TREE, [])


def test_a_second_ctrl_c_at_the_question_changes_nothing() -> None:
    shown, effects = typed(at("wippy:root", owns_node=True), "ctrl-c", "ctrl-c")
    assert (shown.mode, effects) == (Mode.QUIT, [])


@pytest.mark.parametrize(("key", "verb"), [("r", Restart), ("x", Stop), ("u", Start)])
def test_a_command_is_sent_for_the_row_under_the_cursor(key: str, verb: type) -> None:
    _, effects = typed(at("app:redis"), key)
    assert verbs(effects) == [verb("app:redis")]


@pytest.mark.parametrize("key", ["r", "x"])
def test_a_command_that_takes_down_more_than_one_asks_first(key: str) -> None:
    shown, effects = typed(at("app:ingest"), key)
    assert (shown.mode, effects) == (Mode.CONFIRM, [])
    assert "app:ingest and the 3 below" in shown.question
    assert len(verbs(typed(shown, "y")[1])) == 1
    for no in ("n", "esc", "q", "ctrl-c"):
        back, effects = typed(shown, no)
        assert (back.mode, effects) == (Mode.TREE, [])


def test_a_command_is_for_all_tagged_rows_and_the_tags_are_gone_after_it() -> None:
    shown, effects = typed(at("app:redis"), "space", "space", "u")
    assert verbs(effects) == [Start("app:redis"), Start("app:moody")]
    assert shown.tagged == frozenset()


def test_stopping_several_tagged_rows_asks_first() -> None:
    shown, effects = typed(at("app:redis"), "space", "space", "x")
    assert (shown.question, effects) == ("stop 2 rows?", [])
    assert verbs(typed(shown, "y")[1]) == [Stop("app:redis"), Stop("app:moody")]


def test_space_tags_and_untags_and_moves_on() -> None:
    shown, _ = typed(at("app:redis"), "space")
    assert (shown.tagged, shown.selected) == ({"app:redis"}, "app:moody")
    shown, _ = typed(shown, "k", "space")
    assert shown.tagged == frozenset()


def test_the_signal_menu_begins_with_term_and_asks_for_enter() -> None:
    shown, effects = typed(at("app:redis"), "K")
    assert (shown.mode, SIGNALS[shown.signal_at][0], effects) == (Mode.SIGNAL, "TERM", [])
    assert verbs(typed(shown, "enter")[1]) == [Kill("app:redis", 15)]


@pytest.mark.parametrize(("place", "name"), list(enumerate(SIGNALS)))
def test_every_signal_can_be_chosen_with_arrows_and_by_number(
    place: int, name: tuple[str, int, str]
) -> None:
    shown, _ = typed(at("app:redis"), "K")
    assert verbs(typed(shown, *["down"] * place, "enter")[1]) == [Kill("app:redis", name[1])]
    assert verbs(typed(shown, str(place + 1), "enter")[1]) == [Kill("app:redis", name[1])]


def test_the_menu_stays_with_its_row_although_others_vanish() -> None:
    shown, _ = typed(at("app:redis"), "K", "j")
    shown = model.view_came(shown, with_row(shop(), "app:left", os_pid=0), NOW_S)
    assert verbs(typed(shown, "enter")[1]) == [Kill("app:redis", 2)]


def test_a_row_that_vanishes_under_the_menu_does_not_leave_its_signal_to_its_neighbour() -> None:
    shown, _ = typed(at("app:once", with_row(shop(), "app:once", os_pid=77)), "K")
    gone = msgspec.structs.replace(shop(), rows=shop().rows[:-1])
    shown = model.view_came(shown, gone, NOW_S)
    assert shown.selected == "app:held"
    assert verbs(typed(shown, "enter")[1]) == [Kill("app:once", 15)]


def test_a_signal_is_for_all_tagged_rows() -> None:
    shown, effects = typed(at("app:left"), "space", "space", "K", "4", "enter")
    assert verbs(effects) == [Kill("app:left", 9), Kill("app:right", 9)]
    assert shown.tagged == frozenset()


@pytest.mark.parametrize("key", ["esc", "q", "ctrl-c"])
def test_the_menu_can_be_left_without_a_signal(key: str) -> None:
    shown, effects = typed(at("app:redis"), "K", "j", key)
    assert (shown.mode, effects) == (Mode.TREE, [])


def test_a_row_without_a_process_gets_no_signal() -> None:
    shown, effects = typed(at("app:ingest"), "K")
    assert (shown.mode, effects) == (Mode.TREE, [])
    assert shown.message is not None
    assert shown.message.tone is Tone.ERROR


@pytest.mark.parametrize("key", ["r", "x", "u", "K"])
def test_read_only_refuses_every_command_and_says_so(key: str) -> None:
    shown, effects = typed(at("app:redis", is_read_only=True), key)
    assert (shown.mode, effects) == (Mode.TREE, [])
    assert shown.message is not None
    assert "read only" in shown.message.text


def test_read_only_does_not_stop_the_node_either() -> None:
    shown = at("app:redis", is_read_only=True, owns_node=True)
    assert verbs(typed(shown, "q", "s")[1]) == []


def test_a_filter_narrows_while_it_is_typed_and_esc_shows_all_again() -> None:
    shown, _ = typed(at("wippy:root"), "/", "r", "e", "d")
    assert [item.row.id for item in shown.items] == ["wippy:root", "app:redis"]
    kept, _ = typed(shown, "enter")
    assert (kept.mode, kept.shape.pattern) == (Mode.TREE, "red")
    assert typed(shown, "backspace")[0].shape.pattern == "re"
    assert typed(shown, "esc")[0].shape.pattern == ""
    assert typed(kept, "esc")[0].shape.pattern == ""


def test_keys_are_text_while_a_filter_is_typed() -> None:
    shown, effects = typed(at("wippy:root"), "/", "q", "x", "space", "K", "é")
    assert (shown.shape.pattern, effects) == ("qx Ké", [])


def test_n_goes_to_the_next_match_of_the_filter_and_around() -> None:
    shown, _ = typed(at("wippy:root"), "/", *"web#", "enter")
    seen = []
    for key in "nnnnN":
        shown, _ = press(shown, key, NOW_S)
        seen.append(shown.selected)
    assert seen == ["app:web#1", "app:web#2", "app:web#3", "app:web#1", "app:web#3"]


def test_n_without_a_filter_goes_to_what_is_not_well() -> None:
    shown = at("app:redis")
    assert typed(shown, "n")[0].selected == "app:moody"
    assert typed(shown, "N")[0].selected == "app:left"


def test_minus_folds_plus_unfolds_and_minus_again_goes_to_the_parent() -> None:
    shown, _ = typed(at("app:ingest"), "-")
    assert not any(item.row.parent == "app:ingest" for item in shown.items)
    assert typed(shown, "+")[0].items == at("app:ingest").items
    assert typed(at("app:worker"), "-")[0].selected == "app:ingest"


def test_star_folds_everything_below_the_top_and_opens_it_again() -> None:
    shown, _ = typed(at("wippy:root"), "*")
    assert {item.row.depth for item in shown.items} == {0, 1}
    assert typed(shown, "*")[0].items == at("wippy:root").items


def test_a_big_pool_opens_with_plus_and_folds_with_minus() -> None:
    view = NodeView(node="n", rows=(shop().rows[0], *pool("app:web", 200)))
    shown = at("app:web", view)
    assert len(shown.items) == 2
    opened, _ = typed(shown, "+")
    assert len(opened.items) == 202
    assert len(typed(opened, "-")[0].items) == 2


def test_t_shows_a_flat_list_and_the_tree_again() -> None:
    shown, _ = typed(at("app:worker"), "t")
    assert shown.shape.is_flat
    assert shown.selected == "app:worker"
    assert not typed(shown, "t")[0].shape.is_flat


def test_s_walks_through_the_orders_and_back_to_the_trees_own() -> None:
    shown = at("app:worker")
    orders = []
    for _ in range(7):
        shown, _ = press(shown, "s", NOW_S)
        orders.append(shown.sort)
    assert orders == ["name", "state", "restarts", "cpu", "memory", "uptime", "order"]
    assert shown.items == at("app:worker").items


@pytest.mark.parametrize(
    ("key", "pane"),
    [("l", Pane.LOG), ("w", Pane.WHY), ("enter", Pane.DETAILS), ("?", Pane.HELP), ("f", Pane.LOG)],
)
def test_a_pane_opens_and_esc_goes_back_to_the_events(key: str, pane: Pane) -> None:
    shown, _ = typed(at("app:redis"), key)
    assert shown.pane is pane
    assert typed(shown, "esc")[0].pane is Pane.EVENTS


@pytest.mark.parametrize("key", ["l", "w", "enter", "?"])
def test_the_key_that_opened_a_pane_closes_it(key: str) -> None:
    assert typed(at("app:redis"), key, key)[0].pane is Pane.EVENTS


def test_tab_gives_the_keys_to_the_pane_and_the_selection_stays() -> None:
    shown, _ = typed(at("app:redis"), "l", "tab")
    lines = tuple(f"line {n}" for n in range(500))
    shown = model.log_came(shown, "/nowhere/app:redis.log", lines)
    shown, _ = typed(shown, "k", "k")
    assert (shown.selected, shown.pane_back, shown.is_following) == ("app:redis", 2, False)
    assert typed(shown, "G")[0].is_following
    top, _ = typed(shown, "g")
    assert top.pane_back == 500 - (top.layout.pane - 1)
    assert typed(top, "k")[0].pane_back == top.pane_back, "never beyond the first line"


def test_a_focused_pane_is_filtered_by_what_is_typed() -> None:
    shown, _ = typed(at("app:redis"), "tab", "/", *"quarantined", "esc", "/", *"back in", "enter")
    assert (shown.pane_pattern, shown.shape.pattern) == ("back in", "")
    text = ["".join(part.text for part in line) for line in frame_lines(shown, Look())]
    assert sum("back in 9ms" in line for line in text) == 1
    assert not any("killed by" in line for line in text)


def test_ctrl_z_suspends_and_ctrl_l_redraws_in_every_mode() -> None:
    for keys in ((), ("K",), ("/",), ("?",)):
        shown, _ = typed(at("app:redis"), *keys)
        assert typed(shown, "ctrl-z")[1] == [Suspend()]
        assert typed(shown, "ctrl-l")[1] == [Redraw()]


KEYS = [
    "up", "down", "left", "right", "pgup", "pgdn", "home", "end", "enter", "esc", "tab", "space",
    "backspace", "ctrl-c", "f1", "delete", "alt-x", "é", *"jkgGqKrxuwlfe/nNt+-*sSp?ydc1509",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(KEYS), max_size=40),
    st.tuples(st.integers(1, 160), st.integers(1, 50)),
    st.booleans(),
)
def test_no_keys_at_any_size_break_the_model_or_the_picture(
    keys: list[str], size: tuple[int, int], owns_node: bool
) -> None:
    shown = model.resized(at("wippy:root", owns_node=owns_node), *size)
    for key in keys:
        shown, _ = press(shown, key, NOW_S)
    lines = frame_lines(shown, Look(now_s=NOW_S))
    assert len(lines) == size[1]
    assert all(sum(part.cell_length for part in line) == size[0] for line in lines)
