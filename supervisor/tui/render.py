"""The whole picture: model and look in, lines out, each exactly as wide as the terminal. Only the
rows on the screen are drawn, so that a thousand rows cost as much as forty."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from supervisor.core.view import NodeView
from supervisor.tui import columns, outline
from supervisor.tui.columns import GAP, Grid
from supervisor.tui.header import header_lines, trouble_lines
from supervisor.tui.lines import Line, exactly, fit, restyled, styled, to_ansi, width_of
from supervisor.tui.look import Look
from supervisor.tui.outline import Item, Outline
from supervisor.tui.panes import AT_END, body, fact_line, title
from supervisor.tui.state import Mode, Model, Tone, elapsed_s, settled

_TONES = {Tone.INFO: "bold", Tone.GOOD: "bold green", Tone.ERROR: "bold red"}
_TONE_SIGNS = {Tone.INFO: " ", Tone.GOOD: "✔", Tone.ERROR: "✘"}
_KEYS = (
    ("?", "help"), ("q", "quit"), ("K", "signal"), ("r", "restart"), ("x", "stop"), ("u", "start"),
    ("w", "why"), ("l", "log"), ("Enter", "details"), ("/", "filter"), ("+-", "fold"),
    ("space", "tag"), ("s", "sort"), ("t", "flat"), ("Tab", "pane"), ("p", "pause"),
)  # fmt: skip
ONCE_FACTS = 10


def frame(model: Model, look: Look) -> list[str]:
    """Return the lines of the terminal, ready to be written."""
    lines = frame_lines(model, look)
    color, ascii_only = look.has_color, look.is_ascii
    return [to_ansi(line, color=color, ascii_only=ascii_only) for line in lines]


def frame_lines(model: Model, look: Look) -> list[Line]:
    """Return the picture as styled lines: `model.height` of them, each `model.width` wide."""
    layout = model.layout
    if layout.is_small:
        lines = trouble_lines(model, look, layout.header)
    else:
        grid = columns.choose(model.width, model.name_width)
        lines = header_lines(model, look, layout.header)
        lines.append(titles(grid))
        lines += _tree(model, look, grid)
        lines += _pane(model, look)
    if layout.bottom:
        lines.append(_bottom(model, look))
    return [exactly(line, model.width) for line in lines]


def tree_lines(
    view: NodeView, *, width: int, color: bool = False, ascii_only: bool = False
) -> list[str]:
    """Return the tree of `view` as it is printed once: column names and all rows, none folded.

    Args:
        view: The node.
        width: Cells of the terminal.
        color: With ANSI codes; otherwise plain text.
        ascii_only: Nothing but ASCII.
    """
    items = outline.items(view.rows, Outline(opened=frozenset(row.id for row in view.rows)))
    lines = _static(items, width)
    return [_printed(line, color, ascii_only) for line in lines]


def once(model: Model, look: Look) -> list[str]:
    """Return one picture for a pipe or a scroll-back: header, all rows, the last facts."""
    model = settled(msgspec.structs.replace(model, selected="", tagged=frozenset()))
    lines = header_lines(model, look, 3)
    lines += _static(model.items, model.width)
    facts = model.facts[-ONCE_FACTS:]
    if facts:
        lines += [[], *(exactly(fact_line(fact, look), model.width) for fact in facts)]
    return [_printed(line, look.has_color, look.is_ascii) for line in lines]


def titles(grid: Grid) -> Line:
    """Return the line with the names of the columns."""
    line = [styled(fit(" NAME", grid.name_width), "bold")]
    for column, width in zip(grid.columns, grid.widths, strict=True):
        line.append(styled(" " * GAP + fit(column.title, width, align=column.align), "bold"))
    return line


def row_line(
    item: Item,
    grid: Grid,
    *,
    elapsed_s: float = 0.0,
    flashing: frozenset[str] = frozenset(),
    is_tagged: bool = False,
) -> Line:
    """Return the line of one row.

    Args:
        item: The row and its place in the tree.
        grid: The columns to show.
        elapsed_s: Seconds since the view was made.
        flashing: Names of the columns that have just changed.
        is_tagged: Whether the next command is for it.
    """
    name = _name(item, is_tagged)
    used, first = _name_span(item, grid)
    line = exactly(name, used) if width_of(name) <= used else _cut(name, used)
    if "name" in flashing:
        line = restyled(line, "bold reverse")
    for column, width in zip(grid.columns[first:], grid.widths[first:], strict=True):
        text, style = column.cell(item.row, elapsed_s)
        fitted = fit(text, width, align=column.align)
        if column.name in flashing:
            style = f"{style} bold reverse" if fitted.strip() else ""
        line += [styled(" " * GAP), styled(fitted, style)]
    return line


def _name(item: Item, is_tagged: bool) -> Line:
    row = item.row
    fold = "▸ " if item.summary else ""
    is_dimmed = not item.is_match
    line = [
        styled("•" if is_tagged else " ", "bold magenta"),
        styled(item.guide, "dim"),
        styled(columns.glyph(row), columns.state_style(row)),
        styled(f" {fold}", "dim"),
        styled(row.id, "dim" if is_dimmed else ("bold" if row.strategy else "")),
    ]
    if item.summary:
        line.append(styled(f" {item.summary}", "dim"))
    return line


def _name_span(item: Item, grid: Grid) -> tuple[int, int]:
    """Return the cells for the name and how many columns it covers: the summary of what is folded
    runs over state to uptime, of which a pool or a supervisor has only the state, and that is in
    its glyph."""
    if not item.summary or item.row.os_pid:
        return grid.name_width, 0
    covered = min(4, len(grid.columns))
    return grid.name_width + sum(width + GAP for width in grid.widths[:covered]), covered


def _cut(line: Line, width: int) -> Line:
    return [*exactly(line, width - 1), styled("…", "dim")]


def _tree(model: Model, look: Look, grid: Grid) -> list[Line]:
    height = model.layout.tree
    elapsed = elapsed_s(model, look.now_s)
    flashing: dict[str, set[str]] = {}
    for (row_id, column), until_s in model.flashes.items():
        if until_s > look.now_s:
            flashing.setdefault(row_id, set()).add(column)
    lines: list[Line] = []
    for place in range(model.top, min(model.top + height, len(model.items))):
        item = model.items[place]
        hidden = {"name"} if any(each in flashing for each in item.hidden) else set()
        line = row_line(
            item,
            grid,
            elapsed_s=elapsed,
            flashing=frozenset(flashing.get(item.row.id, set()) | hidden),
            is_tagged=item.row.id in model.tagged,
        )
        if place == model.place:
            # A flash is reverse already: twice reverse would hide it, so it is underlined too.
            mark = "underline reverse" if item.row.id in flashing else "reverse"
            line = restyled(exactly(line, model.width), mark)
        lines.append(line)
    if not model.items:
        lines.append([styled(_empty(model), "dim")])
    return (lines + [[]] * height)[:height]


def _empty(model: Model) -> str:
    if model.view is None:
        return "  …"
    if model.shape.pattern:
        return f"  no row contains {model.shape.pattern!r}; Esc shows all"
    return "  no children"


def _pane(model: Model, look: Look) -> list[Line]:
    if model.layout.pane == 0:
        return []
    height = model.layout.pane - 1
    text = body(model, look)
    back = max(0, min(model.pane_back, len(text) - height))
    if model.pane in AT_END and model.mode is not Mode.SIGNAL:
        end = len(text) - back
        seen = text[max(0, end - height) : end]
    else:
        start = back if model.mode is not Mode.SIGNAL else max(0, model.signal_at - height + 1)
        seen = text[start : start + height]
    more = f" {len(text) - height - back} above " if _has_more(model, text, height) else ""
    shown = [_cut(line, model.width) if width_of(line) > model.width else line for line in seen]
    return [_rule(title(model), more, model), *(shown + [[]] * height)[:height]]


def _has_more(model: Model, text: Sequence[Line], height: int) -> bool:
    return model.pane_back > 0 and model.pane in AT_END and len(text) - height > model.pane_back


def _rule(text: str, more: str, model: Model) -> Line:
    style = "bold" if model.is_focused or model.mode is Mode.SIGNAL else "dim"
    head = fit(text, min(len(text), max(1, model.width - 6)))
    left = [styled("── ", style), styled(head, "bold"), styled(" ", style)]
    rest = max(0, model.width - width_of(left) - len(more))
    return [*left, styled("─" * rest, style), styled(more, style)]


def _bottom(model: Model, look: Look) -> Line:
    match model.mode:
        case Mode.FILTER:
            what = "filter pane" if model.is_focused else "filter"
            return [styled(f" {what}: /{model.typed}", "bold"), styled(" ", "reverse")]
        case Mode.SIGNAL:
            return _keys((("Enter", "send"), ("j k 1-9", "choose"), ("Esc", "cancel")), model.width)
        case Mode.CONFIRM:
            return [
                styled(f" {model.question} ", "bold yellow"),
                *_keys((("y", "yes"), ("n", "no")), model.width),
            ]
        case Mode.QUIT:
            choices = (("s", "stop everything"), ("d", "detach"), ("c", "cancel"))
            return [styled(" Quit: ", "bold yellow"), *_keys(choices, model.width)]
    if model.message is not None and model.message.until_s > look.now_s:
        tone = model.message.tone
        return [styled(fit(f"{_TONE_SIGNS[tone]} {model.message.text}", model.width), _TONES[tone])]
    return [*_state_of_keys(model), *_keys(_KEYS, model.width)]


def _state_of_keys(model: Model) -> Line:
    """Return what changes the meaning of the keys or of the picture: tags, filter, order."""
    marks: list[str] = []
    if model.is_read_only:
        marks.append("read only")
    if model.tagged:
        marks.append(f"{len(model.tagged)} tagged")
    if model.shape.pattern:
        marks.append(f"/{model.shape.pattern}")
    if model.shape.rank:
        marks.append(f"by {model.sort}" + " inverted" * model.is_inverted)
    return [part for mark in marks for part in (styled(f" {mark} ", "reverse"), styled(" "))]


def _keys(keys: Sequence[tuple[str, str]], width: int) -> Line:
    line: Line = []
    for key, word in keys:
        part = [styled(f" {key}", "bold cyan"), styled(f" {word} ")]
        if width_of(line) + width_of(part) > width:
            break
        line += part
    return line


def _static(items: Sequence[Item], width: int) -> list[Line]:
    names = max((len(item.guide) + len(item.row.id) + 3 for item in items), default=0)
    grid = columns.choose(width, names)
    lines = [titles(grid), *(row_line(item, grid) for item in items)]
    return [exactly(line, width) for line in lines]


def _printed(line: Line, color: bool, ascii_only: bool) -> str:
    text = to_ansi(line, color=color, ascii_only=ascii_only, plain=not color)
    return text.rstrip()
