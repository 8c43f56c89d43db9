"""What the hub tells the pod identity webhook: `configuration.json` of ConfigMap `pullpass-pod-identity`.

Beside `schemas.agent_documents`: the two have different lives, for the webhook serves without awsECR.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.stored import canonical_text, read_versioned

POD_IDENTITY_VERSION = 1
POD_IDENTITY_NAME = "pullpass-pod-identity"  # the ConfigMap, and the MutatingWebhookConfiguration
POD_IDENTITY_PATH = "/pod-identity"


@dataclass(frozen=True)
class PodIdentityConfiguration:
    """What the pod identity webhook gives to pods, where their service account says nothing else.

    `region` None: pods are told none. Without this document the webhook changes no pod.
    """

    generation: int
    cluster_uid: str
    audience: str
    region: str | None
    regional_sts: bool
    token_expiration_seconds: int


def dump_pod_identity(configuration: PodIdentityConfiguration) -> str:
    """Canonical JSON text (sorted keys)."""
    return canonical_text(
        {
            "version": POD_IDENTITY_VERSION,
            "generation": configuration.generation,
            "clusterUid": configuration.cluster_uid,
            "audience": configuration.audience,
            "region": configuration.region,
            "regionalSts": configuration.regional_sts,
            "tokenExpirationSeconds": configuration.token_expiration_seconds,
        }
    )


def load_pod_identity(text: str) -> PodIdentityConfiguration:
    """Raises `ValueError`, naming the member, when the text is no such configuration of a version we read."""
    members = read_versioned(text, POD_IDENTITY_VERSION)
    return PodIdentityConfiguration(
        generation=members.integer("generation"),
        cluster_uid=members.text("clusterUid"),
        audience=members.text("audience"),
        region=members.optional_text("region"),
        regional_sts=members.boolean("regionalSts"),
        token_expiration_seconds=members.integer("tokenExpirationSeconds"),
    )
