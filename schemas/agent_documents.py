"""The two documents between hub and agent, versioned because the two are upgraded apart.

The hub writes `AgentConfiguration` into ConfigMap `pullpass-agent` (key `configuration.json`); the agent
writes `AgentReport` into ConfigMap `pullpass-status` (key `report.json`). Both in namespace `pullpass-system`.
A reader ignores members it does not know; a writer never changes the meaning of a member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from schemas.addons.aws_ecr import PullSecret
from schemas.connection import AwsAccess, aws_access_from_json, aws_access_to_json
from schemas.node_documents import ReportedNodes, reported_nodes_from_json, reported_nodes_to_json
from schemas.stored import Members, canonical_text, read_text
from schemas.times import format_time

NAMESPACE_NAME = "pullpass-system"
HUB_ACCOUNT = "pullpass-hub"
AGENT_ACCOUNT = "pullpass-agent"
CONFIGURATION_NAME = "pullpass-agent"
CONFIGURATION_KEY = "configuration.json"
REPORT_NAME = "pullpass-status"
REPORT_KEY = "report.json"
DOCUMENT_VERSION = 1  # raised only when an older reader would misread
SECRET_NAME = "pullpass-ecr"  # noqa: S105 - the name of an object

NAMESPACE_ERROR_LIMIT = 20
_NAME_LIMIT = 253  # the longest name Kubernetes and DNS know
_MESSAGE_LIMIT = 1000
_LIST_LIMIT = 200
_HOP_LIMIT = 8


@dataclass(frozen=True)
class AgentConfiguration:
    """What the agent is to do.

    `generation` counts the hub's changes and comes back in the report. `removing` asks the agent to give back
    everything. `registries` are hosts; empty: the agent reads them off the images of the pods it sees.
    `region` is where STS is called: the first registry's, when None.

    `pull_secrets` is `always`, `never` or `rest`: as long as some node has no credentials of its own. `nodes` is
    `none` (no drivers), `serving` or `leaving` (drivers give back what they did); `node_selector` as in
    `NodeConfiguration`.
    """

    generation: int
    cluster_uid: str
    organisation: str
    cluster: str
    removing: bool
    role_arn: str
    audience: str
    region: str | None
    registries: tuple[str, ...]
    verify_image: str | None = None
    pull_secret: PullSecret = field(default_factory=PullSecret)
    aws: AwsAccess = field(default_factory=AwsAccess)
    pull_secrets: str = "always"
    nodes: str = "none"
    node_selector: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportedHop:
    """One hop of the walk token → sts → ecr → registry.

    `code` is an issue code of `schemas.issues` ("" where it succeeded); `message` holds AWS's own words.
    """

    name: str
    succeeded: bool
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class ReportedCredential:
    """One region's ECR credential, which serves all `registries` of that region."""

    region: str
    registries: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class NamespaceError:
    """One namespace that does not have what it should; `code` as in `schemas.issues`."""

    namespace: str
    code: str
    message: str


@dataclass(frozen=True)
class AgentReport:
    """What the agent did and saw.

    `generation` is the configuration's that it speaks of; `removed` is true once everything was given back.
    `hops` is the last walk, `verified_at` the last time all of it succeeded. At most 20 `namespace_errors`
    are listed, `namespaces_selected` and `namespaces_ready` count all. `pull_secrets` tells whether the agent makes
    them now. `nodes` is None where there are no drivers, or nothing is known of them yet.
    """

    generation: int
    agent_version: str
    written_at: datetime
    removed: bool = False
    registries: tuple[str, ...] = ()
    hops: tuple[ReportedHop, ...] = ()
    verified_at: datetime | None = None
    credentials: tuple[ReportedCredential, ...] = ()
    namespaces_selected: int = 0
    namespaces_ready: int = 0
    namespace_errors: tuple[NamespaceError, ...] = ()
    pull_secrets: bool = True
    nodes: ReportedNodes | None = None


def labels(cluster_uid: str, add_on: str) -> Mapping[str, str]:
    """The labels every object of ours carries in a cluster."""
    return {
        "app.kubernetes.io/managed-by": "pullpass",
        "pullpass.dev/cluster": cluster_uid,
        "pullpass.dev/add-on": add_on,
    }


def dump_configuration(configuration: AgentConfiguration) -> str:
    """Canonical JSON text (sorted keys): equal configurations give equal text."""
    pull_secret = configuration.pull_secret
    accounts = pull_secret.service_accounts
    return canonical_text(
        {
            "version": DOCUMENT_VERSION,
            "generation": configuration.generation,
            "clusterUid": configuration.cluster_uid,
            "organisation": configuration.organisation,
            "cluster": configuration.cluster,
            "removing": configuration.removing,
            "roleArn": configuration.role_arn,
            "audience": configuration.audience,
            "region": configuration.region,
            "registries": list(configuration.registries),
            "verifyImage": configuration.verify_image,
            "pullSecret": {
                "namespaces": list(pull_secret.namespaces),
                "namespaceSelector": dict(pull_secret.namespace_selector),
                "excludeNamespaces": list(pull_secret.exclude_namespaces),
                "serviceAccounts": accounts if isinstance(accounts, str) else list(accounts),
            },
            "aws": aws_access_to_json(configuration.aws),
            "pullSecrets": configuration.pull_secrets,
            "nodes": configuration.nodes,
            "nodeSelector": dict(configuration.node_selector),
        }
    )


