"""For tests of users: the code of a configuration's entries, as a node would send it to a process.

from supervisor.testing import codes

world.define_all(codes("configs/"))
worker = world.spawn("app:handler")
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from supervisor.core.linking import code_ref, link
from supervisor.core.spec import Code
from supervisor.io.files import load
from wippy.core.messages import CodeRef


def codes(config: str | Path, *, environ: Mapping[str, str] | None = None) -> dict[str, CodeRef]:
    """Return the code of each entry that can be spawned, by entry id; reads files, runs nothing.

    Args:
        config: A configuration folder or file.
        environ: What `${env:NAME}` reads; None is this process's environment.

    Raises:
        NotFound: There is nothing at `config`.
        ConfigErrors: With every problem of every file.
    """
    entries = load(Path(config), environ=os.environ if environ is None else environ).entries
    found = {id: getattr(entry, "code", None) for id, entry in entries.items()}
    return {
        id: code_ref(link(code, entries)) for id, code in found.items() if isinstance(code, Code)
    }
