"""From a stored connection to a client, and the first questions a cluster is asked.

Called by `controller.cluster`, which keeps one client per cluster until the connection changes.
"""

from __future__ import annotations

import re
from dataclasses import replace

from controller.addons.addon import Server
from controller.admission_policies import POLICIES
from controller.outcomes import Obstacle
from controller.rights import BOUND_ROLES, EKS_WEBHOOK, NODE_AUDIENCE_ROLE, TOKEN_AUDIENCE_VERB
from kube.client import Access, Client
from kube.errors import NotFound
from kube.objects import (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    CLUSTER_ROLE,
    MUTATING_WEBHOOK,
    Kind,
    Object,
)
from schemas.connection import Connection

OLDEST = (1, 30)  # the first with ValidatingAdmissionPolicy (admissionregistration.k8s.io/v1)

_INSTALLED = (
    *((CLUSTER_ROLE, name) for name in BOUND_ROLES),
    *((ADMISSION_POLICY, name) for name in POLICIES),
    *((ADMISSION_POLICY_BINDING, name) for name in POLICIES),
)


def access_of(connection: Connection, *, allow_loopback: bool) -> Access:
    """How `kube` dials what `schemas` read."""
    return Access(
        server=connection.server,
        certificate_authority=connection.certificate_authority,
        token=connection.token,
        client_certificate=connection.client_certificate,
        client_key=connection.client_key,
        tls_server_name=connection.tls_server_name,
        proxy=connection.proxy,
        timeout_seconds=connection.timeout_seconds,
        allow_loopback=allow_loopback,
    )


def check_version(client: Client) -> Server:
    """What the server is; raises `Obstacle` for a Kubernetes that lacks what keeps the agent within its bounds."""
    answer = client.read_path("/version")
    major, minor = (
        int(found.group()) if (found := re.match(r"\d+", str(answer.get(part) or ""))) else 0
        for part in ("major", "minor")
    )
    named = str(answer.get("gitVersion") or "")
    if (major, minor) < OLDEST:
        raise Obstacle(
            "KubernetesTooOld", f"the API server is older than {OLDEST[0]}.{OLDEST[1]}", VERSION=named
        )
    return Server((major, minor), named)


def check_rights(client: Client, server: Server) -> Server:
    """`server` with what else is asked of it; raises `Obstacle` when something that `pullpass connect` installed is gone."""
    found: dict[tuple[Kind, str], Object] = {}
    for kind, name in _INSTALLED:
        try:
            found[kind, name] = client.get(kind, name)
        except NotFound:
            raise Obstacle("RightsMissing", f"{kind.kind} {name} is gone") from None
    audiences = {
        audience
        for rule in found[CLUSTER_ROLE, NODE_AUDIENCE_ROLE].get("rules") or ()
        if TOKEN_AUDIENCE_VERB in (rule.get("verbs") or ())
        for audience in rule.get("resources") or ()
    }
    return replace(server, token_audiences=frozenset(audiences), has_eks_webhook=_has_eks_webhook(client))


def _has_eks_webhook(client: Client) -> bool:
    try:
        client.get(MUTATING_WEBHOOK, EKS_WEBHOOK)
    except NotFound:
        return False
    return True