def load_configuration(text: str) -> AgentConfiguration:
    """Raises `ValueError`, naming the member, when the text is no configuration of a version we read."""
    members = _versioned(text)
    return AgentConfiguration(
        generation=members.integer("generation"),
        cluster_uid=members.text("clusterUid"),
        organisation=members.text("organisation"),
        cluster=members.text("cluster"),
        removing=members.boolean("removing"),
        role_arn=members.text("roleArn"),
        audience=members.text("audience"),
        region=members.optional_text("region"),
        registries=members.texts("registries"),
        verify_image=members.optional_text("verifyImage"),
        pull_secret=_pull_secret(members.member("pullSecret")),
        aws=aws_access_from_json(members.member("aws")),
        pull_secrets=members.text("pullSecrets", "always"),
        nodes=members.text("nodes", "none"),
        node_selector=members.text_map("nodeSelector"),
    )


def dump_report(report: AgentReport) -> str:
    """Canonical JSON text (sorted keys)."""
    return canonical_text(
        {
            "version": DOCUMENT_VERSION,
            "generation": report.generation,
            "agentVersion": report.agent_version,
            "writtenAt": format_time(report.written_at),
            "removed": report.removed,
            "registries": list(report.registries),
            "hops": [
                {"name": hop.name, "succeeded": hop.succeeded, "code": hop.code, "message": hop.message}
                for hop in report.hops
            ],
            "verifiedAt": None if report.verified_at is None else format_time(report.verified_at),
            "credentials": [
                {
                    "region": credential.region,
                    "registries": list(credential.registries),
                    "issuedAt": format_time(credential.issued_at),
                    "expiresAt": format_time(credential.expires_at),
                }
                for credential in report.credentials
            ],
            "namespacesSelected": report.namespaces_selected,
            "namespacesReady": report.namespaces_ready,
            "namespaceErrors": [
                {"namespace": error.namespace, "code": error.code, "message": error.message}
                for error in report.namespace_errors
            ],
            "pullSecrets": report.pull_secrets,
            "nodes": None if report.nodes is None else reported_nodes_to_json(report.nodes),
        }
    )


def load_report(text: str) -> AgentReport:
    """The report, cut to sizes that are safe to store and show: whoever rules the cluster wrote it.

    Raises:
        ValueError: the text is no report of a version we read; the message names the member.
    """
    members = _versioned(text)
    return AgentReport(
        generation=members.integer("generation"),
        agent_version=members.text("agentVersion")[:_NAME_LIMIT],
        written_at=members.time("writtenAt"),
        removed=members.boolean("removed", default=False),
        registries=_names(members, "registries"),
        hops=tuple(
            ReportedHop(
                name=hop.text("name")[:_NAME_LIMIT],
                succeeded=hop.boolean("succeeded"),
                code=hop.text("code", "")[:_NAME_LIMIT],
                message=hop.text("message", "")[:_MESSAGE_LIMIT],
            )
            for hop in islice(members.list_of_members("hops"), _HOP_LIMIT)
        ),
        verified_at=members.optional_time("verifiedAt"),
        credentials=tuple(
            ReportedCredential(
                region=credential.text("region")[:_NAME_LIMIT],
                registries=_names(credential, "registries"),
                issued_at=credential.time("issuedAt"),
                expires_at=credential.time("expiresAt"),
            )
            for credential in islice(members.list_of_members("credentials"), _LIST_LIMIT)
        ),
        namespaces_selected=members.integer("namespacesSelected", 0),
        namespaces_ready=members.integer("namespacesReady", 0),
        namespace_errors=tuple(
            NamespaceError(
                namespace=error.text("namespace")[:_NAME_LIMIT],
                code=error.text("code")[:_NAME_LIMIT],
                message=error.text("message", "")[:_MESSAGE_LIMIT],
            )
            for error in islice(members.list_of_members("namespaceErrors"), NAMESPACE_ERROR_LIMIT)
        ),
        pull_secrets=members.boolean("pullSecrets", default=True),
        nodes=reported_nodes_from_json(members.member("nodes")) if members.has("nodes") else None,
    )


def _versioned(text: str) -> Members:
    members = read_text(text)
    version = members.integer("version")
    if version != DOCUMENT_VERSION:
        raise ValueError(f"version: expected {DOCUMENT_VERSION}, got {version}")
    return members


def _names(members: Members, key: str) -> tuple[str, ...]:
    return tuple(name[:_NAME_LIMIT] for name in members.texts(key)[:_LIST_LIMIT])


def _pull_secret(members: Members) -> PullSecret:
    return PullSecret(
        namespaces=members.texts("namespaces"),
        namespace_selector=members.text_map("namespaceSelector"),
        exclude_namespaces=members.texts("excludeNamespaces"),
        service_accounts=members.text_or_texts("serviceAccounts"),
    )
