"""The columns of the tree: what each says about a row, and which survive a narrow window."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from supervisor.core.view import COLOURS, GLYPHS, Row, RowKind, State, strategy_words
from wippy.core import reasons
from wippy.core.units import format_bytes, format_duration

MIN_NAME_WIDTH = 18
MAX_NAME_WIDTH = 60
GAP = 1
MAX_DETAIL_WIDTH = 60

Cell = tuple[str, str]
"""Text and the name of its style."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column.

    Attributes:
        name: Its key, as in `Model.flashes`.
        title: What stands above it.
        width: Cells; of the last one that is shown, the least.
        cell: The text of a row, given the seconds since the view was made.
        align: `left` or `right`.
    """

    name: str
    title: str
    width: int
    cell: Callable[[Row, float], Cell]
    align: str = "right"


def state_word(row: Row) -> str:
    """Return the state in one word; a process stopped by SIGSTOP is `frozen`."""
    return "frozen" if row.is_frozen and row.os_pid else str(row.state)


def state_style(row: Row) -> str:
    """Return the colour of a row's state."""
    if row.is_frozen and row.os_pid:
        return "magenta"
    colour = COLOURS[row.state]
    if row.is_crash_loop and row.state is State.UP:
        colour = "yellow"
    return f"bold {colour}" if row.state in _LOUD else colour


def glyph(row: Row) -> str:
    """Return the one-character sign of a row's state."""
    return "‖" if row.is_frozen and row.os_pid else GLYPHS[row.state]


_LOUD = frozenset({State.FAILED, State.UNKILLABLE, State.BACKOFF})


def _state(row: Row, _: float) -> Cell:
    mark = " ↳" if row.caused_by else (" ⚠" if row.is_crash_loop else "")
    return f"{state_word(row)}{mark}", state_style(row)


def _pid(row: Row, _: float) -> Cell:
    return str(row.os_pid) if _has_process(row) else "", ""


def _has_process(row: Row) -> bool:
    """An actor of a pool lives in its worker's process, whose figures are on the worker's row."""
    return bool(row.os_pid) and row.kind is not RowKind.POOL_ACTOR


def _generation(row: Row, _: float) -> Cell:
    return (f"g{row.generation}" if row.generation else "", "dim")


def _uptime(row: Row, elapsed_s: float) -> Cell:
    if row.state is not State.UP or row.uptime_s + elapsed_s <= 0:
        return "", ""
    return uptime(row.uptime_s + elapsed_s), ""


def uptime(seconds: float) -> str:
    """Return an uptime in whole seconds at least: what ticks needs no tenths."""
    return f"{int(seconds)}s" if seconds < 60 else format_duration(seconds)


def _restarts(row: Row, _: float) -> Cell:
    if not row.restarts:
        return "", ""
    if not row.restarts_last_minute:
        return str(row.restarts), ""
    return f"{row.restarts} ({row.restarts_last_minute})", "yellow"


def _last_exit(row: Row, _: float) -> Cell:
    if row.last_exit is None:
        return "", ""
    return reasons.brief(row.last_exit), "red" if reasons.is_abnormal(row.last_exit) else "dim"


def _next_try(row: Row, elapsed_s: float) -> Cell:
    if row.state is not State.BACKOFF:
        return "", ""
    return format_duration(max(0.0, row.next_try_s - elapsed_s)), "yellow"


def _cpu(row: Row, _: float) -> Cell:
    if row.cpu_percent is None or not _has_process(row):
        return "", ""
    return f"{row.cpu_percent:.1f}" if row.cpu_percent < 99.95 else f"{row.cpu_percent:.0f}", ""


def _memory(row: Row, _: float) -> Cell:
    if row.memory_bytes is None or not _has_process(row):
        return "", ""
    return format_bytes(row.memory_bytes), ""


def _heartbeat(row: Row, _: float) -> Cell:
    if row.heartbeat_age_s is None or not row.os_pid:
        return "", ""
    is_late = row.heartbeat_age_s >= 10
    return format_duration(row.heartbeat_age_s), "yellow" if is_late else "dim"


def _detail(row: Row, _: float) -> Cell:
    parts: list[str] = []
    if row.caused_by:
        parts.append(f"because of {row.caused_by}")
    if row.strategy:
        parts.append(strategy_words(row))
    if row.is_crash_loop:
        parts.append("crash loop")
    if row.actors and row.kind in {RowKind.POOL, RowKind.WORKER}:
        parts.append(f"{row.actors} actor{'s' * (row.actors != 1)}")
    if row.inbox:
        parts.append(f"inbox {row.inbox}")
    if row.dead_letters:
        parts.append(f"dead letters {sum(row.dead_letters.values())}")
    if row.detail:
        parts.append(row.detail)
    is_tight = row.strategy and row.window_used >= max(1, row.window_max)
    return ", ".join(parts), "yellow" if row.caused_by or is_tight else "dim"


COLUMNS = (
    Column(name="state", title="STATE", width=12, cell=_state, align="left"),
    Column(name="pid", title="PID", width=7, cell=_pid),
    Column(name="gen", title="GEN", width=4, cell=_generation),
    Column(name="uptime", title="UP", width=6, cell=_uptime),
    Column(name="restarts", title="RESTARTS", width=8, cell=_restarts),
    Column(name="exit", title="LAST EXIT", width=14, cell=_last_exit, align="left"),
    Column(name="next", title="NEXT", width=5, cell=_next_try),
    Column(name="cpu", title="CPU%", width=5, cell=_cpu),
    Column(name="memory", title="MEM", width=5, cell=_memory),
    Column(name="beat", title="BEAT", width=5, cell=_heartbeat),
    Column(name="detail", title="STRATEGY / DETAIL", width=17, cell=_detail, align="left"),
)
"""In the order in which they survive a narrow window; the name stands before them."""


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that fit, and how wide they are.

    Attributes:
        name_width: Cells of the name.
        columns: Those that are shown, in order.
        widths: Cells of each.
    """

    name_width: int
    columns: tuple[Column, ...]
    widths: tuple[int, ...]


def choose(width: int, name_width: int) -> Grid:
    """Return the columns for a window of `width` cells and names of up to `name_width`.

    The name gets up to what it needs before the column furthest right gets anything.
    """
    wanted = max(MIN_NAME_WIDTH, min(name_width, MAX_NAME_WIDTH))
    shown = len(COLUMNS)
    # A long name gives way down to half of the window before a column falls.
    least = min(wanted, max(MIN_NAME_WIDTH, width // 2 if width < 80 else 36))
    while shown > 0 and least + _taken(shown) > width:
        shown -= 1
    name = min(wanted, width - _taken(shown))
    widths = [column.width for column in COLUMNS[:shown]]
    if shown == len(COLUMNS):
        widths[-1] += min(width - name - _taken(shown), MAX_DETAIL_WIDTH)
    return Grid(name_width=name, columns=COLUMNS[:shown], widths=tuple(widths))


def _taken(shown: int) -> int:
    return sum(column.width + GAP for column in COLUMNS[:shown])
