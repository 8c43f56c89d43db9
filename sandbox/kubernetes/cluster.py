"""One cluster of the sandbox: its objects, its keys, and what a real one is born with."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.kubernetes import rbac
from sandbox.kubernetes.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    NAMESPACE,
    NODE,
    POD,
    RBAC_GROUP,
    SECRET,
    SERVICE_ACCOUNT,
    Target,
)
from sandbox.kubernetes.reads import Reader
from sandbox.kubernetes.statuses import StatusError, cause, conflict, not_found
from sandbox.kubernetes.store import Object, Store, timestamp
from sandbox.kubernetes.tokens import Bearer, SigningKey, TokenAuthority
from sandbox.kubernetes.writes import Request, Writer

_MINIMUM_TOKEN_SECONDS = 600
_SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


@dataclass(frozen=True)
class ClusterSettings:
    """How a cluster is set up. `maximum_token_seconds`: longer TokenRequests are cut, as EKS does at a day."""

    issuers: tuple[str, ...]
    admin_token: str = field(repr=False)
    signing_key: str | None = field(default=None, repr=False)  # PEM; made when None
    maximum_token_seconds: int | None = None


class Cluster:
    """Store, tokens, reads and writes of one cluster. `root_certificate` (PEM) is its API server's CA."""

    def __init__(self, settings: ClusterSettings, root_certificate: str) -> None:
        self.admin_token = settings.admin_token
        self.store = Store()
        self.tokens = TokenAuthority(SigningKey(settings.signing_key), list(settings.issuers))
        self.reader = Reader(self.store)
        self.writer = Writer(self.store, root_certificate)
        self.maximum_token_seconds = settings.maximum_token_seconds
        # The webhook that a bearer token is shown to which is none of the cluster's own: EKS has one, for IAM.
        self.token_webhook: Callable[[str], rbac.User | None] = lambda _token: None

    def bootstrap(self, provider_id: str = "") -> None:
        """The namespaces, roles and two nodes of a new cluster. `provider_id` is the prefix of the nodes' own."""
        request = controller_request("kube-apiserver")
        for name in _SYSTEM_NAMESPACES:
            self.writer.create(Target(NAMESPACE, "", ""), {"metadata": {"name": name}}, request)
        for kind, objects in ((CLUSTER_ROLE, _roles()), (CLUSTER_ROLE_BINDING, _bindings())):
            for obj in objects:
                self.writer.create(Target(kind, "", ""), obj, request)
        for number in (1, 2):
            self.writer.create(Target(NODE, "", ""), _node(number, provider_id), request)

    def is_alive(self, bearer: Bearer) -> bool:
        """Whether the account, and the object its token is bound to, are the ones the token was made for."""
        account = self.store.get(SERVICE_ACCOUNT, bearer.namespace, bearer.name)
        if account is None or account.metadata["uid"] != bearer.uid:
            return False
        if bearer.bound is None:
            return True
        kind, name, uid = bearer.bound
        bound = self.store.get(POD if kind == "pod" else SECRET, bearer.namespace, name)
        return bound is not None and bound.metadata["uid"] == uid

    def request_token(self, target: Target, body: Object, now: datetime) -> Object:
        """TokenRequest (authentication.k8s.io/v1).

        Raises:
            StatusError: 404 without the account, 409 for another bound object, 422 for a life under 10 minutes.
        """
        account = self.store.get(SERVICE_ACCOUNT, target.namespace, target.name)
        if account is None:
            raise not_found(SERVICE_ACCOUNT, target.name)
        spec = body.get("spec") or {}
        seconds = spec.get("expirationSeconds") or 3600
        if seconds < _MINIMUM_TOKEN_SECONDS:
            raise _too_short(seconds)
        if self.maximum_token_seconds is not None:
            seconds = min(seconds, self.maximum_token_seconds)
        audiences = spec.get("audiences") or self.tokens.audiences
        reference = spec.get("boundObjectRef")
        token = self.tokens.issue(
            namespace=target.namespace,
            account={"name": target.name, "uid": account.metadata["uid"]},
            audiences=audiences,
            seconds=seconds,
            now=now,
            bound=self._bound(target.namespace, reference) if reference else None,
        )
        identity = {key: account.metadata[key] for key in ("name", "namespace", "uid")}
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": identity | {"creationTimestamp": timestamp(now)},
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": reference},
            "status": {"token": token, "expirationTimestamp": timestamp(now + timedelta(seconds=seconds))},
        }

    def _bound(self, namespace: str, reference: Object) -> dict[str, dict[str, str]]:
        kind = {"Pod": POD, "Secret": SECRET}.get(reference.get("kind", ""))
        if kind is None:
            message = f"cannot bind token for serviceaccount to type {reference.get('kind')}"
            raise StatusError(400, "BadRequest", message)
        name = reference.get("name", "")
        stored = self.store.get(kind, namespace, name)
        if stored is None:
            raise not_found(kind, name)
        uid = reference.get("uid") or stored.metadata["uid"]
        if uid != stored.metadata["uid"]:
            why = f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            raise conflict(kind, name, why)
        claims = {reference["kind"].lower(): {"name": name, "uid": uid}}
        node = self.store.get(NODE, "", stored.object.get("spec", {}).get("nodeName", ""))
        if node is not None:
            claims["node"] = {"name": node.key[1], "uid": node.metadata["uid"]}
        return claims

    def snapshot(self) -> dict[str, Any]:
        """All there is to keep, as JSON."""
        kept = self.store.snapshot()
        return kept | {
            "issuers": self.tokens.issuers,
            "adminToken": self.admin_token,
            "signingKey": self.tokens.key.pem(),
        }


