"""Policies: a table of conditions, the rules of precedence, and hypothesis over their order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core import policy
from wippy.core.conditions import Condition, Operator, holds
from wippy.core.policy import Effect, Identity, Policy, Request, Ruleset, denied, narrowed
from wippy.errors import Invalid

FIELDS = {
    "actor": {"id": "app:agent", "meta": {"team": "red", "level": 3}},
    "resource": "app:x",
    "payload": {"amount": 10, "tags": ["a", "b"], "flag": True, "note": "hello", "none": None},
}
CONDITIONS: list[tuple[str, str, Any, bool | None]] = [
    ("actor.meta.team", "eq", "red", True),
    ("actor.meta.team", "eq", "blue", False),
    ("actor.meta.team", "ne", "blue", True),
    ("payload.flag", "eq", 1, False),
    ("payload.flag", "eq", True, True),
    ("payload.none", "eq", None, True),
    ("payload.amount", "lt", 11, True),
    ("payload.amount", "lt", 10, False),
    ("payload.amount", "lte", 10.0, True),
    ("payload.amount", "gt", 9.5, True),
    ("payload.amount", "gt", 10, False),
    ("payload.amount", "gte", 10, True),
    ("payload.note", "gt", "hell", True),
    ("payload.amount", "gt", "9", None),
    ("payload.amount", "gt", float("nan"), None),
    ("payload.flag", "gt", 0, None),
    ("payload.tags", "lt", 3, None),
    ("actor.id", "in", ["app:agent", "app:b"], True),
    ("actor.id", "nin", ["app:agent"], False),
    ("actor.id", "in", [], False),
    ("actor.id", "nin", [], True),
    ("actor.id", "in", "app:agent", None),
    ("payload.amount", "exists", None, True),
    ("payload.amount", "exists", False, False),
    ("payload.other", "exists", True, False),
    ("payload.other", "exists", False, True),
    ("payload.tags", "contains", "a", True),
    ("payload.tags", "contains", "c", False),
    ("payload.note", "contains", "ell", True),
    ("payload.note", "contains", 1, None),
    ("payload", "contains", "note", True),
    ("payload.amount", "contains", 1, None),
    ("resource", "matches", "app:*", True),
    ("resource", "matches", "*", True),
    ("resource", "matches", "db:*", False),
    ("payload.amount", "matches", "*", None),
    ("payload.tags.1", "eq", "b", True),
    ("payload.tags.2", "exists", True, False),
    ("payload.other", "eq", 1, False),
    ("payload.other", "ne", 1, True),
    ("payload.other", "gt", 1, False),
    ("payload.other", "in", [1], False),
    ("payload.other", "nin", [1], True),
    ("payload.other.deeper", "contains", 1, False),
    ("payload.other", "matches", "*", False),
]


@pytest.mark.parametrize(("field", "operator", "value", "expected"), CONDITIONS)
def test_a_condition_compares_a_field_and_what_is_unclear_is_what_the_policy_wants(
    field: str, operator: str, value: Any, expected: bool | None
) -> None:
    condition = Condition(field, Operator(operator), value)
    for if_unclear in (True, False):
        wanted = if_unclear if expected is None else expected
        assert holds(condition, FIELDS, if_unclear=if_unclear) is wanted


def test_every_operator_is_in_the_table() -> None:
    assert {operator for _, operator, _, _ in CONDITIONS} == set(Operator)


def make(id_: str, effect: str, **more: Any) -> Policy:
    given_ = {"actions": ("*",), "resources": ("*",), **more}
    return Policy(id=id_, effect=Effect(effect), **given_)


READ = Request("registry.get", "app:x")


def verdict(
    identity: Identity, *policies: Policy, request: Request = READ, is_strict: bool = False
) -> tuple[bool, str]:
    decision = Ruleset(policies).decide(identity, request, is_strict=is_strict)
    return decision.is_allowed, decision.policy


def test_what_no_policy_speaks_of_is_allowed_unless_the_node_or_the_identity_is_strict() -> None:
    anybody, careful = Identity("a"), Identity("a", is_strict=True)
    assert verdict(anybody) == (True, "")
    assert verdict(anybody, is_strict=True) == (False, "")
    assert verdict(careful) == (False, "")


def test_only_policies_of_the_identity_and_of_everyone_concern_it() -> None:
    deny = make("p:no", "deny", groups=("g",))
    assert verdict(Identity("a"), deny) == (True, "")
    assert verdict(Identity("a", policies=("p:no",)), deny) == (False, "p:no")
    assert verdict(Identity("a", groups=("g", "other")), deny) == (False, "p:no")
    assert verdict(Identity("a"), make("p:all", "deny", groups=("everyone",))) == (False, "p:all")


def test_a_policy_that_is_gone_says_nothing() -> None:
    gone = Identity("a", policies=("p:gone",))
    assert verdict(gone) == (True, "")
    assert verdict(gone, is_strict=True) == (False, "")


def test_actions_and_resources_are_patterns_and_both_must_match() -> None:
    one = make("p:a", "allow", actions=("registry.*",), resources=("app.generated:*", "app:note"))
    agent = Identity("a", policies=("p:a",), is_strict=True)
    for action, resource, is_allowed in (
        ("registry.create", "app.generated:x", True),
        ("registry.create", "app:note", True),
        ("registry.create", "app:x", False),
        ("registry.create", "app.generated.deeper:x", False),
        ("process.send", "app.generated:x", False),
        ("registry", "app.generated:x", False),
        ("registry.create", "", False),
    ):
        assert verdict(agent, one, request=Request(action, resource))[0] is is_allowed, resource


def test_conditions_see_the_actor_the_action_the_resource_and_the_fields() -> None:
    conditions = tuple(
        Condition(field, Operator.EQ, value)
        for field, value in (
            ("actor.id", "a"),
            ("actor.meta.team", "red"),
            ("action", "shop.refund"),
            ("resource", "shop:orders"),
            ("amount", 3),
        )
    )
    allow = make("p:a", "allow", conditions=conditions)
    agent = Identity("a", {"team": "red"}, ("p:a",), is_strict=True)
    good = Request("shop.refund", "shop:orders", lambda: {"amount": 3, "actor": {"id": "liar"}})
    assert verdict(agent, allow, request=good) == (True, "p:a")
    bad = Request("shop.refund", "shop:orders", lambda: {"amount": 4})
    assert verdict(agent, allow, request=bad) == (False, "")


def test_fields_are_not_asked_for_where_no_condition_wants_them() -> None:
    def fail() -> dict[str, Any]:
        raise AssertionError("asked")

    agent = Identity("a", policies=("p:a",))
    request = Request("x.y", "z", fail)
    assert verdict(agent, make("p:a", "allow"), request=request) == (True, "p:a")
    elsewhere = make("p:a", "deny", resources=("q",), conditions=(Condition("f", Operator.EQ),))
    assert verdict(agent, elsewhere, request=request) == (True, "")


def test_a_narrowed_identity_may_what_all_of_its_chain_may() -> None:
    allow_app = make("p:app", "allow", resources=("app:*",))
    allow_x = make("p:x", "allow", resources=("*:x",))
    outer = Identity("outer", policies=("p:app",), is_strict=True)
    inner = narrowed(Identity("inner", policies=("p:x",), is_strict=True), outer)
    rules = Ruleset([allow_app, allow_x])
    for resource, expected in (("app:x", None), ("app:y", "inner"), ("db:x", "outer")):
        decision = rules.decide(inner, Request("a.b", resource), is_strict=False)
        assert (None if decision.is_allowed else decision.identity.id) == expected


def test_narrowing_without_an_end_is_refused() -> None:
    identity = Identity("a")
    for _ in range(15):
        identity = narrowed(Identity("a"), identity)
    assert verdict(identity) == (True, "")
    with pytest.raises(Invalid, match="16 times"):
        narrowed(Identity("a"), identity)
    for _ in range(100):  # made by hand: what is deeper than allowed is denied
        identity = Identity("a", within=identity)
    assert verdict(identity) == (False, "")


@pytest.mark.parametrize(
    ("identity", "policies", "text"),
    [
        (Identity("app:a"), (make("p:no", "deny", groups=("everyone",)),), "p:no denies it"),
        (Identity("app:a", is_strict=True), (), "it has no policies, and what none allows"),
        (
            Identity("app:a", policies=("p:1", "p:2"), groups=("g",), is_strict=True),
            (make("p:1", "allow", resources=("db:*",)),),
            "none of its policies allows it (p:1, p:2, group g)",
        ),
    ],
)
def test_the_error_says_who_what_and_which_policy(
    identity: Identity, policies: tuple[Policy, ...], text: str
) -> None:
    decision = Ruleset(policies).decide(identity, READ, is_strict=False)
    message = str(denied(decision, READ))
    assert message.startswith("app:a may not registry.get app:x: ")
    assert text in message


def test_a_policy_is_read_from_the_data_of_its_entry() -> None:
    data = {
        "actions": "*",
        "resources": ["app:*"],
        "effect": "deny",
        "conditions": [{"field": "actor.id", "operator": "in", "value": ["a"]}],
        "groups": ["g"],
    }
    condition = Condition("actor.id", Operator.IN, ["a"])
    expected = make("p:1", "deny", resources=("app:*",), conditions=(condition,), groups=("g",))
    assert policy.policy_of("p:1", data) == expected
    for bad in ({}, {**data, "effect": "maybe"}, {**data, "actions": 5}):
        with pytest.raises(Invalid, match="p:1 is no policy"):
            policy.policy_of("p:1", bad)
    with pytest.raises(Invalid, match="is no pattern"):
        Ruleset([make("p:1", "deny", resources=("a b",))])


@pytest.mark.parametrize(
    ("target", "resource"),
    [
        ("app:worker", "app:worker"),
        ("mailer", "mailer"),
        ("node/app:worker.3/0", "app:worker"),
        ("node/app.x:pool#2.1/17", "app.x:pool"),
        ("node/app:code~abcdefgh.1/0", "app:code"),
    ],
)
def test_a_pid_is_called_by_its_service_its_code_or_its_pool(target: str, resource: str) -> None:
    assert policy.resource_of(target) == resource


# --- against a plain model -----------------------------------------------------------------------

NAMES = st.sampled_from(["app:x", "app:y", "db:x"])
PATTERNS = st.sampled_from(["*", "app:*", "app:x", "**:x", "db:y"])
POLICIES = st.lists(
    st.builds(
        make,
        st.sampled_from([f"p:{n}" for n in range(6)]),
        st.sampled_from(["allow", "deny"]),
        resources=st.tuples(PATTERNS),
        conditions=st.sampled_from([(), (Condition("resource", Operator.NE, "app:x"),)]),
        groups=st.lists(st.sampled_from(["g", "h", "everyone"]), unique=True).map(tuple),
    ),
    unique_by=lambda each: each.id,
)
IDENTITIES = st.builds(
    Identity,
    st.just("a"),
    policies=st.lists(st.sampled_from([f"p:{n}" for n in range(6)]), unique=True).map(tuple),
    groups=st.lists(st.sampled_from(["g", "h"]), unique=True).map(tuple),
    is_strict=st.booleans(),
)


def naive(identity: Identity, policies: list[Policy], request: Request) -> bool:
    """What the documents say, said once more."""
    effects = {
        each.effect
        for each in policies
        if each.id in identity.policies or {*identity.groups, "everyone"} & {*each.groups}
        if any(policy.parse_pattern(p).matches(request.resource) for p in each.resources)
        if not (each.conditions and request.resource == "app:x")
    }
    if Effect.DENY in effects:
        return False
    return Effect.ALLOW in effects or not identity.is_strict


@given(POLICIES, IDENTITIES, NAMES, st.randoms())
def test_deny_wins_and_the_order_does_not_matter(
    policies: list[Policy], identity: Identity, resource: str, random: Any
) -> None:
    request = Request("a.b", resource)
    expected = naive(identity, policies, request)
    assert verdict(identity, *policies, request=request)[0] is expected
    random.shuffle(policies)
    assert verdict(identity, *policies, request=request)[0] is expected


@given(POLICIES, IDENTITIES, IDENTITIES, NAMES)
def test_narrowing_never_gives_more(
    policies: list[Policy], outer: Identity, inner: Identity, resource: str
) -> None:
    request = Request("a.b", resource)
    both = naive(outer, policies, request) and naive(inner, policies, request)
    assert verdict(narrowed(inner, outer), *policies, request=request)[0] is both
