"""`why`: one child's present, future and past on one screen. The command and the live tree show the
same lines."""

from __future__ import annotations

from collections.abc import Sequence

from supervisor.core.facts import Fact, FactKind, Level, level, sentence
from supervisor.core.requests import WhyView
from supervisor.core.view import Row, dead_letter_words, strategy_words
from supervisor.tui import columns
from supervisor.tui.lines import Line, fit, styled, to_ansi, wrap
from supervisor.tui.look import LEVEL_SIGNS, LEVEL_STYLES, clock
from wippy.core import reasons
from wippy.core.reasons import Error, ExitReason, GaveUp, Hung, StartFailed
from wippy.core.units import counted, format_duration

MAX_FACTS = 20
"""The last lives are what someone asks for; `events` has the rest."""
MAX_OUTPUT_LINES = 20
MIN_WIDTH = 24
_AHEAD_WIDTH = 12
_TIME_WIDTH = 14
"""Sign, time of day and gap in front of each fact."""


def render_why(
    why: WhyView,
    width: int,
    *,
    color: bool = False,
    ascii_only: bool = False,
    utc_offset_s: float = 0.0,
) -> list[str]:
    """Return `why` as lines of at most `width` cells.

    Args:
        why: What the root answered.
        width: Cells of the terminal; narrower than 24 counts as 24.
        color: With ANSI codes; otherwise plain text.
        ascii_only: Nothing but ASCII.
        utc_offset_s: Of the reader's time zone.
    """
    lines = why_lines(why, width, utc_offset_s=utc_offset_s)
    return [
        to_ansi(line, color=color, ascii_only=ascii_only, plain=not color).rstrip()
        for line in lines
    ]


def why_lines(why: WhyView, width: int, *, utc_offset_s: float = 0.0) -> list[Line]:
    """Return `why` as styled lines of at most `width` cells."""
    width = max(width, MIN_WIDTH)
    row = why.view.rows[-1] if why.view.rows else None
    lines = _headline(row, why.view.rows[:-1], width) if row else []
    ahead = (("next", why.next), ("if it dies", why.if_dies))
    lines += [[], *_ahead(ahead, width)] if why.next or why.if_dies else []
    lines += _past(why.facts, width, utc_offset_s)
    if row is not None and row.last_exit is not None:
        lines += _evidence(row.last_exit, width)
    output = why.output[-MAX_OUTPUT_LINES:]
    if output:
        lines += _title("Last output")
        lines += [piece for text in output for piece in _indented(text, width)]
    return lines


def _headline(row: Row, ancestors: tuple[Row, ...], width: int) -> list[Line]:
    word = f"{columns.glyph(row)} {columns.state_word(row)}"
    parts = [f"generation {row.generation}"] if row.generation else []
    if row.os_pid:
        parts.insert(0, f"pid {row.os_pid}")
    if row.uptime_s:
        parts.append(f"for {columns.uptime(row.uptime_s)}")
    if row.restarts:
        parts.append(
            f"{counted(row.restarts, 'restart')}, {row.restarts_last_minute} in the last minute"
        )
    rest = ", ".join(parts)
    first = [styled(row.id, "bold"), styled("  "), styled(word, columns.state_style(row))]
    room = width - sum(segment.cell_length for segment in first) - 2
    if rest and room >= len(rest):
        lines = [[*first, styled(f"  {rest}")]]
    else:
        lines = [[styled(fit(f"{row.id}  {word}", width).rstrip(), "bold")]]
        lines += [[styled(piece)] for piece in _prose(rest, width)] if rest else []
    # A frozen one's detail says the same in fewer words.
    notes = [row.detail] if row.detail and not row.is_frozen else []
    if row.caused_by:
        notes.append(f"going down because of {row.caused_by}")
    if row.dead_letters:
        notes.append(f"dead letters: {dead_letter_words(row)}")
    if row.is_crash_loop:
        notes.append("crash loop: its last lives were all shorter than its stable_threshold")
    if row.is_frozen:
        notes.append("stopped by SIGSTOP; SIGCONT thaws it")
    if row.strategy:
        notes.append(strategy_words(row))
    notes += [_place(parent) for parent in reversed(ancestors)]
    return lines + [piece for note in notes for piece in _indented(note, width)]


def _place(parent: Row) -> str:
    return f"below {parent.id}" + (f" ({strategy_words(parent)})" if parent.strategy else "")


def _title(text: str) -> list[Line]:
    return [[], [styled(text, "bold")]]


def _ahead(parts: Sequence[tuple[str, str]], width: int) -> list[Line]:
    """Return what is going to happen, and what would, beside their names."""
    lines: list[Line] = []
    for name, text in parts:
        room = width - _AHEAD_WIDTH
        pieces = [piece for each in text.splitlines() for piece in _prose(each, room)]
        heads = [name] + [""] * len(pieces)
        lines += [
            [styled(fit(head, _AHEAD_WIDTH), "bold"), styled(piece)]
            for head, piece in zip(heads, pieces, strict=False)
        ]
    return lines


def _past(facts: tuple[Fact, ...], width: int, utc_offset_s: float) -> list[Line]:
    if not facts:
        return []
    lines = _title("What happened")
    if len(facts) > MAX_FACTS:
        lines.append([styled(f"  ({len(facts) - MAX_FACTS} earlier facts)", "dim")])
    for fact in facts[-MAX_FACTS:]:
        lines += _told(fact, width, utc_offset_s)
    return lines


def _told(fact: Fact, width: int, utc_offset_s: float) -> list[Line]:
    mark = level(fact)
    style = LEVEL_STYLES[mark]
    if fact.kind is FactKind.READY and fact.down_s:
        style = "green"
    pieces = _prose(sentence(fact), max(8, width - _TIME_WIDTH))
    head = f"  {LEVEL_SIGNS[mark]} {clock(fact.at_s, utc_offset_s)}  "
    lines = [[styled(head, "dim" if mark is Level.INFO else style), styled(pieces[0], style)]]
    lines += [[styled(" " * _TIME_WIDTH), styled(piece, style)] for piece in pieces[1:]]
    return lines


def _evidence(reason: ExitReason, width: int) -> list[Line]:
    """Return what the last exit left behind: a traceback, stacks, the chain, output."""
    match reason:
        case Error(traceback=text) if text:
            return _quoted("Traceback", text.splitlines(), width)
        case Hung(stacks=text, silent_s=silent_s) if text:
            silence = format_duration(silent_s)
            return _quoted(f"Where it hung, after {silence} of silence", text.splitlines(), width)
        case StartFailed(cause=Error() as cause):
            return _evidence(cause, width)
        case StartFailed(output=output) if output:
            return _quoted("What it said before it failed to start", list(output), width)
        case GaveUp():
            return _quoted("The chain, down to the leaf", list(reasons.causal_chain(reason)), width)
    return []


def _quoted(title: str, texts: list[str], width: int) -> list[Line]:
    return _title(title) + [piece for text in texts for piece in _indented(text, width)]


def _indented(text: str, width: int) -> list[Line]:
    return [[styled("  " + piece)] for piece in wrap(text, width - 2)]


def _prose(text: str, width: int) -> list[str]:
    """Return `text` broken between words where there are any."""
    lines = [""]
    for word in text.split(" "):
        glued = f"{lines[-1]} {word}" if lines[-1] else word
        pieces = wrap(glued, width)
        if len(pieces) == 1:
            lines[-1] = pieces[0]
        else:
            lines += wrap(word, width)
    return [line for line in lines if line] or [""]
