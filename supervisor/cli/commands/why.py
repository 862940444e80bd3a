"""`why`: one screen about one child."""

from __future__ import annotations

import sys
import time

from supervisor.cli.node import ask_about, connected
from supervisor.cli.options import ChildId, Color, Config, Json, RunDir
from supervisor.cli.output import is_utf8, put, put_json, wants_colour, width_of
from supervisor.core.requests import Why, WhyAnswer
from wippy.errors import Internal

ANSWER_TIMEOUT_S = 10.0
PLAIN_WIDTH = 100


def why(
    id: ChildId,
    json: Json = False,
    color: Color = "auto",
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Tell why a child is as it is: its lives and exits, who decided what, what comes next.

    Examples:

        wippy-supervisor why app:worker
        wippy-supervisor why app:worker --json | jq '.facts[-1].reason'
    """
    with connected(run_dir, config) as client:
        answer = ask_about(client, id, Why(id), ANSWER_TIMEOUT_S)
    if not isinstance(answer, WhyAnswer):
        raise Internal(f"the root answered {type(answer).__name__} to why")
    if json:
        put_json(answer.why)
        return
    from supervisor.tui.why_text import render_why

    lines = render_why(
        answer.why,
        width_of(sys.stdout) or PLAIN_WIDTH,
        color=wants_colour(color, sys.stdout),
        ascii_only=not is_utf8(sys.stdout),
        utc_offset_s=time.localtime().tm_gmtoff,
    )
    for line in lines:
        put(line)
