"""Remedies that are a change of the manifest, or a yes of an admin: as a button or a small form beside the issue.

Each is one call of the API, the same that the issue's own command makes; the rules stay there. Pure but for `apply`,
which `web.cluster_page` calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.records import Principal, Role
from web.api import Api

Json = Any


@dataclass(frozen=True)
class Remedy:
    """`key` is what the form sends; `field` the one text it asks for ("": a button alone); `note` says what follows.

    `change` makes the PATCH of the cluster from the form. None: it is no change of the manifest (`apply` knows).
    """

    key: str
    label: str
    note: str = ""
    field: str = ""
    role: Role = Role.EDITOR
    change: Callable[[Mapping[str, str]], Json] | None = None


def _settings(add_on: str, **members: Any) -> Callable[[Mapping[str, str]], Json]:
    return lambda _: {"settings": {add_on: members}}


def _role(form: Mapping[str, str]) -> Json:
    return {"spec": {"addOns": {"awsECR": {"roleArn": form.get("roleArn", "").strip()}}}}


def _registries(form: Mapping[str, str]) -> Json:
    hosts = form.get("registries", "").replace(",", " ").split()
    return {"settings": {"awsECR": {"registries": hosts}}}


CHANGE_ROLE = Remedy("set-role", "Use this role", field="roleArn", change=_role)
BY_CODE: Mapping[str, Remedy] = {
    "IssuerNotUsable": Remedy(
        "publish-issuer",
        "Let the hub publish the issuer",
        "The hub serves the cluster's public keys under its own https:// address. Flags for the API server come next.",
        change=_settings("awsWorkloadIdentity", issuer="published"),
    ),
    "IssuerKeysChanged": Remedy(
        "accept-keys",
        "Accept the new keys",
        "Only if the change is yours: whoever holds these keys can sign as any workload of the cluster. The old ones"
        " stay served beside them.",
        role=Role.ADMIN,
    ),
    "RoleArnMissing": CHANGE_ROLE,
    "RegistriesUnknown": Remedy(
        "set-registries", "Use these registries", field="registries", change=_registries
    ),
    "NodeUnsupported": Remedy(
        "use-pull-secrets",
        "Leave nodes alone, use pull secrets",
        "Nodes that get credentials themselves give back what was put there, one kubelet restart each.",
        change=_settings("awsECR", delivery="pullSecret"),
    ),
    "NodeWaiting": Remedy(
        "restart-device-nodes",
        "Let kubelets restart under pods with devices",
        "Pods that hold devices can be rejected when the kubelet comes back before its device plugin.",
        change=_settings("awsECR", node={"restartDeviceNodes": True}),
    ),
    "KubernetesTooOldForServiceAccounts": Remedy(
        "share-identity",
        "Let all workloads share one identity",
        "Each workload then pulls with the role of awsECR.",
        change=_settings("awsECR", identity="shared"),
    ),
}
# These are mended by connecting anew, which has a page of its own.
BY_CONNECTING = frozenset(
    {"ConnectionMissing", "ConnectionExpiring", "CredentialRefused", "ClusterUnreachable", "RightsMissing"}
)
# What these wait for is told to the hub, which notices by itself.
NOT_BY_LOOKING = frozenset({"ConnectionMissing", "RoleArnMissing", "PublicUrlMissing", "TrustPolicyTooLong"})
_BY_KEY = {remedy.key: remedy for remedy in BY_CODE.values()}


def apply(api: Api, who: Principal, name: str, form: Mapping[str, str]) -> bool:
    """Applies the remedy that the form names; False when there is none of that name.

    Raises:
        web.api.Refused: the API refused it.
    """
    remedy = _BY_KEY.get(form.get("remedy", ""))
    if remedy is None:
        return False
    if remedy.change is None:
        body = {"fingerprint": form.get("fingerprint", "")}
        api.call(who, "POST", "mk8s", name, "-issuer", "accept", body=body)
    else:
        api.call(who, "PATCH", "mk8s", name, body=remedy.change(form))
    return True
