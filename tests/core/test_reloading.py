"""What the root and the reader of the files tell each other."""

from __future__ import annotations

import pytest

from supervisor.core.parts import IntensitySpec
from supervisor.core.reloading import (
    LIVE_SETTINGS,
    Broken,
    Loaded,
    Reload,
    Reloaded,
    payload,
    restart_settings,
    said,
    with_live_settings,
)
from supervisor.core.spec import Rollback, RuntimeSpec
from wippy.errors import Invalid

OLD = RuntimeSpec(node="n", state_dir="/s", run_dir="/r", log_dir="/l")
NEW = RuntimeSpec(
    node="n",
    state_dir="/s",
    run_dir="/r",
    log_dir="/l",
    heartbeat_s=9.0,
    log_max_bytes=5,
    rollback=Rollback.AUTO,
    rollback_grace_s=1.0,
    watch=False,
    intensity=IntensitySpec(max_restarts=1, within_s=1.0),
)


@pytest.mark.parametrize(
    "told",
    [
        Reload(number=1, who="me", is_dry=True),
        Broken(text="a\nb", first="a", count=2),
        Loaded(version=3, changed=1, overridden=("a:b",), kept=("a:c",), runtime=NEW),
        Reloaded(number=2, plan=("a", "b")),
        Reloaded(number=2, broken=Broken(text="x")),
        Reloaded(number=2, loaded=Loaded(version=1)),
    ],
)
def test_what_is_told_arrives_as_it_was(
    told: Reload | Broken | Loaded | Reloaded,
) -> None:
    assert said(payload(told), type(told)) == told


def test_what_says_nothing_of_the_kind_is_refused() -> None:
    with pytest.raises(Invalid, match="reload: "):
        said({"number": "many"}, Reload)


def test_settings_are_taken_over_or_wait_for_the_next_start_and_each_does_one_of_the_two() -> None:
    assert restart_settings(OLD, NEW) == ("heartbeat", "log_max")
    live = with_live_settings(OLD, NEW)
    for name in RuntimeSpec.__struct_fields__:
        source = NEW if name in LIVE_SETTINGS else OLD
        assert getattr(live, name) == getattr(source, name)
    assert restart_settings(OLD, live) == ()
