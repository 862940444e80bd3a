"""What the terminal can show, as its environment tells."""

from __future__ import annotations

import time
from collections.abc import Mapping

from wippy.errors import Invalid


def wants_color(color: str, environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Judge `--color`, NO_COLOR and FORCE_COLOR; raises `Invalid` for a word that is none."""
    if color not in {"auto", "always", "never"}:
        raise Invalid(f"--color {color}: must be auto, always or never")
    if color != "auto":
        return color == "always"
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or is_terminal


def is_utf8(environ: Mapping[str, str], encoding: str | None) -> bool:
    """Say whether the locale shows more than ASCII.

    The locale's variables count, not only Python's idea: Python turns the C locale into UTF-8 for
    itself, which teaches the terminal nothing.
    """
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    if "utf" not in locale.lower():
        return False
    return (encoding or "").lower().replace("-", "").startswith("utf8")


def utc_offset_s() -> float:
    """Return the operator's distance from UTC."""
    return float(time.localtime().tm_gmtoff)
