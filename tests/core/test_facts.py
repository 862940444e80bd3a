"""Facts: how they read, how loud they are, how they travel."""

from __future__ import annotations

import msgspec
import pytest

from supervisor.core.facts import UNLIMITED_RESTARTS, Fact, FactKind, Level, level, sentence
from wippy.core.reasons import Exit, GaveUp, Normal, Shutdown, Signal

SENTENCES = [
    (Fact(kind=FactKind.READY, os_pid=7, generation=2), "up as pid 7, generation 2"),
    (
        Fact(kind=FactKind.READY, os_pid=7, generation=2, down_s=0.009),
        "up as pid 7, generation 2, back in 9ms",
    ),
    (
        Fact(kind=FactKind.EXITED, os_pid=7, reason=Signal(9), lived_s=3.2),
        "pid 7 killed by SIGKILL after 3.2s",
    ),
    (Fact(kind=FactKind.EXITED, reason=Exit(3), lived_s=60.0), "exited with status 3 after 1m00s"),
    (
        Fact(kind=FactKind.DECIDED, text="rest_for_one: restart", affected=("app:c", "app:d"),
             delay_s=0.1, used=2, allowed=3, within_s=5.0),
        "rest_for_one: restart with app:c, app:d in 100ms (2 of 3 restarts in 5.0s used)",
    ),
    (Fact(kind=FactKind.DECIDED), "restart"),
    (Fact(kind=FactKind.DECIDED, text="x", used=1, allowed=UNLIMITED_RESTARTS), "x"),
    (
        Fact(kind=FactKind.QUARANTINED, text="quarantined", reason=Exit(3)),
        "quarantined: exited with status 3",
    ),
    (Fact(kind=FactKind.NODE_READY), "node ready"),
    (Fact(kind=FactKind.HELD, text="stopped by an operator"), "stopped by an operator"),
]  # fmt: skip


@pytest.mark.parametrize(("fact", "text"), SENTENCES)
def test_a_fact_is_one_sentence(fact: Fact, text: str) -> None:
    assert sentence(fact) == text


def test_who_gave_up_is_named_with_whom_and_how_often() -> None:
    reason = GaveUp("app:s", "app:c", 3, 5.0)
    shown = sentence(Fact(kind=FactKind.GAVE_UP, id="app:s", reason=reason))
    assert shown == "app:s gave up: app:c needed more than 3 restarts in 5 s"


@pytest.mark.parametrize("kind", FactKind)
def test_every_kind_has_a_sentence_and_a_level_and_travels(kind: FactKind) -> None:
    fact = Fact(kind=kind, id="app:x", generation=1, reason=Exit(1), text="words", seq=4)
    assert sentence(fact)
    assert "\n" not in sentence(fact)
    assert level(fact) in Level
    assert msgspec.json.decode(msgspec.json.encode(fact), type=Fact) == fact
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(fact), type=Fact) == fact


@pytest.mark.parametrize(
    ("fact", "wanted"),
    [
        (Fact(kind=FactKind.EXITED, reason=Normal()), Level.INFO),
        (Fact(kind=FactKind.EXITED, reason=Shutdown()), Level.INFO),
        (Fact(kind=FactKind.EXITED, reason=Signal(9)), Level.WARNING),
        (Fact(kind=FactKind.ALARM), Level.ERROR),
        (Fact(kind=FactKind.GAVE_UP), Level.ERROR),
        (Fact(kind=FactKind.QUARANTINED), Level.ERROR),
        (Fact(kind=FactKind.CRASH_LOOP), Level.WARNING),
        (Fact(kind=FactKind.READY), Level.INFO),
    ],
)
def test_error_means_that_someone_must_act(fact: Fact, wanted: Level) -> None:
    assert level(fact) is wanted


def test_an_empty_field_is_not_written() -> None:
    written = msgspec.json.decode(msgspec.json.encode(Fact(kind=FactKind.READY, id="app:x")))
    assert set(written) == {"kind", "id"}
