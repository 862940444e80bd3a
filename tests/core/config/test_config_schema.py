"""The JSON Schema is made of what decodes."""

from __future__ import annotations

import json
from typing import Any

from supervisor.core.config.kinds import KINDS
from supervisor.core.config.runtime import RUNTIME
from supervisor.core.config.schema import schema
from supervisor.core.spec import Entry


def branches() -> dict[str, dict[str, Any]]:
    cases = schema()["properties"]["entries"]["items"]["allOf"]
    return {case["if"]["properties"]["kind"]["const"]: case["then"] for case in cases}


def test_it_is_json() -> None:
    assert json.loads(json.dumps(schema())) == schema()


def test_every_kind_of_entry_has_its_branch() -> None:
    tags = {member.__struct_config__.tag for member in Entry.__args__}  # type: ignore[attr-defined]  # a union has them
    assert set(branches()) == tags == set(KINDS)


def test_a_branch_has_the_keys_that_are_read_and_no_other() -> None:
    for kind, branch in branches().items():
        assert set(branch["properties"]) == set(KINDS[kind].fields)
        assert branch["additionalProperties"] is False
        assert {"name", "kind"} <= set(branch["required"])


def test_the_runtime_section_is_part_of_it() -> None:
    assert set(schema()["properties"]["runtime"]["properties"]) == set(RUNTIME.fields)


def test_every_key_is_described() -> None:
    for branch in (*branches().values(), schema()["properties"]["runtime"]):
        assert all(each["description"] for each in branch["properties"].values())