def controller_request(name: str) -> Request:
    """A write by one of the cluster's own controllers."""
    return Request(rbac.User(f"system:{name}", (rbac.MASTERS,)), name, datetime.now(UTC))


def new_admin_token() -> str:
    """A bearer token nobody can guess."""
    return secrets.token_urlsafe(32)


def _too_short(seconds: int) -> StatusError:
    why = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
    causes = [cause("FieldValueInvalid", "spec.expirationSeconds", why)]
    details = {"group": "authentication.k8s.io", "kind": "TokenRequest", "causes": causes}
    message = f'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: {why}'
    return StatusError(422, "Invalid", message, details)


_HEALTH_PATHS = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_OIDC_PATHS = [
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/",
    "/openid/v1/jwks",
    "/openid/v1/jwks/",
]


def _roles() -> list[Object]:
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    return [
        _role("cluster-admin", [everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}]),
        _role(
            "system:discovery",
            [
                {
                    "verbs": ["get"],
                    "nonResourceURLs": [
                        "/api",
                        "/api/*",
                        "/apis",
                        "/apis/*",
                        "/healthz",
                        "/livez",
                        "/openapi",
                        "/openapi/*",
                        "/readyz",
                        "/version",
                        "/version/",
                    ],
                }
            ],
        ),
        _role("system:public-info-viewer", [{"verbs": ["get"], "nonResourceURLs": _HEALTH_PATHS}]),
        _role(
            "system:service-account-issuer-discovery", [{"verbs": ["get"], "nonResourceURLs": _OIDC_PATHS}]
        ),
    ]


def _role(name: str, rules: list[Object]) -> Object:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "rules": rules,
    }


def _bindings() -> list[Object]:
    bound = {
        "cluster-admin": [rbac.MASTERS],
        "system:discovery": ["system:authenticated"],
        "system:public-info-viewer": ["system:authenticated", "system:unauthenticated"],
        "system:service-account-issuer-discovery": ["system:serviceaccounts"],
    }
    return [
        {
            "metadata": {"name": role, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": RBAC_GROUP, "kind": "Group", "name": group} for group in groups],
        }
        for role, groups in bound.items()
    ]


def _node(number: int, provider_id: str) -> Object:
    name = f"node-{number}"
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": f"{provider_id}{name}"} if provider_id else {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"kubeletVersion": "v1.34.4", "architecture": "amd64", "operatingSystem": "linux"},
        },
    }
