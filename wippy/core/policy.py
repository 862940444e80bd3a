"""Policies: who may do what to what, and under which conditions. Pure.

An actor acts as an `Identity`, which names policies and groups of policies. Of those that concern a
request (an action on a resource, with fields):

| | |
|---|---|
| one denies | it is denied, whatever others say: the order of policies means nothing |
| none denies, one allows | it is allowed |
| none says anything | it is allowed, unless the identity (or the node) is strict |

Policies of the group `everyone` are those of every identity. An identity that was narrowed may what
all that it was narrowed from may too, and no more (`Identity.within`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from wippy.core.conditions import Condition, Fields, holds, parse_pattern
from wippy.core.ids import SPAWNED_MARK, Pid
from wippy.core.pattern import Pattern
from wippy.errors import Invalid, PermissionDenied

POLICY_KIND = "security.policy"
EVERYONE = "everyone"
"""The group whose policies are those of every identity."""
MAX_WITHIN = 16
"""Narrowings of narrowings: each costs every check as much as the first."""
MAX_REMEMBERED = 10_000
"""Requests whose rules are remembered: an actor asks for the same few over and over."""
MAX_SHOWN = 5
"""Policies that an error names."""


class Effect(enum.StrEnum):
    """What a policy does where it applies; a deny wins."""

    ALLOW = "allow"
    DENY = "deny"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A `security.policy` entry.

    Attributes:
        id: Of the entry.
        actions: Patterns of actions; `*` alone is every one.
        resources: Patterns of what they are done to; likewise.
        effect: Allow or deny.
        conditions: All of them must hold.
        groups: Groups that it belongs to.
    """

    id: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    effect: Effect
    conditions: tuple[Condition, ...] = ()
    groups: tuple[str, ...] = ()


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """As whom somebody acts.

    Attributes:
        id: Its name.
        meta: Free data, for conditions.
        policies: Ids of the policies that say what it may.
        groups: Groups of policies that do.
        is_strict: What none of them allows is denied.
        within: What it was narrowed from: it may nothing that this may not.
        is_operator: It is the operator's own, whom no policy binds. No configuration says so.
    """

    id: str
    meta: dict[str, Any] = {}
    policies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    is_strict: bool = False
    within: Identity | None = None
    is_operator: bool = False


OPERATOR = Identity("operator", is_operator=True)
"""As whom an operator acts: the command line, `run`, `shell`, the files of the configuration."""


NO_FIELDS: Fields = {}


def no_fields() -> Fields:
    """Return no fields: of requests that have none but the actor's, the action and the resource."""
    return NO_FIELDS


class Request(msgspec.Struct, frozen=True):
    """What somebody wants to do.

    Attributes:
        action: `process.send`, `registry.update`, or one of a user's own.
        resource: To what: an entry id, a name.
        fields: Returns what conditions may look at besides `actor`, `action` and `resource`; only
            called where a condition does.
    """

    action: str
    resource: str
    fields: Callable[[], Fields] = no_fields


class Decision(msgspec.Struct, frozen=True):
    """Whether something is allowed, and who says so.

    Attributes:
        is_allowed: Whether it is.
        policy: Id of the policy that decided; empty where none did.
        identity: As whom it was judged: the one that may not, of a narrowed identity.
    """

    is_allowed: bool
    policy: str
    identity: Identity


