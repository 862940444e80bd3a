"""The lines above the tree: the node, the counts, and what someone must act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from supervisor.core.view import COLOURS, GLYPHS, NodeView, Row, RowKind, State
from supervisor.tui import columns
from supervisor.tui.lines import Line, fit, styled, width_of
from supervisor.tui.look import Look, clock
from supervisor.tui.state import Model, elapsed_s, stale_s
from wippy.core import reasons
from wippy.core.units import format_bytes

_ORDER = (
    State.FAILED, State.UNKILLABLE, State.BACKOFF, State.UP, State.STARTING, State.STOPPING,
    State.KILLING, State.IDLE, State.HELD, State.DONE, State.IGNORED,
)  # fmt: skip
_GROUPS = frozenset({RowKind.SUPERVISOR, RowKind.POOL})


def header_lines(model: Model, look: Look, height: int) -> list[Line]:
    """Return `height` lines about the node; what is wrong comes first where there are few."""
    wrong = _wrong(model, look)
    view = model.view
    if view is None:
        text = f"waiting for the node at {model.run_dir}"
        lines = [_spread([styled(f" {text}", "bold")], [], model.width)]
        return [*lines, *wrong, *([[]] * height)][:height]
    first = _identity(model, view, look)
    second = _counts(view, model.width)
    if height >= 3:
        return [first, second, wrong[0] if wrong else _source(view, model.width)]
    return [first, wrong[0] if wrong else second][:height]


def trouble_lines(model: Model, look: Look, height: int) -> list[Line]:
    """Return the whole picture for a terminal too small for a tree: what is not well."""
    lines = header_lines(model, look, 2)
    rows = model.view.rows if model.view else ()
    for row in sorted(rows, key=lambda row: row.state not in _FAILED):
        if row.state in _BAD or row.is_crash_loop:
            why = f" {reasons.brief(row.last_exit)}" if row.last_exit else ""
            word = f"{columns.glyph(row)} {row.id} {columns.state_word(row)}{why}"
            lines.append([styled(fit(word, model.width), columns.state_style(row))])
    return (lines + [[]] * height)[:height]


_FAILED = frozenset({State.FAILED, State.UNKILLABLE})
_BAD = _FAILED | {State.BACKOFF}


def _identity(model: Model, view: NodeView, look: Look) -> Line:
    elapsed = elapsed_s(model, look.now_s)
    state = "stopping" if model.is_stopping else view.state
    roots = f", root no. {view.root_starts}" if view.root_starts > 1 else ""
    left = [
        [styled(f" {view.node}", "bold")],
        [styled(f" {state}", "green" if state == "running" else "bold yellow")],
        [styled(f"  up {columns.uptime(view.uptime_s + elapsed)}")],
        [styled(f"  root {view.root_pid}{roots}", "yellow" if roots else "")],
        [styled(f" up {columns.uptime(view.root_uptime_s + elapsed)}")],
        [styled(f"  wippy-supervisor {view.version}", "dim")],
    ]
    silent_s = stale_s(model, look.now_s)
    right: list[Line] = []
    if model.is_paused:
        right.append([styled(" paused ", "bold yellow reverse")])
    if silent_s:
        right.append([styled(f" stale {silent_s:.0f} s ", "bold red reverse")])
    elif not model.is_paused:
        right.append([styled(f" {clock(view.at_s + elapsed, look.utc_offset_s)} ", "dim")])
    return _packed(left, right, model.width)


def _counts(view: NodeView, width: int) -> Line:
    rows = view.rows
    counts = Counter(row.state for row in rows if row.kind not in _GROUPS or row.state in _BAD)
    parts: list[Line] = []
    for state in _ORDER:
        if counts[state] or state is State.UP:
            text = f" {GLYPHS[state]} {counts[state]} {state}"
            loud = "bold " if state in _BAD else ""
            parts.append([styled(text, loud + COLOURS[state])])
    cpu, memory = _usage(view)
    recent = view.restarts_last_minute
    parts += [
        [
            styled(f"  restarts {view.restarts}"),
            styled(f" ({recent} last minute)", "yellow" if recent else "dim"),
        ],
        [styled(f"  cpu {cpu:.1f}%")],
        [styled(f"  mem {format_bytes(memory)}")],
        [styled(f"  spares {view.spares}")],
    ]
    if view.bad_frames:
        parts.append([styled(f"  bad frames {view.bad_frames}", "yellow")])
    return _packed(parts, [], width)


def _usage(view: NodeView) -> tuple[float, int]:
    """Return CPU (percent of a core) and resident memory of the root and all it runs."""
    own = [row for row in view.rows if row.os_pid and row.kind is not RowKind.POOL_ACTOR]
    cpu = view.root_cpu_percent + sum(row.cpu_percent or 0.0 for row in own)
    return cpu, view.root_memory_bytes + sum(row.memory_bytes or 0 for row in own)


def _source(view: NodeView, width: int) -> Line:
    parts = [
        [styled(f" {view.source}", "dim")],
        [styled(f"  registry v{view.registry_version}", "dim")],
        [styled(f"  durability {view.durability}", "dim")],
        [styled(f"  {view.run_dir}", "dim")],
    ]
    return _packed(parts, [], width)


def _wrong(model: Model, look: Look) -> list[Line]:
    """Return one red line for all that someone must act on, or none."""
    view = model.view
    texts: list[str] = []
    if stale_s(model, look.now_s):
        texts.append("the root does not answer; what is below may be out of date")
    if view is not None:
        texts += [f"configuration: {view.broken}"] if view.broken else []
        texts += view.alarms
        texts += _failed(view.rows)
    if not texts:
        return []
    return [[styled(fit(f" ✘ {'; '.join(texts)}", model.width), "bold red")]]


def _failed(rows: Sequence[Row]) -> list[str]:
    failed = [row for row in rows if row.state in _FAILED]
    loops = [row.id for row in rows if row.is_crash_loop and row.state is not State.FAILED]
    texts = []
    if failed:
        names = (
            f"{row.id} ({reasons.brief(row.last_exit)})" if row.last_exit else row.id
            for row in failed
        )
        texts.append(f"failed: {', '.join(names)}")
    if loops:
        texts.append(f"crash loop: {', '.join(loops)}")
    return texts


def _packed(parts: Sequence[Line], right: Sequence[Line], width: int) -> Line:
    """Return the first of `parts` that fit, and `right` at the right edge, which always stays."""
    tail = [segment for part in right for segment in part]
    room = width - width_of(tail)
    line: Line = []
    for part in parts:
        if width_of(line) + width_of(part) > room:
            break
        line += part
    return _spread(line or (list(parts[0]) if parts else []), tail, width)


def _spread(left: Line, right: Line, width: int) -> Line:
    gap = width - width_of(left) - width_of(right)
    if gap < 0:
        text = "".join(segment.text for segment in left)
        left = [styled(fit(text, max(0, width - width_of(right))), "bold")]
        gap = 0
    return [*left, styled(" " * gap), *right]
