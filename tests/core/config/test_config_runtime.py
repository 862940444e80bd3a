"""The `runtime:` section: a flag wins over a variable, which wins over the file."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.core.config import decode, parse, runtime
from supervisor.core.config.problems import render_one
from supervisor.core.spec import IntensitySpec, RuntimeSpec

FILE = """
version: "1.0"
runtime:
  node: shop
  state_dir: state
  heartbeat: 1s
  spares: 5
  preload: [json]
  log: {max_size: 1MiB, backups: 9}
  orphan_timeout: 7s
  start_parallel: 2
  history_limit: 500
  intensity: {max_restarts: 7}
"""


def read(
    text: str = FILE,
    environ: dict[str, str] | None = None,
    overrides: dict[str, str] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    document = parse.parse(text.encode(), "wippy.yaml")
    file = decode.decode(
        document, file_path="/etc/shop/wippy.yaml", environ={}, may_have_runtime=True
    )
    values, _, problems = runtime.decode(
        file.reading, file.runtime, environ=environ or {}, overrides=overrides or {}, cwd="/here"
    )
    return values, [render_one(problem) for problem in (*problems, *file.reading.problems)]


def test_the_section_sets_the_fields_of_the_runtime_spec() -> None:
    values, problems = read()
    assert problems == []
    assert values == {
        "node": "shop",
        "state_dir": "/etc/shop/state",
        "heartbeat_s": 1.0,
        "spares": 5,
        "preload": ("json",),
        "log_max_bytes": 2**20,
        "log_backups": 9,
        "orphan_timeout_s": 7.0,
        "start_parallel": 2,
        "history_limit": 500,
        "intensity": IntensitySpec(7, 10.0),
    }
    assert set(values) <= set(RuntimeSpec.__struct_fields__)


def test_every_setting_of_the_runtime_spec_can_be_overridden() -> None:
    settable = set(runtime.OVERRIDES)
    assert {"node", "state_dir", "run_dir", "log_dir", "heartbeat", "start_parallel", "spares",
            "preload", "log_max_size", "log_backups", "orphan_timeout", "history_limit",
            "intensity_max_restarts", "intensity_within"} <= settable  # fmt: skip


def test_a_variable_wins_over_the_file_and_a_flag_over_both() -> None:
    environ = {"WIPPY_SPARES": "6", "WIPPY_HEARTBEAT": "2s", "WIPPY_LOG_BACKUPS": "1"}
    values, problems = read(environ=environ, overrides={"heartbeat": "3s", "run-dir": "run"})
    assert problems == []
    assert (values["spares"], values["heartbeat_s"], values["log_backups"]) == (6, 3.0, 1)
    assert values["log_max_bytes"] == 2**20
    assert values["run_dir"] == "/here/run"


def test_parts_of_the_intensity_are_overridden_one_by_one() -> None:
    environ = {"WIPPY_INTENSITY_WITHIN": "1m"}
    assert read(environ=environ)[0]["intensity"] == IntensitySpec(7, 60.0)
    assert read("version: '1.0'\nruntime: {}\n", environ)[0]["intensity"] == IntensitySpec(20, 60.0)


def test_a_list_in_a_variable_is_separated_by_commas() -> None:
    assert read(environ={"WIPPY_PRELOAD": "json, asyncio"})[0]["preload"] == ("json", "asyncio")


def test_an_empty_variable_is_none() -> None:
    assert read(environ={"WIPPY_SPARES": ""})[0]["spares"] == 5


def test_a_node_may_be_named_by_digits_in_a_variable() -> None:
    assert read(environ={"WIPPY_NODE": "1"})[0]["node"] == "1"


@pytest.mark.parametrize(
    ("environ", "overrides", "said"),
    [
        (
            {"WIPPY_HEARTBEAT": "2"},
            {},
            "environment variable WIPPY_HEARTBEAT: error: heartbeat needs a unit: 2 of what? "
            "(did you mean '2s'?)",
        ),
        (
            {},
            {"spares": "many"},
            "--spares: error: spares must be a whole number, not the string 'many'",
        ),
        (
            {},
            {"stat-dir": "x"},
            "--stat-dir: error: no setting is named 'stat_dir' (did you mean 'state_dir'?)",
        ),
    ],
)
def test_wrong_variables_and_flags_are_named(
    environ: dict[str, str], overrides: dict[str, str], said: str
) -> None:
    assert read(environ=environ, overrides=overrides)[1] == [said]


def test_name_and_node_are_one_setting() -> None:
    assert read("version: '1.0'\nruntime: {name: a}\n")[0] == {"node": "a"}
    problems = read("version: '1.0'\nruntime: {name: a, node: b}\n")[1]
    assert "'name' and 'node' are the same" in problems[0]


def test_a_section_that_is_no_mapping_is_a_problem() -> None:
    assert "runtime must be a mapping" in read("version: '1.0'\nruntime: fast\n")[1][0]
