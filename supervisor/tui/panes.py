"""What stands underneath the tree: events, a log, `why`, details, help; as lines, unscrolled."""

from __future__ import annotations

from supervisor.core.facts import Fact, FactKind, level, sentence
from supervisor.core.view import (
    ASCII_GLYPHS,
    COLOURS,
    GLYPHS,
    Row,
    dead_letter_words,
    strategy_words,
)
from supervisor.tui import columns
from supervisor.tui.lines import Line, fit, styled, wrap
from supervisor.tui.look import LEVEL_SIGNS, LEVEL_STYLES, Look, clock
from supervisor.tui.signals import SIGNALS
from supervisor.tui.state import Mode, Model, Pane, selected_row
from supervisor.tui.why_text import why_lines
from wippy.core import reasons
from wippy.core.units import format_bytes, format_duration

AT_END = frozenset({Pane.EVENTS, Pane.LOG})
"""Panes that show their last lines; the others begin at their first."""

_HELP = (
    ("up down j k", "move"),
    ("g G  PgUp PgDn", "first, last, a screen up or down"),
    ("+ - *", "unfold, fold, all at once (right and left too)"),
    ("/  n N", "filter rows; next and previous match, or row in trouble"),
    ("t", "tree or flat list"),
    ("s S", "next order, invert it (order is kept until asked again)"),
    ("space", "tag; the next command is for all that are tagged"),
    ("r x u", "restart, stop and hold, start"),
    ("K", "send a signal"),
    ("w", "why is it as it is, what comes next"),
    ("Enter", "details"),
    ("l f", "log of the row; follow its end"),
    ("e Esc", "events; one step back"),
    ("Tab", "give the keys to the pane below: scroll it, / filters it"),
    ("p", "pause the picture; the node goes on"),
    ("^L ^Z", "draw again; to the shell and back with fg"),
    ("q", "leave; a foreground start asks: stop or detach"),
)


def body(model: Model, look: Look) -> list[Line]:
    """Return all lines of the pane that is open, none wider than the terminal after cutting."""
    if model.mode is Mode.SIGNAL:
        return _signals(model)
    lines = _BODIES[model.pane](model, look)
    if not model.pane_pattern:
        return lines
    wanted = model.pane_pattern.casefold()
    return [line for line in lines if wanted in "".join(part.text for part in line).casefold()]


def title(model: Model) -> str:
    """Return what stands above the pane."""
    if model.mode is Mode.SIGNAL:
        return _signal_title(model)
    text = str(model.pane)
    if model.pane not in {Pane.EVENTS, Pane.HELP}:
        text = f"{text} of {model.selected}"
    if model.pane is Pane.LOG:
        text += ", following" if model.is_following else ""
        text += f"  {model.log_path}" if model.log_path else ""
    if model.pane_pattern:
        text += f"  /{model.pane_pattern}"
    return text


def fact_line(fact: Fact, look: Look) -> Line:
    """Return a fact as one line: time, id, sentence, coloured and marked by its level."""
    mark = level(fact)
    style = LEVEL_STYLES[mark]
    if fact.kind is FactKind.READY:
        style = "green"
    return [
        styled(f"{LEVEL_SIGNS[mark]} ", style),
        styled(clock(fact.at_s, look.utc_offset_s), "dim"),
        styled(f" {fact.id}" if fact.id else " node", "bold"),
        styled(f" {sentence(fact)}".replace("\n", " "), style),
    ]


def _events(model: Model, look: Look) -> list[Line]:
    if not model.facts:
        return [[styled("nothing has happened yet", "dim")]]
    return [fact_line(fact, look) for fact in model.facts]


def _log(model: Model, look: Look) -> list[Line]:
    row = selected_row(model)
    if row is None or not row.log_path:
        return [[styled(f"{model.selected} has no log of its own; pick a row below it", "dim")]]
    if model.log_note or not model.log_lines:
        return [[styled(model.log_note or "nothing written yet", "dim")]]
    return [[styled(piece)] for text in model.log_lines for piece in wrap(text, model.width)]


def _why(model: Model, look: Look) -> list[Line]:
    if model.why is None:
        return [[styled("asking …", "dim")]]
    return why_lines(model.why, model.width, utc_offset_s=look.utc_offset_s)


