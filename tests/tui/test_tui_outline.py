"""Which rows are shown, in which order, with which guides."""

from __future__ import annotations

import msgspec
import pytest
from tui_nodes import big, pool, row, shop, supervisor

from supervisor.core.view import Row
from supervisor.tui.outline import MAX_POOL_WORKERS, SORTS, Item, Outline, items, rank, summary

ROWS = (
    supervisor("wippy:root", "", 0),
    supervisor("app:a"),
    row("app:a1", "app:a", 2),
    row("app:a2", "app:a", 2),
    row("app:b"),
)


def drawn(found: tuple[Item, ...]) -> list[str]:
    return [f"{item.guide}{item.row.id}{' ' * bool(item.summary)}{item.summary}" for item in found]


def test_the_tree_is_drawn_with_guide_lines() -> None:
    assert drawn(items(ROWS, Outline())) == [
        "wippy:root", "├─ app:a", "│  ├─ app:a1", "│  └─ app:a2", "└─ app:b",
    ]  # fmt: skip


def test_a_folded_row_says_what_it_hides() -> None:
    assert drawn(items(ROWS, Outline(folded=frozenset({"app:a"})))) == [
        "wippy:root", "├─ app:a ×2: 2 up", "└─ app:b",
    ]  # fmt: skip


def test_a_big_pool_is_one_line_until_it_is_opened() -> None:
    rows = (supervisor("wippy:root", "", 0), *pool("app:web", 200))
    assert drawn(items(rows, Outline()))[1:] == ["└─ app:web ×200: 198 up, 2 backoff"]
    assert len(items(rows, Outline(opened=frozenset({"app:web"})))) == 202


@pytest.mark.parametrize(("workers", "is_folded"), [(MAX_POOL_WORKERS, False), (21, True)])
def test_pools_fold_by_themselves_above_twenty(workers: int, is_folded: bool) -> None:
    rows = (supervisor("wippy:root", "", 0), *pool("app:web", workers))
    assert (len(items(rows, Outline())) == 2) is is_folded


def test_a_filter_keeps_the_way_to_what_matches() -> None:
    found = items(ROWS, Outline(pattern="A2"))
    assert drawn(found) == ["wippy:root", "└─ app:a", "   └─ app:a2"]
    assert [item.is_match for item in found] == [False, False, True]


def test_a_filter_looks_into_what_is_folded() -> None:
    rows = (supervisor("wippy:root", "", 0), *pool("app:web", 200))
    assert drawn(items(rows, Outline(pattern="web#77")))[-1] == "   └─ app:web#77"


def test_a_flat_list_has_every_row_once_and_no_guides() -> None:
    found = items(shop().rows, Outline(is_flat=True))
    assert [item.row for item in found] == list(shop().rows)
    assert not any(item.guide for item in found)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("is_inverted", [False, True])
@pytest.mark.parametrize("is_flat", [False, True])
def test_no_order_loses_a_row_or_parts_a_child_from_its_parent(
    sort: str, is_inverted: bool, is_flat: bool
) -> None:
    rows = shop().rows
    shape = Outline(rank=rank(rows, sort, is_inverted=is_inverted), is_flat=is_flat)
    found = [item.row.id for item in items(rows, shape)]
    assert sorted(found) == sorted(each.id for each in rows)
    if not is_flat:
        for each in rows[1:]:
            assert found.index(each.parent) < found.index(each.id)


def test_an_order_stays_although_the_figures_change() -> None:
    rows = shop().rows
    shape = Outline(rank=rank(rows, "cpu", is_inverted=False), is_flat=True)
    before = [item.row.id for item in items(rows, shape)]
    busy = [msgspec.structs.replace(each, cpu_percent=float(n)) for n, each in enumerate(rows)]
    assert [item.row.id for item in items(busy, shape)] == before


def test_a_row_that_came_after_the_sort_is_at_the_end() -> None:
    shape = Outline(rank=rank(ROWS, "name", is_inverted=True), is_flat=True)
    found = items((*ROWS, row("app:zz")), shape)
    assert found[-1].row.id == "app:zz"


def test_rows_whose_parent_is_unknown_are_shown_as_tops() -> None:
    rows = (row("app:x", "app:gone", 5), row("app:self", "app:self", 0))
    assert drawn(items(rows, Outline())) == ["app:x", "app:self"]


def test_a_tree_of_any_depth_is_drawn() -> None:
    rows: list[Row] = [supervisor("app:d0", "", 0)]
    rows += [supervisor(f"app:d{n}", f"app:d{n - 1}", n) for n in range(1, 3000)]
    assert len(items(rows, Outline())) == 3000


def test_a_summary_names_the_most_frequent_state_first() -> None:
    assert summary(pool("app:web", 5)[1:]) == "×5: 3 up, 2 backoff"


def test_a_thousand_rows_stay_a_thousand_items() -> None:
    assert len(items(big(1000).rows, Outline())) == 1000
