"""The providers of the wire contract: `generic`, `hetzner` and `aws` in full, the others by name.

What stands in a provider's body describes machines that somebody else creates; Pullpass reads the region and the
account of `aws`, and checks the rest so that a typing error does not pass unseen. Called by `schemas.manifest`.
"""

from __future__ import annotations

from schemas.addons.schema import ROLE_ARN, ROLE_ARN_EXPECTED
from schemas.fields import (
    Anything,
    Choice,
    Flag,
    FlagOrText,
    Integer,
    ListOf,
    Network,
    Number,
    Object,
    Text,
    TextMap,
)
from schemas.structure import strict

# Registered as clusters, without add-ons; their bodies are taken as they are.
OTHER_PROVIDERS = (
    "linode",
    "oblivus",
    "lambdalabs",
    "paperspace",
    "ephemeral",
    "triton",
    "azure",
    "digitalocean",
    "gcp",
)
PROVIDERS = ("generic", "hetzner", "aws", *OTHER_PROVIDERS)

_NETWORKING = Object(
    strict(
        "Networking",
        {
            "serviceNetwork": Network(),
            "podNetwork": Network(),
            "dnsForwarder": Text("the address of a DNS server"),
        },
    )
)
_TAINT = strict(
    "Taint",
    {
        "key": Text(),
        "value": Text(),
        "effect": Choice("NoSchedule", "PreferNoSchedule", "NoExecute"),
    },
)
_POOL = {
    "name": Text("the name of a node pool", required=True),
    "labels": TextMap("labels of nodes"),
    "taints": ListOf(Object(_TAINT)),
}
_SIZES = {"minSize": Integer(required=True), "maxSize": Integer(required=True)}
_AUTOSCALER = Object(
    strict(
        "Autoscaler",
        {
            "expander": ListOf(Text("an expander of the cluster autoscaler")),
            "unneededTime": Text("a duration such as 10m"),
            "unreadyTime": Text("a duration such as 20m"),
            "utilizationThreshold": Number(0, 1),
        },
    )
)
_GENERIC_POOL = strict("GenericNodePool", _POOL)
_GENERIC = strict(
    "GenericProvider",
    {
        "location": Text("a location such as aws-eu-central-1", required=True),
        "networking": _NETWORKING,
        "nodePools": ListOf(Object(_GENERIC_POOL)),
    },
)
_HETZNER = strict(
    "HetznerProvider",
    {
        "region": Choice("fsn1", "nbg1", "hel1", "ash", "hil", required=True),
        "tokenSecretLink": Text("a link such as //secret/hetzner", required=True),
        "networkId": Text("the id of a Hetzner network, as text", required=True),
        "image": Text("the name of an image", required=True),
        "networking": _NETWORKING,
        "hetznerLabels": TextMap("labels of servers"),
        "preInstallScript": Text("a shell script", limit=65_536),
        "firewallId": Text("the id of a Hetzner firewall, as text"),
        "sshKey": Text("the id of an SSH key, as text"),
        "floatingIPSelector": TextMap("labels of floating IPs"),
        "autoscaler": _AUTOSCALER,
        "nodePools": ListOf(
            Object(
                strict(
                    "HetznerNodePool",
                    {
                        **_POOL,
                        **_SIZES,
                        "serverType": Text("a server type such as cpx31", required=True),
                        "overrideImage": Text("the name of an image"),
                    },
                )
            )
        ),
        "dedicatedServerNodePools": ListOf(Object(_GENERIC_POOL)),
    },
)
_AMI = strict(
    "AwsImage",
    {"recommended": Text("a name such as amazon/al2023"), "exact": Text("the id of an AMI")},
    exactly_one=("recommended", "exact"),
)
_AWS_POOL = strict(
    "AwsNodePool",
    {
        **_POOL,
        **_SIZES,
        "instanceTypes": ListOf(Text("an instance type such as m6i.large"), required=True),
        "bootDiskSize": Integer(1, required=True),
        "onDemandBaseCapacity": Integer(required=True),
        "onDemandPercentageAboveBaseCapacity": Integer(0, 100, required=True),
        "subnetIds": ListOf(Text("the id of a subnet"), required=True),
        "spotAllocationStrategy": Text("an allocation strategy of EC2 spot fleets"),
        "extraSecurityGroupIds": ListOf(Text("the id of a security group")),
        "overrideImage": Object(_AMI),
        "cpuOptions": Object(strict("AwsCpuOptions", {"nestedVirtualization": FlagOrText()})),
    },
)
_AWS = strict(
    "AwsProvider",
    {
        "region": Text("an AWS region such as eu-central-1", required=True),
        "deployRoleArn": Text(ROLE_ARN_EXPECTED, required=True, pattern=ROLE_ARN),
        "vpcId": Text("the id of a VPC", required=True),
        "image": Object(_AMI, required=True),
        "networking": _NETWORKING,
        "awsTags": TextMap("tags of AWS resources"),
        "skipCreateRoles": Flag(),
        "preInstallScript": Text("a shell script", limit=65_536),
        "deployRoleChain": ListOf(
            Object(
                strict(
                    "AwsRoleLink",
                    {
                        "roleArn": Text(ROLE_ARN_EXPECTED, required=True, pattern=ROLE_ARN),
                        "externalId": Text("an external id"),
                        "sessionNamePrefix": Text("the start of a session name"),
                    },
                )
            )
        ),
        "keyPair": Text("the name of a key pair"),
        "diskEncryptionKeyArn": Text("the ARN of a KMS key"),
        "securityGroupIds": ListOf(Text("the id of a security group")),
        "extraNodePolicies": ListOf(Text("the ARN of an IAM policy")),
        "autoscaler": _AUTOSCALER,
        "nodePools": ListOf(Object(_AWS_POOL)),
    },
)

ProviderSchema = strict(
    "Provider",
    {
        "generic": Object(_GENERIC),
        "hetzner": Object(_HETZNER),
        "aws": Object(_AWS),
        **{name: Anything() for name in OTHER_PROVIDERS},
    },
    exactly_one=PROVIDERS,
)