def _details(model: Model, look: Look) -> list[Line]:
    row = selected_row(model)
    if row is None:
        return []
    pairs = [(name, text) for name, text in _fields(row, model, look) if text]
    size = max(len(name) for name, _ in pairs) + 2
    lines: list[Line] = []
    for name, text in pairs:
        pieces = wrap(text, max(8, model.width - size))
        lines.append([styled(fit(name, size), "dim"), styled(pieces[0])])
        lines += [[styled(" " * size), styled(piece)] for piece in pieces[1:]]
    return lines


def _fields(row: Row, model: Model, look: Look) -> list[tuple[str, str]]:
    view = model.view
    exits = [
        f"{clock(fact.at_s, look.utc_offset_s)} generation {fact.generation}: {sentence(fact)}"
        for fact in model.facts
        if fact.id == row.id and fact.kind is FactKind.EXITED
    ]
    return [
        ("id", row.id),
        ("kind", str(row.kind)),
        ("state", f"{columns.glyph(row)} {columns.state_word(row)}"),
        ("detail", row.detail),
        ("last exit", reasons.sentence(row.last_exit) if row.last_exit else ""),
        ("next try in", format_duration(row.next_try_s) if row.next_try_s else ""),
        ("because of", row.caused_by),
        ("crash loop", "its last lives were all too short" if row.is_crash_loop else ""),
        ("parent", row.parent),
        ("pid", str(row.os_pid or "")),
        ("generation", str(row.generation)),
        ("uptime", format_duration(row.uptime_s) if row.uptime_s else ""),
        ("restarts", f"{row.restarts}, {row.restarts_last_minute} in the last minute"),
        ("strategy", strategy_words(row) if row.strategy else ""),
        ("cpu", "" if row.cpu_percent is None else f"{row.cpu_percent:.1f} % of a core"),
        ("memory", "" if row.memory_bytes is None else format_bytes(row.memory_bytes)),
        ("heartbeat", _age(row.heartbeat_age_s)),
        ("actors", str(row.actors or "")),
        ("inbox", str(row.inbox or "")),
        ("dead letters", dead_letter_words(row)),
        ("log", row.log_path),
        ("node", f"{view.node}, run folder {view.run_dir}" if view else ""),
        *((("last exits" if place == 0 else ""), text) for place, text in enumerate(exits[-20:])),
    ]


def _age(age_s: float | None) -> str:
    return "" if age_s is None else f"{format_duration(age_s)} ago"


def _help(model: Model, look: Look) -> list[Line]:
    lines = [[styled(fit(keys, 16), "bold"), styled(text)] for keys, text in _HELP]
    signs: Line = []
    for state in GLYPHS:
        signs += [styled(f"{GLYPHS[state]} {state}", COLOURS[state]), styled("  ")]
    lines += [[], *_flowed(signs, model.width)]
    lines.append([styled("‖ frozen (SIGSTOP)  ↳ goes down because of another  ⚠ crash loop")])
    return lines


def _flowed(parts: Line, width: int) -> list[Line]:
    lines: list[Line] = [[]]
    used = 0
    for part in parts:
        if used + part.cell_length > width and lines[-1]:
            lines.append([])
            used = 0
        if part.text.strip() or lines[-1]:
            lines[-1].append(part)
            used += part.cell_length
    return lines


def _signals(model: Model) -> list[Line]:
    lines: list[Line] = []
    for place, (name, number, use) in enumerate(SIGNALS):
        here = place == model.signal_at
        text = f" {'▸' if here else ' '} {place + 1}  {name:<5} {number:>3}  {use}"
        lines.append([styled(fit(text, max(model.width, 1)), "reverse" if here else "")])
    return lines


def _signal_title(model: Model) -> str:
    rows = model.view.rows if model.view else ()
    pids = [f"{row.id} (pid {row.os_pid})" for row in rows if row.id in model.signal_for]
    return f"signal to {', '.join(pids) or 'nobody: gone meanwhile'}"


_BODIES = {
    Pane.EVENTS: _events,
    Pane.LOG: _log,
    Pane.WHY: _why,
    Pane.DETAILS: _details,
    Pane.HELP: _help,
}
assert set(GLYPHS) == set(ASCII_GLYPHS)
