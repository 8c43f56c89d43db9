"""What IAM takes for a policy document, and in which words it refuses the rest.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.aws import policy
from sandbox.aws.protocol import AwsError

Document = dict[str, Any]

_VERSIONS = ("2012-10-17", "2008-10-17")
_ELEMENTS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_ACTION = re.compile(r"\*|[a-z0-9-]+:[A-Za-z0-9*?]+")
_ARN = re.compile(r"\*|arn:[^:]+:[^:]*:[^:]*:[^:]*:.+")
_PROVIDER_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:oidc-provider|saml-provider)/.+")
_WELL_KNOWN_PROVIDERS = (
    "cognito-identity.amazonaws.com",
    "www.amazon.com",
    "graph.facebook.com",
    "accounts.google.com",
)
_ACCOUNT = re.compile(r"\*|[0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:root")
_PRINCIPAL_ARN = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::(?P<account>[0-9]{12}):.+")


def identity_policy(text: str) -> Document:
    """A policy of a role.

    Raises:
        AwsError: MalformedPolicyDocument.
    """
    document = _document(text)
    for statement in policy.statements(document):
        if "Principal" in statement or "NotPrincipal" in statement:
            raise _malformed("Policy document should not specify a principal.")
        if "Resource" not in statement and "NotResource" not in statement:
            raise _malformed("Policy statement must contain resources.")
        for resource in _listed(statement.get("Resource")) + _listed(statement.get("NotResource")):
            if _ARN.fullmatch(str(resource)) is None:
                raise _malformed(f'Resource {resource} must be in ARN format or "*".')
    return document


def trust_policy(text: str, exists: Callable[[str], bool]) -> Document:
    """A role's trust policy; `exists` tells whether there is a role or user of an ARN.

    Raises:
        AwsError: MalformedPolicyDocument.
    """
    document = _document(text)
    for statement in policy.statements(document):
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise _malformed("Missing required field Principal")
        if "Resource" in statement or "NotResource" in statement:
            raise _malformed("Has prohibited field Resource")
        actions = [str(action) for action in _listed(statement.get("Action"))]
        if any(not action.lower().startswith("sts:") for action in actions):
            raise _malformed("AssumeRole policy may only specify STS AssumeRole actions.")
        _check_principal(statement.get("Principal", "*"), exists)
    return document


def _check_principal(principal: Any, exists: Callable[[str], bool]) -> None:
    if principal == "*":
        return
    if not isinstance(principal, Mapping) or not principal:
        raise _malformed("Syntax errors in policy.")
    for kind, named in principal.items():
        for name in map(str, _listed(named)):
            if not _principal_is_known(kind, name, exists):
                raise _malformed(f'Invalid principal in policy: "{kind}":"{name}"')


def _principal_is_known(kind: str, name: str, exists: Callable[[str], bool]) -> bool:
    if kind == "Federated":
        return name in _WELL_KNOWN_PROVIDERS or _PROVIDER_ARN.fullmatch(name) is not None
    if kind == "Service":
        return re.fullmatch(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?", name) is not None
    if kind != "AWS":
        return False
    if _ACCOUNT.fullmatch(name) is not None:
        return True
    return _PRINCIPAL_ARN.fullmatch(name) is not None and exists(name)


def _document(text: str) -> Document:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _malformed("This policy contains invalid Json") from error
    if not isinstance(document, dict) or set(document) - {"Version", "Id", "Statement"}:
        raise _malformed("Syntax errors in policy.")
    if document.get("Version", _VERSIONS[1]) not in _VERSIONS:
        raise _malformed("The policy must contain a valid version string")
    statements = list(policy.statements(document))
    if not statements or not all(isinstance(statement, Mapping) for statement in statements):
        raise _malformed("Syntax errors in policy.")
    for statement in statements:
        _check_statement(statement)
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    if len(sids) != len(set(sids)):
        raise _malformed("Statement IDs (SID) in a single policy must be unique.")
    return document


def _check_statement(statement: Mapping[str, Any]) -> None:
    if set(statement) - _ELEMENTS or statement.get("Effect") not in {"Allow", "Deny"}:
        raise _malformed("Syntax errors in policy.")
    if re.fullmatch(r"[A-Za-z0-9]*", str(statement.get("Sid", ""))) is None:
        raise _malformed("Statement IDs (SID) can only contain letters and digits.")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")):
        if one in statement and other in statement:
            raise _malformed("Syntax errors in policy.")
    actions = _listed(statement.get("Action")) + _listed(statement.get("NotAction"))
    if not actions:
        raise _malformed("Policy statement must contain actions.")
    for action in actions:
        if _ACTION.fullmatch(str(action)) is None:
            raise _malformed(f"Actions/Conditions must be prefaced by a vendor: {action}")
    conditions = statement.get("Condition", {})
    if not isinstance(conditions, Mapping) or not all(
        isinstance(one, Mapping) for one in conditions.values()
    ):
        raise _malformed("Syntax errors in policy.")


def _malformed(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", message)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
