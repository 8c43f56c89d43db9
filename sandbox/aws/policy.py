"""IAM policies, as far as trust and image pulls need them: who may assume a role, and what the role may do.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
_ASSUME_ROLE = "sts:AssumeRole"


def trusts(policy: Mapping[str, Any], provider_arn: str, claims: Mapping[str, str]) -> bool:
    """Whether `policy` lets a token of `provider_arn` in; `claims` are condition keys (`issuer:sub`) to values.

    A deny wins. An operator that is not known never holds, so that a policy cannot pass here by being misspelt.
    """
    effects = {
        statement.get("Effect")
        for statement in statements(policy)
        if _names(statement, "Action", _WEB_IDENTITY)
        and provider_arn in _listed(_principal(statement).get("Federated"))
        and _conditions_hold(statement.get("Condition", {}), claims)
    }
    return "Allow" in effects and "Deny" not in effects


def trusts_service(policy: Mapping[str, Any], service: str) -> bool:
    """Whether `policy` lets an AWS service (`ec2.amazonaws.com`) take the role."""
    effects = {
        statement.get("Effect")
        for statement in statements(policy)
        if _names(statement, "Action", _ASSUME_ROLE)
        and service in _listed(_principal(statement).get("Service"))
    }
    return "Allow" in effects and "Deny" not in effects


def trusted_principals(policy: Mapping[str, Any], context: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """Principals (`AWS`) that `policy` lets assume the role, and those that it denies, under the conditions' keys."""
    found: dict[str, set[str]] = {"Allow": set(), "Deny": set()}
    for statement in statements(policy):
        named = set(_listed(_principal(statement).get("AWS")))
        if _names(statement, "Action", _ASSUME_ROLE) and _conditions_hold(
            statement.get("Condition", {}), context
        ):
            found[statement["Effect"]] |= named
    return found["Allow"], found["Deny"]


def principals(statement: Mapping[str, Any]) -> set[str]:
    """The principals of AWS's accounts that a statement names."""
    return {str(name) for name in _listed(_principal(statement).get("AWS"))}


def allows(policies: list[Mapping[str, Any]], action: str, resource: str) -> bool:
    """Whether identity `policies` together allow `action` on `resource`; a deny wins."""
    effects = {
        statement.get("Effect")
        for policy in policies
        for statement in statements(policy)
        if _names(statement, "Action", action) and _names(statement, "Resource", resource, exact_case=True)
    }
    return "Allow" in effects and "Deny" not in effects


def statements(policy: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The statements; a single one may stand without its list."""
    found = policy.get("Statement", [])
    yield from [found] if isinstance(found, Mapping) else found


def matches(pattern: str, text: str) -> bool:
    """IAM's globs: `*` any characters (`:` and `/` included), `?` one."""
    expression = "".join(
        {"*": ".*", "?": "."}.get(character) or re.escape(character) for character in pattern
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _principal(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    """`"Principal": "*"` is everybody of AWS's accounts, and no provider or service."""
    principal = statement.get("Principal", {})
    return {"AWS": "*"} if principal == "*" else principal


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], claims: Mapping[str, str]) -> bool:
    known = {key.lower(): value for key, value in claims.items()}
    for operator, tests in conditions.items():
        for key, expected in tests.items():
            value = known.get(key.lower())
            if value is None or not any(_holds(operator, str(one), value) for one in _listed(expected)):
                return False
    return True


def _holds(operator: str, expected: str, value: str) -> bool:
    if operator == "StringEquals":
        return expected == value
    if operator == "StringEqualsIgnoreCase":
        return expected.casefold() == value.casefold()
    return operator == "StringLike" and matches(expected, value)


def _names(statement: Mapping[str, Any], element: str, wanted: str, *, exact_case: bool = False) -> bool:
    patterns = [str(pattern) for pattern in _listed(statement.get(element))]
    if exact_case:
        return any(matches(pattern, wanted) for pattern in patterns)
    return any(matches(pattern.lower(), wanted.lower()) for pattern in patterns)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
