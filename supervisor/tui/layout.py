"""How the lines of the terminal are shared out: header, column names, tree, pane, bottom line."""

from __future__ import annotations

import msgspec

MIN_WIDTH = 40
MIN_HEIGHT = 8
"""Below these only the header and what has failed are shown."""
MIN_PANE_HEIGHT = 14
"""Below this height the tree needs every line, and a pane is shown only where one was asked for."""
SIGNAL_LINES = 10
"""The menu of signals and its title: the row it is about stays in sight."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of each part; their sum is the terminal's height.

    Attributes:
        header: About the node.
        titles: The names of the columns: 1, or 0 where there is no tree.
        tree: Rows.
        pane: Lines underneath, its title included; 0 if there is none.
        bottom: Keys, message or question.
        is_small: No tree: only the header and what has failed.
    """

    header: int = 3
    titles: int = 1
    tree: int = 15
    pane: int = 4
    bottom: int = 1
    is_small: bool = False


def lay_out(*, width: int, height: int, items: int, pane: str, is_focused: bool) -> Layout:
    """Return the layout for a terminal of `width` by `height` cells and `items` rows."""
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        bottom = 1 if height > 1 else 0
        return Layout(
            header=height - bottom, titles=0, tree=0, pane=0, bottom=bottom, is_small=True
        )
    header = 3 if height >= MIN_PANE_HEIGHT else 2
    free = height - header - 2
    least = _least_pane(free, height, pane, is_focused)
    tree = min(max(items, 1), free - least)
    # Lines that the tree does not need belong to the pane, unless there is none.
    return Layout(header=header, tree=tree if least else free, pane=free - tree if least else 0)


def _least_pane(free: int, height: int, pane: str, is_focused: bool) -> int:
    if pane == "signal":
        return min(free - 1, SIGNAL_LINES)
    if is_focused or pane == "help":
        return max(3, free - max(3, free // 5)) if free > 4 else free - 1
    if pane == "events":
        return max(4, free // 4) if height >= MIN_PANE_HEIGHT else 0
    return max(3, free // 2)
