"""Documents to typed entries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.core.config import decode, parse, references
from supervisor.core.config.decode import FileDraft
from supervisor.core.config.kinds import KINDS
from supervisor.core.spec import (
    AutoShutdown,
    Entry,
    ExecEntry,
    HostEntry,
    IntensitySpec,
    Isolation,
    OnLimit,
    ProbeKind,
    ProcessEntry,
    Restart,
    ServiceEntry,
    StartMode,
    Strategy,
    SupervisorEntry,
)
from wippy.core.backoff import Backoff

ENVIRON = {"HOME": "/home/me", "N": "3", "EMPTY": ""}


def draft(text: str) -> FileDraft:
    document = parse.parse(text.encode(), "app.yaml")
    return decode.decode(
        document, file_path="/etc/shop/app.yaml", environ=ENVIRON, may_have_runtime=True
    )


def entry(text: str) -> Entry:
    """Return the one entry whose fields are `text`."""
    fields = "".join(f"    {line}\n" for line in text.strip().splitlines())
    found = draft(f'version: "1.0"\nnamespace: app\nentries:\n  - name: it\n{fields}')
    assert found.reading.problems == []
    made = found.drafts[0].entry
    assert made is not None
    return made


def test_a_supervisor_has_all_its_fields() -> None:
    made = entry(
        "kind: supervisor\nstrategy: rest_for_one\nintensity: {max_restarts: 3, within: 5s}\n"
        "children: [db, other:worker]\nstart: parallel\nauto_shutdown: any_significant\n"
        "meta: {owner: me}"
    )
    assert isinstance(made, SupervisorEntry)
    assert made.id == "app:it"
    assert made.strategy is Strategy.REST_FOR_ONE
    assert made.intensity == IntensitySpec(3, 5.0)
    assert made.children == ("app:db", "other:worker")
    assert made.start is StartMode.PARALLEL
    assert made.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT
    assert made.meta == {"owner": "me"}
    assert str(made.place) == "app.yaml:4:5"


def test_a_dynamic_supervisor_has_a_template_and_a_count() -> None:
    made = entry("kind: supervisor\nstrategy: dynamic\ntemplate: job\ncount: 3")
    assert isinstance(made, SupervisorEntry)
    assert (made.template, made.count, made.children) == ("app:job", 3, ())


def test_a_lifecycle_has_all_its_fields_in_seconds() -> None:
    made = entry(
        "kind: exec.service\ncommand: [sleep, 1]\nlifecycle:\n  auto_start: false\n"
        "  restart: transient\n  requires: [db]\n  start_timeout: 1m\n  stop_timeout: 0s\n"
        "  stable_threshold: 500ms\n  max_restarts: 2\n  within: 1h\n  on_limit: quarantine\n"
        "  essential: true\n"
        "  backoff: {initial_delay: 10ms, max_delay: 2s, factor: 3, jitter: 0}"
    )
    assert isinstance(made, ExecEntry)
    own = made.lifecycle
    assert (own.auto_start, own.restart, own.requires) == (False, Restart.TRANSIENT, ("app:db",))
    assert (own.start_timeout_s, own.stop_timeout_s, own.stable_threshold_s) == (60.0, 0.0, 0.5)
    assert (own.max_restarts, own.within_s, own.on_limit) == (2, 3600.0, OnLimit.QUARANTINE)
    assert own.backoff == Backoff(0.01, 2.0, 3.0, 0.0)
    assert own.essential


def test_limits_are_keys_of_hosts_programs_and_dedicated_services() -> None:
    made = entry(
        "kind: process.host\nisolation: dedicated\nmemory: 512MiB\nopen_files: 4096\nnice: 5\n"
        "umask: 0027\nuser: www\ngroup: 33\ncwd: data\nenv: {A: 1, B: yes, C: ''}"
    )
    assert isinstance(made, HostEntry)
    assert made.isolation is Isolation.DEDICATED
    limits = made.limits
    assert (limits.memory_bytes, limits.open_files, limits.nice) == (512 * 2**20, 4096, 5)
    assert (limits.umask, limits.user, limits.group) == (0o027, "www", "33")
    assert (limits.cwd, limits.env) == ("/etc/shop/data", {"A": "1", "B": "yes", "C": ""})


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("[sleep, 30, true]", ("sleep", "30", "true")),
        ("sleep 30", ("sleep", "30")),
        ("""sh -c 'echo "a b"; exit'""", ("sh", "-c", 'echo "a b"; exit')),
        ('["echo", "${env:HOME}/x", "$${env:HOME}"]', ("echo", "/home/me/x", "${env:HOME}")),
        ('["echo", "${env:NONE:-a:-b}${env:NONE:-}", "$HOME"]', ("echo", "a:-b", "$HOME")),
    ],
)
def test_commands(text: str, command: tuple[str, ...]) -> None:
    made = entry(f"kind: exec.service\ncommand: {text}")
    assert isinstance(made, ExecEntry)
    assert made.command == command


@pytest.mark.parametrize(
    ("text", "number"), [("SIGINT", 2), ("quit", 3), ("TERM", 15), ("9", 9), ("SIGWINCH", 28)]
)
def test_stop_signals(text: str, number: int) -> None:
    made = entry(f"kind: exec.service\ncommand: x\nstop_signal: {text}")
    assert isinstance(made, ExecEntry)
    assert made.stop_signal == number


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ("none", ProbeKind.NONE, ""),
        ("notify", ProbeKind.NOTIFY, ""),
        ("{notify: true}", ProbeKind.NOTIFY, ""),
        ('{tcp: "127.0.0.1:80", interval: 2s, timeout: 3s}', ProbeKind.TCP, "127.0.0.1:80"),
        ('{tcp: "[::1]:80"}', ProbeKind.TCP, "[::1]:80"),
        ("{http: http://localhost/health}", ProbeKind.HTTP, "http://localhost/health"),
        ('{log: "ready .*"}', ProbeKind.LOG, "ready .*"),
        ("{exec: [test, -e, /tmp]}", ProbeKind.EXEC, ""),
    ],
)
def test_readiness_probes(text: str, kind: ProbeKind, target: str) -> None:
    made = entry(f"kind: exec.service\ncommand: x\nreadiness: {text}")
    assert isinstance(made, ExecEntry)
    assert (made.readiness.kind, made.readiness.target) == (kind, target)
    if "interval" in text:
        assert (made.readiness.interval_s, made.readiness.timeout_s) == (2.0, 3.0)
    if kind is ProbeKind.EXEC:
        assert made.readiness.command == ("test", "-e", "/tmp")


def test_code_in_a_file_is_beside_the_configuration() -> None:
    made = entry("kind: process.py\nsource: file://lib/workers.py\nmethod: run")
    assert isinstance(made, ProcessEntry)
    assert (made.code.path, made.code.method) == ("/etc/shop/lib/workers.py", "run")
    assert made.code.text is None


def test_inline_code_knows_the_line_of_its_first_line() -> None:
    made = entry("kind: process.py\nmethod: run\nsource: |\n  # ${env:NONE}\n  def run(): ...")
    assert isinstance(made, ProcessEntry)
    assert made.code.text == "# ${env:NONE}\ndef run(): ...\n"
    assert made.code.origin == "/etc/shop/app.yaml:8"


def test_input_is_data() -> None:
    made = entry('kind: process.service\nprocess: code\ninput: [1, 2.5, x, {a: [true, null]}, "7"]')
    assert isinstance(made, ServiceEntry)
    assert made.input == (1, 2.5, "x", {"a": [True, None]}, "7")


@pytest.mark.parametrize("text", ["${env:N}", '"${env:N}"', "${env:NONE:-3}"])
def test_a_variable_may_be_a_number_quoted_or_not(text: str) -> None:
    made = entry(f"kind: process.host\nworkers: {text}")
    assert isinstance(made, HostEntry)
    assert made.workers == 3


def test_an_entry_with_an_error_still_has_its_id_kind_and_references() -> None:
    found = draft(
        'version: "1.0"\nnamespace: app\nentries:\n  - name: web\n    kind: process.service\n'
        "    process: cod\n    nonsense: 1\n"
    )
    assert [(d.id, d.kind, d.entry) for d in found.drafts] == [("app:web", "process.service", None)]
    assert [reference.target for reference in found.reading.references] == ["app:cod"]


def test_an_id_may_not_be_longer_than_a_file_name_allows() -> None:
    found = draft(
        f'version: "1.0"\nnamespace: app\nentries: [{{name: {"a" * 125}, kind: process.host}}]'
    )
    assert "longer than 128 characters" in found.reading.problems[0].message


def test_a_path_within_the_document_is_part_of_a_problem() -> None:
    found = draft(
        'version: "1.0"\nnamespace: app\nentries:\n  - {name: a, kind: process.host}\n'
        "  - {name: b, kind: process.host, lifecycle: {requires: [a, 5]}}\n"
    )
    assert [p.path for p in found.reading.problems] == ["entries[1].lifecycle.requires[1]"]


KEYS = sorted({key for table in KINDS.values() for key in table.fields})
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["5s", "app:a", "a", "dynamic", "${env:N}", "${env:", "file://x", "-1s"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
entries = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", "c"]) | values, "kind": st.sampled_from(sorted(KINDS))},
    optional={key: values for key in KEYS if key not in {"name", "kind"}},
)


@settings(max_examples=150)
@given(st.lists(entries | values, max_size=4))
def test_whatever_is_written_is_an_entry_or_a_problem(written: list[Any]) -> None:
    text = json.dumps({"version": "1.0", "namespace": "app", "entries": written})
    found = draft(text)
    problems = [*found.reading.problems, *references.judge(found.drafts, found.reading.references)]
    good = [each for each in found.drafts if each.entry is not None]
    assert problems or len(good) == len(written)


def test_a_namespace_that_would_be_taken_for_registered_names_is_refused() -> None:
    problems = draft('version: "1.0"\nnamespace: name\nentries: []\n').reading.problems
    said = "the namespace 'name' stands for names that actors register"
    assert [(problem.place.line, problem.message) for problem in problems] == [(2, said)]
