"""An add-on's way from switched on to Ready, in steps; and what of AWS's side was really seen to be done. Pure.

Made from the conditions and issues that the API shows; nothing here guesses. Called by `web.cluster_page`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class Mark(StrEnum):
    """How far a step or an item is."""

    DONE = "done"
    BUSY = "busy"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True)
class Step:
    """One step; `words` are those of the condition behind it."""

    name: str
    mark: Mark
    words: str


@dataclass(frozen=True)
class Item:
    """One thing to be done in AWS; `words` say by what its mark is known."""

    key: str
    title: str
    mark: Mark
    words: str


_STEPS = (
    ("Reach the cluster", "Reachable"),
    ("Discover the issuer", "IssuerUsable"),
    ("Install the agent", "Installed"),
    ("Prepare the nodes", "NodesReady"),
    ("Verify a pull", "CredentialsVerified"),
)
_UNDER_WAY = frozenset({"Installing", "Removing"})
_HOPELESS = frozenset({"Blocked", "Failed"})

# Which issue tells that an item is not done; each later item was not reached then.
_ITEMS = (
    (
        "provider",
        "IAM knows this cluster's OIDC provider",
        frozenset({"OidcProviderMissing", "VerificationKeyUnavailable", "IdentityProviderUnreachable"}),
    ),
    ("audience", "The provider accepts the audience", frozenset({"AudienceNotAllowed", "AudienceAmbiguous"})),
    ("trust", "The role trusts this cluster", frozenset({"TrustPolicyMismatch"})),
    (
        "permissions",
        "The role may pull",
        frozenset({"EcrAccessDenied", "EcrPublicAccessDenied", "RegistryAccessDenied"}),
    ),
)


def steps(add_on: Json) -> tuple[Step, ...]:
    """The steps of an add-on, each with the mark of its condition; those behind the first that is not done wait."""
    conditions = {condition["type"]: condition for condition in add_on["conditions"]}
    found: list[Step] = []
    stopped = False
    for name, kind in _STEPS:
        condition = conditions.get(kind)
        if condition is None:
            continue
        mark = Mark.WAITING if stopped else _mark(condition, add_on["state"])
        # Pull secrets serve where nodes do not, so nodes hold nothing up.
        stopped = stopped or (mark is not Mark.DONE and kind != "NodesReady")
        found.append(Step(name, mark, "" if mark is Mark.WAITING else condition["message"]))
    return tuple(found)


def under_way(add_ons: Sequence[Json]) -> bool:
    """Whether something changes by itself now, so that a page looks again soon."""
    return any(add_on["state"] in _UNDER_WAY for add_on in add_ons)


def checklist(registries: Json) -> tuple[Item, ...]:
    """What AWS needs for awsECR; done only where a walk from inside the cluster came past it."""
    codes = {issue["code"]: issue["message"] for issue in registries["issues"]}
    verified = any(
        condition["type"] == "CredentialsVerified" and condition["status"] == "True"
        for condition in registries["conditions"]
    )
    failing = next((index for index, (_, _, wrong) in enumerate(_ITEMS) if wrong & codes.keys()), None)
    found = []
    for index, (key, title, wrong) in enumerate(_ITEMS):
        if index == failing:
            mark, words = Mark.FAILED, next(codes[code] for code in codes if code in wrong)
        elif verified or (failing is not None and index < failing):
            mark, words = Mark.DONE, "seen from inside the cluster"
        else:
            mark, words = Mark.WAITING, "not checked yet"
        found.append(Item(key, title, mark, words))
    return tuple(found)


def _mark(condition: Json, state: str) -> Mark:
    if condition["status"] == "True":
        return Mark.DONE
    if condition["status"] == "False" and state in _HOPELESS:
        return Mark.FAILED
    return (
        Mark.BUSY if state in _UNDER_WAY else Mark.FAILED if condition["status"] == "False" else Mark.WAITING
    )
