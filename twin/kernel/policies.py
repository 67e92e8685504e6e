"""IAM policy documents and their evaluation.

Source: IAM user guide, "Policy evaluation logic", "JSON policy elements: Condition operators", "multivalued context
keys". An explicit deny wins; without an allow a request is denied. What a document uses beyond this module (operators,
condition keys, policy variables) raises `Unmodelled`: a grant that is not understood must not pass for one that is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from twin.errors import Unmodelled

Verdict = Literal["allow", "deny", "silent"]
Values = tuple[str, ...]

_STATEMENT_MEMBERS = frozenset(
    {
        "Sid",
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Principal",
        "Condition",
    }
)


@dataclass(frozen=True)
class Request:
    """One action on one resource, to be judged.

    Attributes:
        action: e.g. `ecs:UpdateService`.
        resource: ARN, or `*` for actions without resource types.
        keys: condition keys that are present in the request, in lower case, with their values.
        tags: looks up the resource's tags; None when the twin knows no tags of this resource's service.
        absent: condition keys (lower case) that the twin knows for this action though this request has none.
    """

    action: str
    resource: str
    keys: Mapping[str, Values] = field(default_factory=dict)
    tags: Callable[[str], Mapping[str, str]] | None = None
    absent: frozenset[str] = frozenset()

    def values(self, key: str) -> Values | None:
        """Values of a condition key, None when the request has none."""
        name = key.lower()
        if name in self.keys:
            return self.keys[name]
        prefix, _, tag = key.partition("/")
        if tag and prefix.lower().endswith(":resourcetag"):
            return self._tag(key, tag)
        if name in self.absent or name in _ALWAYS_KNOWN or name.startswith("aws:requesttag/"):
            return None
        raise Unmodelled(f"IAM condition key {key} for {self.action}")

    def _tag(self, key: str, tag: str) -> Values | None:
        if self.tags is None:
            raise Unmodelled(f"IAM condition key {key} for {self.action}: the twin knows no tags of {self.resource}")
        found = self.tags(self.resource).get(tag)
        return None if found is None else (found,)


_ALWAYS_KNOWN = frozenset({"aws:sourcearn", "aws:sourceaccount", "aws:principalservicename", "aws:tagkeys"})


@dataclass(frozen=True)
class Statement:
    effect: str
    actions: Values
    not_actions: Values
    resources: Values
    not_resources: Values
    principals: Mapping[str, Values]
    conditions: tuple[tuple[str, str, Values], ...]

    def covers(self, request: Request) -> bool:
        """Whether action, resource and conditions hold; the principal is the caller's affair."""
        return self._action(request.action) and self._resource(request.resource) and self._conditions_hold(request)

    def concerns_service(self, principal: str) -> bool:
        everybody = "*" in self.principals.get("AWS", ()) or "*" in self.principals.get("*", ())
        return everybody or principal in self.principals.get("Service", ())

    def _action(self, action: str) -> bool:
        if self.actions:
            return any(like(pattern.lower(), action.lower()) for pattern in self.actions)
        return not any(like(pattern.lower(), action.lower()) for pattern in self.not_actions)

    def _resource(self, resource: str) -> bool:
        if self.resources:
            return any(like(pattern, resource) for pattern in self.resources)
        if self.not_resources:
            return not any(like(pattern, resource) for pattern in self.not_resources)
        return True

    def _conditions_hold(self, request: Request) -> bool:
        return all(_holds(operator, request.values(key), wanted) for operator, key, wanted in self.conditions)


def parse(document: Mapping[str, Any], where: str) -> list[Statement]:
    """Statements of a policy document; `where` names the document in errors."""
    statements = document.get("Statement", [])
    if isinstance(statements, Mapping):
        statements = [statements]
    return [_statement(statement, where) for statement in statements]


def _statement(raw: Mapping[str, Any], where: str) -> Statement:
    extra = sorted(set(raw) - _STATEMENT_MEMBERS)
    if extra:
        raise Unmodelled(f"{where}: policy element {extra[0]}")
    effect = raw.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise Unmodelled(f"{where}: policy effect {effect!r}")
    made = Statement(
        effect=effect,
        actions=_texts(raw.get("Action"), where),
        not_actions=_texts(raw.get("NotAction"), where),
        resources=_texts(raw.get("Resource"), where),
        not_resources=_texts(raw.get("NotResource"), where),
        principals=_principals(raw.get("Principal"), where),
        conditions=tuple(_conditions(raw.get("Condition", {}), where)),
    )
    if not made.actions and not made.not_actions:
        raise Unmodelled(f"{where}: a policy statement without Action")
    return made


