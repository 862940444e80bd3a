"""Lines of a terminal: lists of rich segments, cut and padded by cells, rendered to ANSI codes.

rich's `Table` and `Text` cost milliseconds for each row (docs/console.md has the figures); its
segments, styles and cell widths cost microseconds, so the live tree is built from those.

Everything is drawn with Unicode glyphs; for a terminal without them the last step puts an ASCII
character in the place of each, of the same width, so that no renderer knows of the difference.
"""

from __future__ import annotations

import re

from rich.cells import cell_len, set_cell_size
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from supervisor.core.view import ASCII_GLYPHS, GLYPHS

Line = list[Segment]

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[@-Z\\^_]?"
)
_TAB_SIZE = 4


def styled(text: str, style: str = "") -> Segment:
    """Return `text` in the style of that name (`bold red`); `text` may hold anything."""
    return Segment(clean(text), Style.parse(style) if style else None)


def clean(text: str) -> str:
    """Return `text` without what would move the cursor or change the terminal's state.

    What children print ends on the operator's screen: their escape sequences must not.
    """
    if text.isprintable():
        return text
    text = _ESCAPES.sub("", text.expandtabs(_TAB_SIZE))
    return "".join(char if char.isprintable() else "·" for char in text)


def fit(text: str, width: int, *, align: str = "left") -> str:
    """Return `text` in exactly `width` cells, cut with an ellipsis or padded."""
    text = clean(text)
    size = len(text) if text.isascii() else cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    padding = " " * (width - size)
    return padding + text if align == "right" else text + padding


def width_of(line: Line) -> int:
    """Return the cells that `line` takes."""
    return sum(segment.cell_length for segment in line)


def exactly(line: Line, width: int) -> Line:
    """Return `line` cut or padded to `width` cells."""
    return Segment.adjust_line_length(line, width)


def wrap(text: str, width: int) -> list[str]:
    """Return `text` in pieces of at most `width` cells, broken anywhere: logs are not prose."""
    text = clean(text)
    pieces: list[str] = []
    while len(text) > width or cell_len(text) > width:
        size, count = 0, 0
        for char in text:
            size += cell_len(char)
            if size > width:
                break
            count += 1
        pieces.append(text[: max(count, 1)])
        text = text[max(count, 1) :]
    return [*pieces, text]


def restyled(line: Line, style: str) -> Line:
    """Return `line` with `style` on top of every segment's own."""
    return list(Segment.apply_style(line, post_style=Style.parse(style)))


class _AsciiTable(dict[int, str]):
    """Translates any character to ASCII of the same width."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        replacement = char if code < 0x80 else "?" * cell_len(char)
        self[code] = replacement
        return replacement


def _pairs(glyphs: str, stand_ins: str) -> dict[int, str]:
    return {ord(glyph): char for glyph, char in zip(glyphs, stand_ins, strict=True)}


_ASCII = _AsciiTable(
    {ord(GLYPHS[state]): ASCII_GLYPHS[state] for state in GLYPHS}
    | _pairs("…×→─│├└▸▾‖↳⚠▲▼✔µ≡•", "~x>-||`+-=<!^vvu=-")
)


def to_ascii(text: str) -> str:
    """Return `text` with an ASCII stand-in of the same width for every other character."""
    return text if text.isascii() else text.translate(_ASCII)


def to_ansi(line: Line, *, color: bool, ascii_only: bool, plain: bool = False) -> str:
    """Return `line` as text for a terminal.

    Args:
        line: What to show.
        color: Whether colours may be used; bold and reverse stay without them.
        ascii_only: Whether the terminal shows nothing but ASCII.
        plain: No codes at all: for pipes.
    """
    parts: list[str] = []
    for text, style, _ in line:
        shown = to_ascii(text) if ascii_only else text
        if style is None or plain:
            parts.append(shown)
        else:
            tone = style if color else style.without_color
            parts.append(tone.render(shown, color_system=ColorSystem.STANDARD))
    return "".join(parts)
