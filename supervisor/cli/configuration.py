"""What the verbs that read a configuration share: read it, or say what is wrong and exit."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from supervisor.core.spec import Blueprint

EXIT_USAGE = 2
EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h."""
NO_OVERRIDES: Mapping[str, str] = {}


def load_or_exit(
    config: Path, *, as_json: bool, overrides: Mapping[str, str] = NO_OVERRIDES
) -> Blueprint:
    """Return the configuration at `config`.

    Args:
        config: A file or a folder.
        as_json: Errors go to stdout as JSON; otherwise to stderr as text.
        overrides: Flags that override the `runtime:` section.

    Raises:
        typer.Exit: With 2 if there is nothing at `config`, with 78 if it has errors.
    """
    from supervisor.core.config.problems import ConfigErrors, to_json
    from supervisor.io.files import load
    from wippy.errors import NotFound

    try:
        return load(config, overrides=overrides, environ=os.environ)
    except NotFound as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_USAGE) from None
    except ConfigErrors as errors:
        if as_json:
            print(to_json(errors.problems))
        else:
            print(errors, file=sys.stderr)
        raise typer.Exit(EXIT_CONFIGURATION) from None