def _texts(value: Any, where: str) -> Values:
    items = value if isinstance(value, list) else [] if value is None else [value]
    for item in items:
        if not isinstance(item, str | bool | int):
            raise Unmodelled(f"{where}: policy value {item!r}")
        if "${" in str(item):
            raise Unmodelled(f"{where}: policy variable in {item!r}")
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)


def _principals(value: Any, where: str) -> Mapping[str, Values]:
    if value is None:
        return {}
    if value == "*":
        return {"*": ("*",)}
    return {kind: _texts(names, where) for kind, names in value.items()}


def _conditions(raw: Mapping[str, Any], where: str) -> Iterable[tuple[str, str, Values]]:
    for operator, keys in raw.items():
        _check_operator(operator, where)
        for key, wanted in keys.items():
            yield operator, key, _texts(wanted, where)


def identity_verdict(statements: Sequence[Statement], request: Request) -> Verdict:
    """What identity policies say to a request."""
    verdict: Verdict = "silent"
    for statement in statements:
        if statement.covers(request):
            if statement.effect == "Deny":
                return "deny"
            verdict = "allow"
    return verdict


def service_verdict(statements: Sequence[Statement], principal: str, request: Request) -> Verdict:
    """What a resource's policy says to an AWS service, e.g. `events.amazonaws.com`."""
    return identity_verdict([s for s in statements if s.concerns_service(principal)], request)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    parts = (wild.get(part) or re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.compile("".join(parts), re.DOTALL)


def like(pattern: str, value: str) -> bool:
    """IAM's wildcards: `*` for any run of characters, `?` for one."""
    if pattern in ("*", value):
        return True
    return _compiled(pattern).fullmatch(value) is not None


# --- conditions ------------------------------------------------------------------------------------------------------
def _arn_like(pattern: str, value: str) -> bool:
    """The six parts of an ARN are compared one by one; a wildcard does not reach over a colon but in the last part."""
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(values) == 6 and all(like(p, v) for p, v in zip(patterns, values, strict=True))


def _numeric(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda wanted, value: compare(float(value), float(wanted))


_OPERATORS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    # name: (test of wanted against value, negated)
    "StringEquals": (lambda wanted, value: wanted == value, False),
    "StringNotEquals": (lambda wanted, value: wanted == value, True),
    "StringEqualsIgnoreCase": (lambda wanted, value: wanted.lower() == value.lower(), False),
    "StringNotEqualsIgnoreCase": (lambda wanted, value: wanted.lower() == value.lower(), True),
    "StringLike": (like, False),
    "StringNotLike": (like, True),
    "ArnEquals": (_arn_like, False),
    "ArnLike": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnNotLike": (_arn_like, True),
    "Bool": (lambda wanted, value: wanted.lower() == value.lower(), False),
    "NumericEquals": (_numeric(lambda a, b: a == b), False),
    "NumericLessThan": (_numeric(lambda a, b: a < b), False),
    "NumericLessThanEquals": (_numeric(lambda a, b: a <= b), False),
    "NumericGreaterThan": (_numeric(lambda a, b: a > b), False),
    "NumericGreaterThanEquals": (_numeric(lambda a, b: a >= b), False),
}


def _split(operator: str) -> tuple[str, str, bool]:
    """`ForAllValues:StringLikeIfExists` → (set qualifier, base operator, if exists)."""
    qualifier, _, rest = operator.rpartition(":")
    if_exists = rest.endswith("IfExists")
    return qualifier, rest.removesuffix("IfExists"), if_exists


def _check_operator(operator: str, where: str) -> None:
    qualifier, base, _ = _split(operator)
    if qualifier not in ("", "ForAllValues", "ForAnyValue") or (base not in _OPERATORS and base != "Null"):
        raise Unmodelled(f"{where}: IAM condition operator {operator}")


def _holds(operator: str, values: Values | None, wanted: Values) -> bool:
    qualifier, base, if_exists = _split(operator)
    if base == "Null":
        return (values is None) == (wanted[0].lower() == "true")
    test, negated = _OPERATORS[base]
    if values is None:
        # A missing key: set operator ForAllValues, negated operators and …IfExists hold; the others do not.
        return if_exists or qualifier == "ForAllValues" or (negated and not qualifier)

    def one(value: str) -> bool:
        return any(test(pattern, value) for pattern in wanted) != negated

    return all(map(one, values)) if qualifier == "ForAllValues" else any(map(one, values))
