"""An ECRPullSecret, ours or an older operator's, as far as it matters here, and the claim that it makes. Pure.

The definition's schema refuses most mistakes at the door (`controller.custom_resource`); what it cannot know, and
what was stored before it, is told here as problems. Called by `agent.custom_resources.claimant`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.secrets.claims import Claim, ClaimKey, ClaimSource, Selection
from agent.secrets.identity import Identity, StoredKeys
from agent.secrets.verification import endpoints_of
from aws import registry_hosts
from aws.identities import InstanceMetadata, RoleLink, WebIdentity
from aws.registry_hosts import RegistryHost
from kube.objects import Object
from schemas.addons.aws_ecr import Adopted
from schemas.agent_documents import AgentConfiguration

FINALIZER = "pullpass.dev/pull-secrets"

KeysVersion = Callable[[str, str], str]


@dataclass(frozen=True)
class Resource:
    """One object. `spec` and `status` are as stored; `finalizers` are everybody's."""

    name: str
    uid: str
    resource_version: str
    generation: int
    deleting: bool
    finalizers: tuple[str, ...]
    spec: Mapping[str, Any]
    status: Mapping[str, Any]

    @property
    def held(self) -> bool:
        """Whether our finalizer is on it."""
        return FINALIZER in self.finalizers


@dataclass(frozen=True)
class Reading:
    """What was understood of an object: its claim, None where there is none, and what is wrong with it."""

    claim: Claim | None
    problems: tuple[str, ...] = ()


def read(obj: Object) -> Resource:
    """The resource in an object."""
    metadata = obj["metadata"]
    return Resource(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        deleting="deletionTimestamp" in metadata,
        finalizers=tuple(metadata.get("finalizers") or ()),
        spec=obj.get("spec") or {},
        status=obj.get("status") or {},
    )


def finalizer_patch(resource: Resource, *, held: bool) -> Object:
    """The merge patch that puts our finalizer on, or takes it off; the others stay, in their order."""
    others = [name for name in resource.finalizers if name != FINALIZER]
    return {
        "metadata": {
            "resourceVersion": resource.resource_version,
            "finalizers": [*others, FINALIZER] if held else others or None,
        }
    }


def keys_of(resource: Resource) -> tuple[str, str] | None:
    """Namespace and name of the secret with the AWS keys that the object names, if it does."""
    keys = (resource.spec.get("identity") or {}).get("secretKeys")
    return (keys["namespace"], keys["name"]) if keys else None


def claim(resource: Resource, configuration: AgentConfiguration, version: KeysVersion) -> Reading:
    """What an ECRPullSecret of pullpass.dev claims.

    A registry that is none is left out, so that a mistake in one takes nothing from the others.

    Args:
        resource: The object.
        configuration: Gives the audience of web identity tokens and the way to AWS.
        version: Tells the version of the secret with the keys.
    """
    spec = resource.spec
    hosts: list[str] = list(spec.get("registries") or ())
    problems: list[str] = []
    if not hosts and spec.get("accountId") and spec.get("region"):
        try:
            hosts = [registry_hosts.host_of(spec["accountId"], spec["region"])]
        except ValueError as error:
            problems.append(str(error))
    registries, refused = _registries(hosts)
    identity = _identity(spec.get("identity") or {}, configuration, version)
    if identity is None:
        return Reading(
            None, ("spec.identity: none of webIdentity, secretKeys and instanceMetadata is given",)
        )
    accounts = spec.get("serviceAccounts", ["*"])
    labels = (spec.get("namespaceSelector") or {}).get("matchLabels") or {}
    names = tuple(spec.get("namespaces") or ())
    made = Claim(
        key=ClaimKey(ClaimSource.CUSTOM, resource.name),
        secret_name=spec["secretName"],
        selection=Selection(
            namespaces=names,
            namespace_selector=dict(labels),
            exclude_namespaces=tuple(spec.get("excludeNamespaces") or ()),
            none=not names and not labels,
        ),
        service_accounts=_service_accounts(accounts),
        registries=registries,
        identity=identity,
        suspended=bool(spec.get("suspend")),
    )
    return Reading(made, (*problems, *refused))


def adopted_claim(
    resource: Resource, adopted: Adopted, configuration: AgentConfiguration, version: KeysVersion
) -> Reading:
    """What an object of ecr-creds-refresher claims, as that operator understood it.

    Its secret in each namespace that it names, and service account `default` there refers to it. The identity and the
    registries stand in the settings.
    """
    name = resource.spec.get("secretName")
    if not isinstance(name, str) or not name:
        return Reading(None, ("spec.secretName is missing",))
    keys = adopted.keys
    source: WebIdentity | StoredKeys
    if keys is not None:
        source = StoredKeys(
            namespace=keys.namespace,
            name=keys.name,
            access_key_id_key=keys.access_key_id,
            secret_access_key_key=keys.secret_access_key,
            version=version(keys.namespace, keys.name),
        )
    elif configuration.role_arn:
        source = WebIdentity(configuration.role_arn, configuration.audience)
    else:
        return Reading(None, ("neither adopt.keys nor the add-on's roleArn says whose credentials to use",))
    registries, problems = _registries(adopted.registries or configuration.registries)
    namespaces = tuple(str(each) for each in resource.spec.get("namespaces") or ())
    made = Claim(
        key=ClaimKey(ClaimSource.ADOPTED, resource.name),
        secret_name=name,
        selection=Selection(namespaces=namespaces, none=not namespaces),
        service_accounts="default",
        registries=registries,
        identity=Identity(source, endpoints=endpoints_of(configuration.aws)),
    )
    return Reading(made, problems)


def _registries(hosts: Iterable[str]) -> tuple[tuple[RegistryHost, ...], tuple[str, ...]]:
    """The registries among `hosts`, each once, and what is wrong with the others."""
    found: dict[str, RegistryHost] = {}
    problems: list[str] = []
    for host in hosts:
        registry = registry_hosts.parse(host)
        if registry is None:
            problems.append(f"{host} is no ECR registry: its region belongs under another domain")
        else:
            found[host] = registry
    return tuple(found.values()), tuple(problems)


def _identity(
    spec: Mapping[str, Any], configuration: AgentConfiguration, version: KeysVersion
) -> Identity | None:
    source: WebIdentity | StoredKeys | InstanceMetadata
    if (web := spec.get("webIdentity")) is not None:
        source = WebIdentity(web["roleArn"], configuration.audience)
    elif (keys := spec.get("secretKeys")) is not None:
        source = StoredKeys(
            namespace=keys["namespace"],
            name=keys["name"],
            access_key_id_key=keys.get("accessKeyIdKey") or StoredKeys.access_key_id_key,
            secret_access_key_key=keys.get("secretAccessKeyKey") or StoredKeys.secret_access_key_key,
            session_token_key=keys.get("sessionTokenKey") or StoredKeys.session_token_key,
            version=version(keys["namespace"], keys["name"]),
        )
    elif spec.get("instanceMetadata") is not None:
        source = InstanceMetadata()
    else:
        return None
    roles = tuple(RoleLink(link["roleArn"], link.get("externalId")) for link in spec.get("assumeRoles") or ())
    return Identity(source, roles, endpoints_of(configuration.aws))


def _service_accounts(accounts: list[str]) -> str | tuple[str, ...]:
    """The list's words for all and none, in a claim's."""
    if not accounts:
        return "none"
    return "all" if accounts == ["*"] else tuple(accounts)