class Rule:
    """A policy with its patterns read.

    Raises:
        Invalid: One of them is none.
    """

    __slots__ = ("_actions", "_resources", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._actions = tuple(map(parse_pattern, policy.actions))
        self._resources = tuple(map(parse_pattern, policy.resources))

    def concerns(self, action: str, resource: str) -> bool:
        """Say whether its patterns match what is wanted."""
        return _any(self._actions, action) and _any(self._resources, resource)

    def applies(self, request: Request, actor: Identity, known: list[Fields]) -> bool:
        """Say whether its conditions hold for a request of `actor`, which it concerns; `known`
        keeps the fields once asked for."""
        conditions = self.policy.conditions
        if not conditions:
            return True
        if not known:
            own = {"id": actor.id, "meta": actor.meta}
            given = request.fields()
            known.append(
                {**given, "actor": own, "action": request.action, "resource": request.resource}
            )
        is_deny = self.policy.effect is Effect.DENY
        return all(holds(each, known[0], if_unclear=is_deny) for each in conditions)


class Ruleset:
    """All policies of one version of the registry.

    Args:
        policies: In any order.

    Raises:
        Invalid: One has a pattern that is none.

    Attributes:
        has_everyone: Whether there are policies for every identity.
    """

    def __init__(self, policies: Iterable[Policy] = ()) -> None:
        self._by_id = {policy.id: Rule(policy) for policy in policies}
        self._by_group: dict[str, list[str]] = {}
        for id_, rule in self._by_id.items():
            for group in rule.policy.groups:
                self._by_group.setdefault(group, []).append(id_)
        self._chosen: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[Rule, ...]] = {}
        self._concerned: dict[tuple[tuple[Rule, ...], str, str], tuple[Rule, ...]] = {}
        self.has_everyone = EVERYONE in self._by_group

    def rules_of(self, identity: Identity) -> tuple[Rule, ...]:
        """Return the rules for an identity, denies first; policies that are gone say nothing."""
        key = (identity.policies, identity.groups)
        chosen = self._chosen.get(key)
        if chosen is None:
            ids = set(identity.policies)
            for group in (*identity.groups, EVERYONE):
                ids.update(self._by_group.get(group, ()))
            rules = [self._by_id[id_] for id_ in sorted(ids) if id_ in self._by_id]
            rules.sort(key=lambda rule: rule.policy.effect is not Effect.DENY)
            chosen = self._chosen[key] = tuple(rules)
        return chosen

    def _rules_for(self, identity: Identity, request: Request) -> tuple[Rule, ...]:
        rules = self.rules_of(identity)
        key = (rules, request.action, request.resource)
        found = self._concerned.get(key)
        if found is None:
            if len(self._concerned) >= MAX_REMEMBERED:
                self._concerned.clear()
            found = tuple(rule for rule in rules if rule.concerns(request.action, request.resource))
            self._concerned[key] = found
        return found

    def decide(self, identity: Identity, request: Request, *, is_strict: bool) -> Decision:
        """Judge a request of `identity`, and of all that it was narrowed from.

        Args:
            identity: As whom it is made.
            request: What is wanted.
            is_strict: The node is: what nothing allows is denied to everybody.
        """
        one: Identity | None = identity
        decision = Decision(is_allowed=True, policy="", identity=identity)
        for _ in range(MAX_WITHIN + 1):
            if one is None:
                return decision
            decision = self._decide_one(one, request, is_strict=is_strict)
            if not decision.is_allowed:
                return decision
            one = one.within
        return Decision(is_allowed=False, policy="", identity=identity)

    def _decide_one(self, identity: Identity, request: Request, *, is_strict: bool) -> Decision:
        if identity.is_operator:
            return Decision(is_allowed=True, policy="", identity=identity)
        known: list[Fields] = []
        for rule in self._rules_for(identity, request):
            if rule.applies(request, identity, known):
                # Denies come first, so the first that applies decides.
                is_allowed = rule.policy.effect is Effect.ALLOW
                return Decision(is_allowed, rule.policy.id, identity)
        return Decision(not (is_strict or identity.is_strict), "", identity)


def denied(decision: Decision, request: Request) -> PermissionDenied:
    """Return the error for a request that is not allowed."""
    actor = decision.identity
    what = f"{actor.id or 'nobody'} may not {request.action} {request.resource}"
    if decision.policy:
        return PermissionDenied(f"{what}: {decision.policy} denies it")
    named = [*actor.policies, *(f"group {group}" for group in actor.groups)]
    if not named:
        return PermissionDenied(f"{what}: it has no policies, and what none allows is denied")
    shown = ", ".join(named[:MAX_SHOWN]) + (", ..." if len(named) > MAX_SHOWN else "")
    return PermissionDenied(f"{what}: none of its policies allows it ({shown})")


def narrowed(identity: Identity, within: Identity) -> Identity:
    """Return `identity` bounded by what `within` may.

    Raises:
        Invalid: `within` was narrowed too often already.
    """
    depth, one = 0, within.within
    while one is not None:
        depth, one = depth + 1, one.within
    if depth >= MAX_WITHIN - 1:
        raise Invalid(f"an identity is narrowed {MAX_WITHIN} times at most: a loop without an end?")
    return msgspec.structs.replace(identity, within=within)


def bounded(claimed: Identity | None, own: Identity) -> Identity:
    """Return the identity of who says that it acts as `claimed`, and is known to be `own`: never
    more than that, wherever the claim says that it ends. None claims nothing.

    Raises:
        Invalid: It was narrowed too often.
    """
    chain: list[Identity] = []
    one = claimed
    while one is not None and one != own:
        chain.append(one)
        one = one.within
    result = own
    for identity in reversed(chain):
        result = narrowed(identity, result)
    return result


def policy_of(entry_id: str, data: Mapping[str, Any]) -> Policy:
    """Return the policy that the data of a `security.policy` entry says.

    Raises:
        Invalid: It says none.
    """
    single = {"actions", "resources"}
    given = {key: [it] if key in single and isinstance(it, str) else it for key, it in data.items()}
    try:
        return msgspec.convert({**given, "id": entry_id}, Policy)
    except msgspec.ValidationError as error:
        raise Invalid(f"{entry_id} is no policy: {error}") from error


def resource_of(target: str) -> str:
    """Return what a target of messages is called in policies: an entry id and a name themselves; of
    a pid, the id of its service, of its code if it was spawned, of its pool if it is in one."""
    if "/" not in target:
        return target
    return Pid.parse(target).slot.partition(SPAWNED_MARK)[0].partition("#")[0]


def _any(patterns: tuple[Pattern, ...], name: str) -> bool:
    return bool(name) and any(each.matches(name) for each in patterns)
