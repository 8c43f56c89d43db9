"""The documents between hub and agent, versioned because the two are upgraded apart.

The hub writes `AgentConfiguration` into ConfigMap `pullpass-agent` (key `configuration.json`), beside the one of
`schemas.pod_identity_documents`; the agent writes `AgentReport` into ConfigMap `pullpass-status` (key `report.json`).
All of them in namespace `pullpass-system`.
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
from schemas.pull_secret_documents import pull_secret_from_json, pull_secret_to_json
from schemas.reported import (
    ReportedFailure,
    ReportedRefusal,
    ReportedWebhook,
    failure_from_json,
    failure_to_json,
    refusal_from_json,
    refusal_to_json,
    webhook_from_json,
    webhook_to_json,
)
from schemas.stored import Members, canonical_text, read_versioned
from schemas.times import format_time

NAMESPACE_NAME = "pullpass-system"
HUB_ACCOUNT = "pullpass-hub"
SHARED_ADD_ON = "awsWorkloadIdentity"  # on what the add-ons share: every one that needs the agent requires it
AGENT_ACCOUNT = "pullpass-agent"
CONFIGURATION_NAME = "pullpass-agent"
CONFIGURATION_KEY = "configuration.json"
REPORT_NAME = "pullpass-status"
REPORT_KEY = "report.json"
DOCUMENT_VERSION = 1  # raised only when an older reader would misread
SECRET_NAME = PullSecret.name
CREDENTIALS_NAME = "pullpass-credentials"  # the Secret in which the agent keeps what it got of AWS
WEBHOOK_SECRET_NAME = "pullpass-webhook"  # noqa: S105 - the name of an object
LEASE_NAME = "pullpass-agent"
SERVICE_NAME = "pullpass-agent"
WEBHOOK_NAME = "pullpass-agent"  # the MutatingWebhookConfiguration of awsECR
LABELLED_SECRETS_PATH = "/labelled-secrets"
PODS_PATH = "/pods"

NAMESPACE_ERROR_LIMIT = 20
FAILURE_LIMIT = 20
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

    `pull_secrets` is about the add-on's own secrets (those that `registries` fill): `always`, `never` or `rest`: as
    long as some node has no credentials of its own. Custom resources, adopted ones and labelled secrets are served all
    the same. `nodes` is `none` (no drivers), `serving` or `leaving` (drivers give back what they did); `node_selector`
    as in `NodeConfiguration`.

    `role_arn` is "" where only objects that name an identity of their own are served. `wide_secrets`: the agent may
    read and write secrets of any name in the namespaces of the users, else only `SECRET_NAME`.
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
    wide_secrets: bool = False


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
    """One ECR credential, which serves all `registries` of its region (`public` for ECR Public).

    `identity` says in words whose it is (`agent.secrets.identity.Identity.named`); "" from agents that knew only one.
    """

    region: str
    registries: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    identity: str = ""


@dataclass(frozen=True)
class NamespaceError:
    """One object that is not as it should be; `code` as in `schemas.issues`.

    `namespace` is "" for an error of a whole claim. `secret` is the name of the secret that it is about. `claim` is
    the word of the annotation `pullpass.dev/claim` (`add-on`, `public`, `custom/NAME`, `adopted/NAME`), or `labelled`.
    """

    namespace: str
    code: str
    message: str
    secret: str = SECRET_NAME
    claim: str = "add-on"


@dataclass(frozen=True)
class AgentReport:
    """What the agent did and saw.

    `generation` is the configuration's that it speaks of; `removed` is true once everything was given back.
    `hops` is the last walk, `verified_at` the last time all of it succeeded. At most 20 `namespace_errors`
    are listed, `namespaces_selected` and `namespaces_ready` count all that the add-on's own secrets are for.
    `pull_secrets` tells whether the agent makes them now. `nodes` is None where there are no drivers, or nothing is
    known of them yet.

    `custom_resources` are (all, those that are ready) of ECRPullSecrets and adopted objects, `labelled_secrets` (all,
    those that are filled); None where they are neither asked for nor left to be given back. `leader` is the pod that
    wrote this. `elsewhere` counts secrets of ours by other names than `SECRET_NAME`, labelled ones not counted: the
    agent needs `wide_secrets` until there are none. `refused_so_far`: the add-on's own walk, which IAM refuses since the
    last change; it is asked again every few seconds. With no `AgentConfiguration` there, `generation` is the
    `PodIdentityConfiguration`'s.
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
    failures: tuple[ReportedFailure, ...] = ()
    custom_resources: tuple[int, int] | None = None
    labelled_secrets: tuple[int, int] | None = None
    leader: str = ""
    webhook: ReportedWebhook | None = None
    elsewhere: int = 0
    refused_so_far: ReportedRefusal | None = None


