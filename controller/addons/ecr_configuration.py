"""awsECR's wishes as objects: what agent and drivers are told, and which rights and webhooks that takes. Pure.

Called by `controller.addons.aws_ecr`.
"""

from __future__ import annotations

from dataclasses import replace

from aws import registry_hosts
from aws.arns import parse_role
from controller.addons import ecr_reports
from controller.addons.addon import Context
from controller.addons.agent_objects import agent_objects, configuration_objects
from controller.addons.node_objects import node_objects
from controller.addons.webhook_objects import pull_secret_webhooks
from controller.agent_rights import CUSTOM_RESOURCES_ROLE, PODS_ROLE, SECRETS_ROLE, WIDE_SECRETS_ROLE
from kube.objects import Object
from schemas.addons.aws_ecr import AwsEcr
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity
from schemas.agent_documents import SECRET_NAME, AgentConfiguration, labels
from schemas.manifest import Manifest
from schemas.node_documents import NodeConfiguration

KEY = "awsECR"


def wishes_of(context: Context) -> AwsEcr:
    """The settings; the defaults where the add-on is disabled."""
    return context.manifest.aws_ecr or AwsEcr()


def audience_of(context: Context) -> str:
    """Of the cluster's tokens for AWS."""
    return (context.manifest.aws_workload_identity or AwsWorkloadIdentity()).audience


def serves_nodes(context: Context) -> bool:
    """Whether nodes get credentials themselves: with a role, or with one of their own."""
    wishes = wishes_of(context)
    has_role = (
        wishes.role_arn
        or wishes.identity == "serviceAccount"
        or wishes.by_instance_role(context.manifest.provider)
    )
    return wishes.by_nodes and bool(has_role)


def needs_wide_secrets(wishes: AwsEcr) -> bool:
    """Whether the agent must read and write secrets by other names than its own."""
    pull_secret = wishes.pull_secret
    renamed = pull_secret.name != SECRET_NAME or pull_secret.public_name is not None
    return bool(
        (renamed and wishes.by_pull_secrets)
        or pull_secret.labelled is not None
        or needs_custom_resources(wishes)
    )


def needs_custom_resources(wishes: AwsEcr) -> bool:
    """Whether the agent must read and write custom resources."""
    return wishes.pull_secret.custom_resources or bool(wishes.pull_secret.adopt)


def ecr_objects(
    context: Context, *, nodes: str, removing: bool, wide_secrets: bool, custom_resources: bool
) -> tuple[Object, ...]:
    """Everything that should stand in the cluster for awsECR.

    `nodes` is `serving`, `leaving` or `none`; `wide_secrets` and `custom_resources` are the rights that the agent is to
    have, which may be more than the settings need as long as it has something to give back.
    """
    wishes = wishes_of(context)
    registries = ecr_reports.registries(context.manifest, wishes)
    pull_secret = wishes.pull_secret
    if not wishes.role_arn:
        # Nobody has credentials for them.
        pull_secret = replace(pull_secret, labelled=None, append_to_pods=False)
    if not wishes.by_pull_secrets or not wishes.role_arn:
        pull_secrets = "never"
    else:
        pull_secrets = "rest" if wishes.by_nodes else "always"
    configuration = AgentConfiguration(
        generation=context.generation,
        cluster_uid=context.uid,
        organisation=context.key.org,
        cluster=context.key.name,
        removing=removing,
        role_arn=wishes.role_arn or "",
        audience=audience_of(context),
        region=context.manifest.region,
        registries=registries,
        verify_image=wishes.verify_image,
        pull_secret=pull_secret,
        aws=context.connection.aws,
        pull_secrets=pull_secrets,
        nodes=nodes,
        node_selector=wishes.node.selector,
        wide_secrets=wide_secrets,
    )
    roles = {
        SECRETS_ROLE: True,
        WIDE_SECRETS_ROLE: wide_secrets,
        CUSTOM_RESOURCES_ROLE: custom_resources,
        PODS_ROLE: pull_secret.retry_pods and not removing,
    }
    found = (
        *agent_objects(context.uid, audience=audience_of(context), image=context.agent_image),
        *configuration_objects(
            configuration, add_on=KEY, roles=[role for role, wanted in roles.items() if wanted]
        ),
        *(() if removing else pull_secret_webhooks(pull_secret, labels(context.uid, KEY))),
    )
    if nodes == "none":
        return found
    return (
        *found,
        *node_objects(
            NodeConfiguration(
                generation=context.generation,
                cluster_uid=context.uid,
                organisation=context.key.org,
                cluster=context.key.name,
                removing=removing or nodes == "leaving",
                role_arn=wishes.role_arn,
                identity=wishes.identity,
                audience=audience_of(context),
                region=_region(context.manifest, registries),
                match_images=_match_images(context.manifest, wishes),
                verify_image=wishes.verify_image,
                node=wishes.node,
                aws=context.connection.aws,
            ),
            add_on=KEY,
            image=context.agent_image,
        ),
    )


def _region(manifest: Manifest, registries: tuple[str, ...]) -> str | None:
    """Where the plugin asks STS: in the provider's region, else in the first private registry's."""
    parsed = [registry_hosts.parse(host) for host in registries]
    private = [registry.region for registry in parsed if registry is not None and not registry.is_public]
    return manifest.region or next(iter(private), None)


def _match_images(manifest: Manifest, wishes: AwsEcr) -> tuple[str, ...]:
    """The registries that the user named; else all of the partition, where it is known."""
    if wishes.registries:
        return wishes.registries
    if wishes.role_arn:
        return registry_hosts.kubelet_patterns(parse_role(wishes.role_arn).partition)
    region = manifest.region
    return registry_hosts.kubelet_patterns(None if region is None else registry_hosts.partition_of(region))
