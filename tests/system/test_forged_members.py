"""What a process says of groups for others, or that makes no sense, changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_node import RealNode
from talkers import Talker, files, service

from wippy.core.messages import Code, LeaveAll, Observe, SetMember, WantCode

pytestmark = pytest.mark.system


def rows(talker: Talker) -> list[str]:
    """Return the keys of members and observers, after all that was said has been taken in."""
    talker.say(WantCode("t:worker"))
    talker.hear(Code)
    return [key for key in talker.rows if key.startswith("group:") or key == "observers"]


def test_a_process_speaks_for_its_own_actors_only(node: Callable[..., RealNode]) -> None:
    shop = node(files(service("a"), service("b")))
    a, b = Talker(shop, "t:a"), Talker(shop, "t:b")
    try:
        a.say(SetMember("g", a.pid, 2))
        own = ["group:g\0t:a.1/0"]
        assert rows(a) == own
        forged = (
            SetMember("g", b.pid, 1),
            SetMember("g", f"{shop.name}/t:a.2/0", 1),
            SetMember("g", "elsewhere/t:a.1/0", 1),
            SetMember("g", "no pid", 1),
            SetMember("", a.pid, 1),
            SetMember("g\n", a.pid, 1),
            SetMember("g", a.pid, -1),
            Observe(("shop..x",), 1),
            Observe(tuple(f"t.{number}" for number in range(257)), 2),
        )
        for frame in forged:
            a.say(frame)
            assert rows(a) == own, frame
        b.say(SetMember("g", a.pid, 0))
        b.say(LeaveAll(a.pid))
        assert rows(b) == own
        a.say(SetMember("g", a.pid, 0))
        assert rows(a) == []
        assert shop.row("t:a").generation == shop.row("t:b").generation == 1
    finally:
        a.close()
        b.close()
