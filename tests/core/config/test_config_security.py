"""Policies and identities in the configuration: their forms, and what is wrong with them."""

from __future__ import annotations

import pytest

from supervisor.core.config import decode, parse
from supervisor.core.config.decode import FileDraft
from supervisor.core.spec import HostEntry, PolicyEntry, Security, ServiceEntry
from wippy.core.conditions import Condition, Operator
from wippy.core.policy import Effect

HEAD = 'version: "1.0"\nnamespace: app\nentries:\n'
POLICY = "  - {name: p, kind: security.policy, actions: a.b, resources: 'app:*', effect: deny"


def draft(text: str) -> FileDraft:
    document = parse.parse((HEAD + text).encode(), "app.yaml")
    return decode.decode(document, file_path="/etc/app.yaml", environ={}, may_have_runtime=True)


def problems(text: str) -> list[str]:
    return [problem.message for problem in draft(text).reading.problems]


@pytest.mark.parametrize(
    ("text", "security"),
    [
        ("{}", Security()),
        ("{actor: agent}", Security(actor="agent")),
        ("{actor: {id: agent, meta: {team: red}}}", Security(actor="agent", meta={"team": "red"})),
        ("{actor: {meta: {team: red}}}", Security(meta={"team": "red"})),
        (
            "{policies: [p, b:q], groups: [g], strict: true}",
            Security(policies=("app:p", "b:q"), groups=("g",), is_strict=True),
        ),
    ],
)
def test_an_identity_is_a_name_or_a_name_with_data(text: str, security: Security) -> None:
    read = draft(
        f"  - {{name: s, kind: process.service, process: c, security: {text}}}\n"
        f"  - {{name: h, kind: process.host, security: {text}}}\n"
    )
    assert read.reading.problems == []
    service, host = (each.entry for each in read.drafts)
    assert isinstance(service, ServiceEntry)
    assert isinstance(host, HostEntry)
    assert service.security == host.security == security


def test_a_policy_has_patterns_conditions_and_groups() -> None:
    more = "conditions: [{field: x, operator: gt, value: 3}], groups: [g]"
    (read,) = draft(f"{POLICY}, {more}}}\n").drafts
    assert isinstance(read.entry, PolicyEntry)
    assert (read.entry.actions, read.entry.resources) == (("a.b",), ("app:*",))
    assert read.entry.effect is Effect.DENY
    assert read.entry.conditions == (Condition("x", Operator.GT, 3),)
    assert read.entry.groups == ("g",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (POLICY.replace("a.b", "'a b'") + "}", "is no pattern"),
        (POLICY.replace("'app:*'", "['app:*', 'a**b']") + "}", "is no pattern"),
        (POLICY + ", conditions: [{field: x, operator: gt, value: [1]}]}", "a number or a text"),
        (POLICY + ", conditions: [{field: x, operator: gt, value: true}]}", "a number or a text"),
        (POLICY + ", conditions: [{field: x, operator: lte, value: .nan}]}", "a number or a text"),
        (POLICY + ", conditions: [{field: x, operator: in, value: a}]}", "in takes a list"),
        (POLICY + ", conditions: [{field: x, operator: exists, value: 1}]}", "exists takes true"),
        (POLICY + ", conditions: [{field: x, operator: matches, value: 'a b'}]}", "no pattern"),
        (POLICY + ", conditions: [{field: x, operator: matches, value: 5}]}", "a pattern is a str"),
        (POLICY + ", conditions: [{field: x, operator: eq}]}", "missing key 'value'"),
        (POLICY.replace("deny", "denie") + "}", "unknown effect 'denie'"),
        (
            "  - {name: s, kind: process.service, process: c, security: {actor: {name: x}}}",
            "unknown key 'name'",
        ),
        (
            "  - {name: h, kind: process.host, isolation: dedicated, security: {}}",
            "'security' belongs to a pool",
        ),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    found = problems(text + "\n")
    assert any(message in each for each in found), found
