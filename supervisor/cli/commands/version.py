"""`version`."""

from __future__ import annotations

import importlib.metadata
import platform

from supervisor.cli.options import Json
from supervisor.cli.output import put, put_json

DISTRIBUTION = "wippy-supervisor"


def version(json: Json = False) -> None:
    """Print the version.

    Examples:

        wippy-supervisor version
        wippy-supervisor version --json
    """
    if json:
        put_json({"version": own_version(), "python": platform.python_version()})
    else:
        put(f"{DISTRIBUTION} {own_version()}")


def own_version() -> str:
    """Return the installed version; `unknown` in a source tree that is not installed."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
