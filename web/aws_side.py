"""What is to be done in AWS for one cluster: policies, commands, and which of it was really seen to be done. Pure.

Made from what the API says of the cluster. Called by `web.cluster_page`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from web import highlighting
from web.journey import Mark

Json = Mapping[str, Any]

# Which issue tells that an item is not done; each later item was not reached then.
_ITEMS = (
    (
        "provider",
        "IAM knows this cluster's OIDC provider",
        frozenset({"OidcProviderMissing", "VerificationKeyUnavailable", "IdentityProviderUnreachable"}),
    ),
    ("audience", "The provider takes the audience", frozenset({"AudienceNotAllowed", "AudienceAmbiguous"})),
    ("trust", "The role trusts this cluster", frozenset({"TrustPolicyMismatch"})),
    (
        "permissions",
        "The role may pull",
        frozenset({"EcrAccessDenied", "PublicRefused", "RegistryAccessDenied"}),
    ),
)
ISSUES = frozenset(code for _, _, codes in _ITEMS for code in codes)
_NEW_ROLE = "pullpass"
_ACCOUNT = "${AWS_ACCOUNT_ID}"


@dataclass(frozen=True)
class Item:
    """One thing to be done in AWS; `words` say by what its mark is known, `command` does it ("": another one does)."""

    key: str
    title: str
    mark: Mark
    words: str
    command: str


def of_cluster(cluster: Json) -> dict[str, Any]:
    """What the section shows; `policy` None where the issuer is not known, or no role is needed."""
    status = cluster["status"]["addOns"]
    registries = status["awsECR"]
    provider = status.get("awsWorkloadIdentity", {}).get("oidcProviderConfig") or {}
    url, audience = provider.get("providerUrl", ""), provider.get("audience", "")
    role = ((cluster["spec"].get("addOns") or {}).get("awsECR") or {}).get("roleArn") or ""
    policy, permissions = registries.get("trustPolicy"), registries.get("permissionsPolicy")
    commands = {}
    if policy is not None:
        commands = _commands(role, policy, permissions, url, audience)
    items = checklist(registries, commands)
    return {
        "provider_url": url,
        "audience": audience,
        "role_arn": role,
        "by_instance_role": not role and "aws" in cluster["spec"]["provider"],
        "policy": policy,
        "policy_markup": highlighting.highlighted(policy) if policy is not None else "",
        "sharers": len(policy["Statement"]) if policy is not None else 0,
        "permissions": permissions,
        "permissions_markup": highlighting.highlighted(permissions) if permissions is not None else "",
        "checklist": items,
        "open": any(item.mark is not Mark.DONE for item in items),
        "iam": registries.get("iam"),
    }


def checklist(registries: Json, commands: Mapping[str, str]) -> tuple[Item, ...]:
    """What AWS needs for awsECR; done only where a walk from inside the cluster came past it."""
    refused = registries.get("refusedSoFar")
    refused = refused if refused and refused["code"] in ISSUES else None
    codes = {issue["code"]: issue["message"] for issue in registries["issues"]}
    if refused:
        codes = {refused["code"]: f"Refused so far: {refused['message']}"}
    verified = any(
        condition["type"] == "CredentialsVerified" and condition["status"] == "True"
        for condition in registries["conditions"]
    )
    failing = next((index for index, (_, _, wrong) in enumerate(_ITEMS) if wrong & codes.keys()), None)
    found = []
    for index, (key, title, wrong) in enumerate(_ITEMS):
        command = commands.get(key, "")
        if index == failing:
            mark = Mark.BUSY if refused else Mark.FAILED
            words = next(codes[code] for code in codes if code in wrong)
        elif (verified and failing is None) or (failing is not None and index < failing):
            mark, words, command = Mark.DONE, "Seen from inside the cluster.", ""
        else:
            mark, words = Mark.WAITING, "Not seen yet."
            # Whoever makes the provider names the audience with it.
            command = "" if key == "audience" else command
        found.append(Item(key, title, mark, words, command))
    return tuple(found)


def _commands(role: str, policy: Json, permissions: Json | None, url: str, audience: str) -> dict[str, str]:
    """One command for each item, whole: nothing has to be saved or filled in before."""
    name = shlex.quote(role.rpartition("/")[2] or _NEW_ROLE)
    provider_arn = policy["Statement"][0]["Principal"]["Federated"]
    partition = provider_arn.split(":")[1]
    document = shlex.quote(_compact(policy))
    if role:
        trust = f"aws iam update-assume-role-policy --role-name {name} --policy-document {document}"
    else:
        account = "$(aws sts get-caller-identity --query Account --output text)"
        filled = f'"$(printf %s {document} | sed "s/[$]{{AWS_ACCOUNT_ID}}/{account}/g")"'
        trust = (
            f"aws iam create-role --role-name {name} --query Role.Arn --output text"
            f" --assume-role-policy-document {filled}"
        )
    if permissions is None:
        managed = f"arn:{partition}:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
        may_pull = f"aws iam attach-role-policy --role-name {name} --policy-arn {managed}"
    else:
        may_pull = (
            f"aws iam put-role-policy --role-name {name} --policy-name pullpass-pull"
            f" --policy-document {shlex.quote(_compact(permissions))}"
        )
    quoted_audience = shlex.quote(audience)
    return {
        "provider": f"aws iam create-open-id-connect-provider --url {shlex.quote(url)}"
        f" --client-id-list {quoted_audience}",
        "audience": "aws iam add-client-id-to-open-id-connect-provider"
        f" --open-id-connect-provider-arn {shlex.quote(provider_arn)} --client-id {quoted_audience}"
        if _ACCOUNT not in provider_arn
        else "",
        "trust": trust,
        "permissions": may_pull,
    }


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