def labels(cluster_uid: str, add_on: str) -> Mapping[str, str]:
    """The labels every object of ours carries in a cluster."""
    return {
        "app.kubernetes.io/managed-by": "pullpass",
        "pullpass.dev/cluster": cluster_uid,
        "pullpass.dev/add-on": add_on,
    }


def dump_configuration(configuration: AgentConfiguration) -> str:
    """Canonical JSON text (sorted keys): equal configurations give equal text."""
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
            "pullSecret": pull_secret_to_json(configuration.pull_secret),
            "aws": aws_access_to_json(configuration.aws),
            "pullSecrets": configuration.pull_secrets,
            "nodes": configuration.nodes,
            "nodeSelector": dict(configuration.node_selector),
            "wideSecrets": configuration.wide_secrets,
        }
    )


def load_configuration(text: str) -> AgentConfiguration:
    """Raises `ValueError`, naming the member, when the text is no configuration of a version we read."""
    members = read_versioned(text, DOCUMENT_VERSION)
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
        pull_secret=pull_secret_from_json(members.member("pullSecret")),
        aws=aws_access_from_json(members.member("aws")),
        pull_secrets=members.text("pullSecrets", "always"),
        nodes=members.text("nodes", "none"),
        node_selector=members.text_map("nodeSelector"),
        wide_secrets=members.boolean("wideSecrets", default=False),
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
                    "identity": credential.identity,
                }
                for credential in report.credentials
            ],
            "namespacesSelected": report.namespaces_selected,
            "namespacesReady": report.namespaces_ready,
            "namespaceErrors": [
                {
                    "namespace": error.namespace,
                    "code": error.code,
                    "message": error.message,
                    "secret": error.secret,
                    "claim": error.claim,
                }
                for error in report.namespace_errors
            ],
            "pullSecrets": report.pull_secrets,
            "nodes": None if report.nodes is None else reported_nodes_to_json(report.nodes),
            "failures": [failure_to_json(failure) for failure in report.failures],
            "customResources": _counts_to_json(report.custom_resources, "ready"),
            "labelledSecrets": _counts_to_json(report.labelled_secrets, "filled"),
            "leader": report.leader,
            "webhook": None if report.webhook is None else webhook_to_json(report.webhook),
            "elsewhere": report.elsewhere,
            "refusedSoFar": None if report.refused_so_far is None else refusal_to_json(report.refused_so_far),
        }
    )


def load_report(text: str) -> AgentReport:
    """The report, cut to sizes that are safe to store and show: whoever rules the cluster wrote it.

    Raises:
        ValueError: the text is no report of a version we read; the message names the member.
    """
    members = read_versioned(text, DOCUMENT_VERSION)
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
                identity=credential.text("identity", "")[:_NAME_LIMIT],
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
                secret=error.text("secret", SECRET_NAME)[:_NAME_LIMIT],
                claim=error.text("claim", "add-on")[:_NAME_LIMIT],
            )
            for error in islice(members.list_of_members("namespaceErrors"), NAMESPACE_ERROR_LIMIT)
        ),
        pull_secrets=members.boolean("pullSecrets", default=True),
        nodes=reported_nodes_from_json(members.member("nodes")) if members.has("nodes") else None,
        failures=tuple(
            failure_from_json(failure)
            for failure in islice(members.list_of_members("failures"), FAILURE_LIMIT)
        ),
        custom_resources=_counts(members, "customResources", "ready"),
        labelled_secrets=_counts(members, "labelledSecrets", "filled"),
        leader=members.text("leader", "")[:_NAME_LIMIT],
        webhook=webhook_from_json(members.member("webhook")) if members.has("webhook") else None,
        elsewhere=members.integer("elsewhere", 0),
        refused_so_far=refusal_from_json(members.member("refusedSoFar"))
        if members.has("refusedSoFar")
        else None,
    )


def _counts_to_json(counts: tuple[int, int] | None, well: str) -> Mapping[str, int] | None:
    return None if counts is None else {"total": counts[0], well: counts[1]}


def _counts(members: Members, key: str, well: str) -> tuple[int, int] | None:
    counts = members.member(key)
    return (counts.integer("total"), counts.integer(well)) if members.has(key) else None


def _names(members: Members, key: str) -> tuple[str, ...]:
    return tuple(name[:_NAME_LIMIT] for name in members.texts(key)[:_LIST_LIMIT])
