"""What programs read."""

from __future__ import annotations

import json

from supervisor.core.facts import Fact, FactKind
from supervisor.core.json_form import for_json, json_line, log_line, rfc3339
from wippy.core.reasons import Signal


def test_times_are_rfc_3339_in_utc_to_the_millisecond() -> None:
    assert rfc3339(0.0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_700_000_000.25) == "2023-11-14T22:13:20.250Z"


def test_a_time_that_is_none_is_null_wherever_it_stands() -> None:
    assert for_json({"rows": [{"at_s": 0.0, "x": 1}]}) == {"rows": [{"at": None, "x": 1}]}


def test_the_schema_comes_first() -> None:
    assert json_line({"a": 1}) == b'{"schema":1,"a":1}'


def test_a_line_of_a_log_has_its_level_and_says_in_words_what_happened() -> None:
    fact = Fact(
        seq=3, at_s=1.5, kind=FactKind.EXITED, id="app:a", os_pid=7, reason=Signal(9), lived_s=2.0
    )
    assert json.loads(log_line(fact)) == {
        "schema": 1,
        "level": "warning",
        "message": "pid 7 killed by SIGKILL after 2.0s",
        "seq": 3,
        "at": "1970-01-01T00:00:01.500Z",
        "kind": "exited",
        "id": "app:a",
        "os_pid": 7,
        "reason": {"reason": "signal", "number": 9},
        "lived_s": 2.0,
    }
