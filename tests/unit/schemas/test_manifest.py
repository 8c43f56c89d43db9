from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.addons import ADD_ONS, NOT_SERVED
from schemas.addons.aws_ecr import AwsEcr, PullSecret
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity, IssuerKind
from schemas.errors import Invalid, Mistake
from schemas.manifest import Manifest, parse
from schemas.providers import OTHER_PROVIDERS

ROLE = "arn:aws:iam::123456789012:role/pull"
HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
GENERIC = {"generic": {"location": "aws-eu-central-1"}}
BOTH = {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE}}
NETWORKING = {"serviceNetwork": "10.43.0.0/16", "podNetwork": "10.42.0.0/16", "dnsForwarder": "10.0.0.2"}
AUTOSCALER = {
    "expander": ["most-pods"],
    "unneededTime": "10m",
    "unreadyTime": "20m",
    "utilizationThreshold": 0.7,
}
POOL = {
    "name": "pool",
    "labels": {"a": "b"},
    "taints": [{"key": "k", "effect": "NoSchedule"}, {"key": "k", "value": "v", "effect": "NoExecute"}],
}
HETZNER = {
    "region": "fsn1",
    "tokenSecretLink": "//secret/hetzner",
    "networkId": "2808575",
    "image": "ubuntu-24.04",
    "networking": NETWORKING,
    "hetznerLabels": {"a": "b"},
    "preInstallScript": "#!/bin/sh\ntrue\n",
    "firewallId": "1",
    "sshKey": "2",
    "floatingIPSelector": {"a": "b"},
    "autoscaler": AUTOSCALER,
    "nodePools": [{**POOL, "serverType": "cpx31", "overrideImage": "x", "minSize": 0, "maxSize": 3}],
    "dedicatedServerNodePools": [POOL],
}
AWS = {
    "region": "eu-central-1",
    "deployRoleArn": "arn:aws:iam::210987654321:role/a/b/deploy",
    "vpcId": "vpc-1",
    "image": {"recommended": "amazon/al2023"},
    "networking": NETWORKING,
    "awsTags": {"a": "b"},
    "skipCreateRoles": False,
    "preInstallScript": "true",
    "deployRoleChain": [{"roleArn": ROLE, "externalId": "x", "sessionNamePrefix": "y"}],
    "keyPair": "key",
    "diskEncryptionKeyArn": "arn:aws:kms:eu-central-1:210987654321:key/x",
    "securityGroupIds": ["sg-1"],
    "extraNodePolicies": ["arn:aws:iam::aws:policy/X"],
    "autoscaler": AUTOSCALER,
    "nodePools": [
        {
            **POOL,
            "instanceTypes": ["m6i.large"],
            "bootDiskSize": 20,
            "minSize": 1,
            "maxSize": 3,
            "onDemandBaseCapacity": 0,
            "onDemandPercentageAboveBaseCapacity": 100,
            "subnetIds": ["subnet-1"],
            "spotAllocationStrategy": "lowest-price",
            "extraSecurityGroupIds": [],
            "overrideImage": {"exact": "ami-1"},
            "cpuOptions": {"nestedVirtualization": "enabled"},
        }
    ],
}
NO_REGISTRY = (
    "expected the host of a private ECR registry, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com,"
    " or public.ecr.aws"
)


def document(provider: Any = None, **changes: Any) -> dict[str, Any]:
    spec = {"version": "1.34.1", "provider": GENERIC if provider is None else provider}
    spec |= {key: changes.pop(key) for key in ("addOns", "firewall", "version") if key in changes}
    return {"kind": "mk8s", "name": "demo", "spec": spec, **changes}


def mistakes(sent: Any, settings: Any = None) -> list[Mistake]:
    with pytest.raises(Invalid) as caught:
        parse(sent, {} if settings is None else settings)
    return list(caught.value.mistakes)


def places(sent: Any, settings: Any = None) -> list[str]:
    return [mistake.path for mistake in mistakes(sent, settings)]


def test_the_smallest_manifest_has_no_add_on() -> None:
    sent = {"name": "demo", "spec": {"version": "1.34", "provider": GENERIC}}
    assert parse(sent, {}) == Manifest("demo", "", {}, "generic", None, None, None, None)


@pytest.mark.parametrize(
    ("provider", "region", "account"),
    [
        ({"generic": {**GENERIC["generic"], "networking": NETWORKING, "nodePools": [POOL]}}, None, None),
        ({"hetzner": HETZNER}, None, None),
        ({"aws": AWS}, "eu-central-1", "210987654321"),
    ],
)
def test_a_provider_is_read_in_full(provider: Any, region: str | None, account: str | None) -> None:
    sent = document(provider, addOns=BOTH, description="d", tags={"team": "a", "cpln/x": True, "n": 1})
    assert parse(sent, {}) == Manifest(
        "demo",
        "d",
        {"team": "a", "cpln/x": True, "n": 1},
        next(iter(provider)),
        region,
        account,
        AwsEcr(role_arn=ROLE),
        AwsWorkloadIdentity(),
    )


@pytest.mark.parametrize("name", OTHER_PROVIDERS)
def test_another_provider_is_a_registered_cluster(name: str) -> None:
    sent = document({name: {"anything": [{"x": None}]}}, addOns={})
    assert parse(sent, {}).provider == name


@pytest.mark.parametrize("name", OTHER_PROVIDERS)
@pytest.mark.parametrize("key", ADD_ONS)
def test_another_provider_has_no_add_ons(name: str, key: str) -> None:
    add_ons: dict[str, Any] = {required: {} for required in (*ADD_ONS[key].requires, key)}
    assert {
        mistake.message
        for mistake in mistakes(document({name: {}}, addOns=add_ons))
        if mistake.path.endswith(key)
    } == {f"is not supported on provider `{name}`"}


def test_the_server_s_own_members_are_ignored() -> None:
    owned: dict[str, Any] = {
        "id": 3,
        "alias": None,
        "version": 7,
        "created": "x",
        "lastModified": {},
        "links": [],
        "status": {"addOns": {}},
        "settings": {"nonsense": True},
    }
    assert parse(document(**{key: value for key, value in owned.items() if key != "version"}), {}) == parse(
        document(), {}
    )


def test_the_server_s_version_is_not_the_kubernetes_version() -> None:
    assert parse({**document(), "version": 7}, {}).name == "demo"


def test_reading_changes_nothing() -> None:
    sent, settings = document({"aws": AWS}, addOns=BOTH), {"awsECR": {"registries": [HOST]}}
    before = copy.deepcopy((sent, settings))
    parse(sent, settings)
    assert (sent, settings) == before


@pytest.mark.parametrize(
    ("add_ons", "ecr", "identity"),
    [
        (None, None, None),
        ({}, None, None),
        ({"awsECR": None, "awsWorkloadIdentity": None}, None, None),
        ({"awsWorkloadIdentity": {}}, None, AwsWorkloadIdentity()),
        ({"awsWorkloadIdentity": {}, "awsECR": {}}, AwsEcr(), AwsWorkloadIdentity()),
        ({"awsWorkloadIdentity": {}, "awsECR": {"roleArn": None}}, AwsEcr(), AwsWorkloadIdentity()),
    ],
)
def test_null_is_not_enabled_and_an_empty_object_is(add_ons: Any, ecr: Any, identity: Any) -> None:
    read = parse(document(addOns=add_ons), {})
    assert (read.aws_ecr, read.aws_workload_identity) == (ecr, identity)


@pytest.mark.parametrize(
    "partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"]
)
def test_a_role_of_every_partition_is_taken(partition: str) -> None:
    role = f"arn:{partition}:iam::123456789012:role/with/path/Name+=,.@-_1"
    read = parse(document(addOns={"awsWorkloadIdentity": {}, "awsECR": {"roleArn": role}}), {})
    assert read.aws_ecr == AwsEcr(role_arn=role)


@pytest.mark.parametrize(
    "role",
    [
        "",
        "pull",
        "arn:aws:iam::123456789012:user/pull",
        "arn:aws:iam::12345678901:role/pull",
        "arn:aws:iam:eu-central-1:123456789012:role/pull",
        "arn:aws-xx:iam::123456789012:role/pull",
        "arn:aws:sts::123456789012:assumed-role/pull/x",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role/a b",
        "arn:aws:iam::123456789012:role/pull\n",
        "arn:aws:iam::123456789012:role/" + "x" * 65,
    ],
)
def test_what_is_no_role_is_refused(role: str) -> None:
    assert mistakes(document(addOns={"awsWorkloadIdentity": {}, "awsECR": {"roleArn": role}})) == [
        Mistake(
            "$.spec.addOns.awsECR.roleArn",
            "expected the ARN of an IAM role, such as arn:aws:iam::123456789012:role/ecr-pull",
        )
    ]


def test_aws_ecr_needs_aws_workload_identity() -> None:
    assert mistakes(document(addOns={"awsECR": {}})) == [
        Mistake(
            "$.spec.addOns.awsECR",
            "requires the add-on `awsWorkloadIdentity`",
            "add `awsWorkloadIdentity: {}` to `spec.addOns`",
        )
    ]


@pytest.mark.parametrize("key", sorted(NOT_SERVED))
def test_an_add_on_of_the_wire_contract_that_is_not_served_is_refused_by_name(key: str) -> None:
    assert mistakes(document(addOns={key: {}})) == [
        Mistake(
            f"$.spec.addOns.{key}",
            "is an add-on that is not served",
            "served are awsECR, awsWorkloadIdentity",
        )
    ]


def test_all_settings_are_read() -> None:
    settings: dict[str, Any] = {
        "awsWorkloadIdentity": {"issuer": "published", "audience": "sts.amazonaws.com.cn"},
        "awsECR": {
            "delivery": "pullSecret",
            "identity": "shared",
            "registries": [HOST],
            "verifyImage": f"{HOST}/team/app:1.0",
            "pullSecret": {
                "namespaces": ["shop"],
                "namespaceSelector": {"team": "a"},
                "excludeNamespaces": ["kube-*", "x"],
                "serviceAccounts": ["default", "builder"],
            },
        },
    }
    read = parse(document(addOns=BOTH), settings)
    assert (read.aws_ecr, read.aws_workload_identity) == (
        AwsEcr(
            role_arn=ROLE,
            delivery="pullSecret",
            registries=(HOST,),
            verify_image=f"{HOST}/team/app:1.0",
            pull_secret=PullSecret(("shop",), {"team": "a"}, ("kube-*", "x"), ("default", "builder")),
        ),
        AwsWorkloadIdentity(IssuerKind.PUBLISHED, "sts.amazonaws.com.cn"),
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"awsECR": None, "awsWorkloadIdentity": None},
        {"awsECR": {}, "awsWorkloadIdentity": {}},
        {"awsECR": {"pullSecret": {}, "registries": [], "delivery": None}},
        {"awsECR": {"pullSecret": {"excludeNamespaces": None, "serviceAccounts": None}}},
    ],
)
def test_settings_that_say_nothing_mean_the_defaults(settings: Any) -> None:
    read = parse(document(addOns=BOTH), settings)
    assert (read.aws_ecr, read.aws_workload_identity) == (AwsEcr(role_arn=ROLE), AwsWorkloadIdentity())


def test_empty_lists_of_a_pull_secret_are_not_the_defaults() -> None:
    settings: dict[str, Any] = {"awsECR": {"pullSecret": {"excludeNamespaces": [], "serviceAccounts": []}}}
    read = parse(document(addOns=BOTH), settings)
    assert read.aws_ecr == AwsEcr(
        role_arn=ROLE, pull_secret=PullSecret(exclude_namespaces=(), service_accounts=())
    )


def test_settings_of_an_add_on_that_is_not_enabled_are_allowed() -> None:
    assert parse(document(), {"awsECR": {"registries": [HOST]}}).aws_ecr is None


@pytest.mark.parametrize(
    "host",
    [
        HOST,
        "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
        "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov",
        "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
        "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk",
        "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
        "123456789012.dkr-ecr.eu-central-1.on.aws",
        "123456789012.dkr-ecr-fips.us-east-1.on.aws",
        "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
    ],
)
def test_a_private_registry_of_every_partition_is_taken(host: str) -> None:
    settings = {"awsECR": {"registries": [host], "verifyImage": f"{host}/a/b_c@sha256:{'0' * 64}"}}
    read = parse(document(addOns=BOTH), settings)
    assert read.aws_ecr is not None
    assert read.aws_ecr.registries == (host,)


@pytest.mark.parametrize(
    ("add_on", "settings", "path", "message"),
    [
        (
            "awsECR",
            {"node": {"maxUnavailable": 0}},
            "node.maxUnavailable",
            "expected a whole number of at least 1",
        ),
        ("awsECR", {"delivery": "secret"}, "delivery", "expected one of auto, node, pullSecret"),
        (
            "awsECR",
            {"serviceAccounts": ["web"]},
            "serviceAccounts[0]",
            "expected a service account with its namespace, such as shop/web",
        ),
        ("awsECR", {"node": {"x": 1}}, "node.x", "is not known here"),
        (
            "awsECR",
            {"identity": "serviceAccount"},
            "serviceAccounts",
            "is missing; identity `serviceAccount` needs to know who may assume the role",
        ),
        (
            "awsECR",
            {"identity": "serviceAccount", "serviceAccounts": ["shop/web"], "delivery": "pullSecret"},
            "identity",
            "`serviceAccount` does not go with delivery `pullSecret`, which every pod of a namespace shares",
        ),
        ("awsECR", {"pullSecret": {"name": "X"}}, "pullSecret.name", "expected the name of a secret"),
        ("awsECR", {"pullSecret": {"namespaces": "shop"}}, "pullSecret.namespaces", "expected a list"),
        (
            "awsECR",
            {"pullSecret": {"namespaces": ["Shop"]}},
            "pullSecret.namespaces[0]",
            "expected the name of a namespace",
        ),
        (
            "awsECR",
            {"pullSecret": {"namespaceSelector": {"a": 1}}},
            "pullSecret.namespaceSelector.a",
            "expected text",
        ),
        (
            "awsECR",
            {"pullSecret": {"excludeNamespaces": ["[a]"]}},
            "pullSecret.excludeNamespaces[0]",
            "expected the name of a namespace, where * stands for any part of it",
        ),
        (
            "awsECR",
            {"pullSecret": {"serviceAccounts": "some"}},
            "pullSecret.serviceAccounts",
            "expected all, default, none, or a list of service account names",
        ),
        (
            "awsECR",
            {"pullSecret": {"serviceAccounts": ["-"]}},
            "pullSecret.serviceAccounts[0]",
            "expected a name",
        ),
        (
            "awsECR",
            {"registries": ["quay.io"]},
            "registries[0]",
            NO_REGISTRY,
        ),
        (
            "awsECR",
            {"registries": [f"https://{HOST}"]},
            "registries[0]",
            NO_REGISTRY,
        ),
        ("awsECR", {"registries": HOST}, "registries", "expected a list"),
        (
            "awsECR",
            {"verifyImage": HOST},
            "verifyImage",
            "expected an image in a private ECR registry, with its host",
        ),
        (
            "awsECR",
            {"verifyImage": "nginx:1"},
            "verifyImage",
            "expected an image in a private ECR registry, with its host",
        ),
        ("awsECR", {"roleArn": ROLE}, "roleArn", "stands in the wrong place"),
        ("awsECR", {"deliverry": "auto"}, "deliverry", "is not known here"),
        (
            "awsWorkloadIdentity",
            {"issuer": "fleet"},
            "issuer",
            "`fleet` is not available in this version; expected one of cluster, published",
        ),
        ("awsWorkloadIdentity", {"issuer": "hub"}, "issuer", "expected one of cluster, published"),
        (
            "awsWorkloadIdentity",
            {"audience": ""},
            "audience",
            "expected an audience: 1 to 255 printable characters without blanks",
        ),
        (
            "awsWorkloadIdentity",
            {"audience": ["a"]},
            "audience",
            "expected an audience: 1 to 255 printable characters without blanks",
        ),
    ],
)
def test_a_wrong_setting_is_refused_with_its_place(
    add_on: str, settings: Any, path: str, message: str
) -> None:
    found = mistakes(document(), {add_on: settings})
    assert [(mistake.path, mistake.message) for mistake in found] == [
        (f"$.settings.{add_on}.{path}", message)
    ]


@pytest.mark.parametrize(
    ("settings", "paths"),
    [([], ["$.settings"]), ({"awsEFS": {}}, ["$.settings.awsEFS"]), ({"awsECR": []}, ["$.settings.awsECR"])],
)
def test_settings_of_nothing_known_are_refused(settings: Any, paths: list[str]) -> None:
    assert places(document(), settings) == paths


@pytest.mark.parametrize("name", ["abc", "a-1", "a" * 63])
def test_a_right_name_is_taken(name: str) -> None:
    assert parse(document(name=name), {}).name == name


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "1ab", "-ab", "ab-", "Abc", "a_b", "a.b", "abc\n", "", 7, None]
)
def test_a_wrong_name_is_refused(name: object) -> None:
    assert places(document(name=name)) == ["$.name"]


def test_a_description_is_measured_in_bytes() -> None:
    assert parse(document(description="ä" * 125), {}).description == "ä" * 125
    assert mistakes(document(description="ä" * 126)) == [
        Mistake("$.description", "expected at most 250 bytes, got 252")
    ]


def test_fifty_tags_are_taken_and_those_of_a_tool_do_not_count() -> None:
    tags = {f"t{number}": "x" for number in range(50)}
    tool = {"cpln/managedByTerraform": "true", "cpln/terraformProviderVersion": "1"}
    assert len(parse(document(tags={**tags, **tool}), {}).tags) == 52
    assert mistakes(document(tags={**tags, "one": "more"})) == [
        Mistake("$.tags", "expected at most 50 tags, got 51", "tags of `cpln/` do not count")
    ]


def _without(body: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != key}


def _pool(provider: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**provider, "nodePools": [{**provider["nodePools"][0], **changes}]}


@pytest.mark.parametrize(
    ("sent", "paths"),
    [
        ([], ["$"]),
        ({}, ["$.name", "$.spec"]),
        (document(kind="mk9s"), ["$.kind"]),
        (document(nmae="x"), ["$.nmae"]),
        (document(tags={"a": []}), ["$.tags.a"]),
        (document(tags=[]), ["$.tags"]),
        (document(addOns=[]), ["$.spec.addOns"]),
        (
            document(addOns={"awsWorkloadIdentity": {"issuer": "cluster"}}),
            ["$.spec.addOns.awsWorkloadIdentity.issuer"],
        ),
        (document(addOns={**BOTH, "awsECR": {"registries": []}}), ["$.spec.addOns.awsECR.registries"]),
        (document(addOns={**BOTH, "awsECR": "on"}), ["$.spec.addOns.awsECR"]),
        (document(addOns={"awsEcr": {}}), ["$.spec.addOns.awsEcr"]),
        (document(version=1.3), ["$.spec.version"]),
        (document(version=None), ["$.spec.version"]),
        (
            document(
                firewall=[{"sourceCIDR": "10.0.0.0/8"}, {"sourceCIDR": "1.2.3.4", "description": "d"}, {}]
            ),
            ["$.spec.firewall[2].sourceCIDR"],
        ),
        (document(firewall=[{"sourceCIDR": "everywhere"}]), ["$.spec.firewall[0].sourceCIDR"]),
        (document({}), ["$.spec.provider"]),
        (document("aws"), ["$.spec.provider"]),
        (document({**GENERIC, "gcp": {}}), ["$.spec.provider"]),
        (document({"eks": {}}), ["$.spec.provider", "$.spec.provider.eks"]),
        (document({"linode": []}), ["$.spec.provider.linode"]),
        (document({"generic": {}}), ["$.spec.provider.generic.location"]),
        (
            document({"generic": {"location": "x", "nodePools": [{}]}}),
            ["$.spec.provider.generic.nodePools[0].name"],
        ),
        (
            document(
                {"generic": {"location": "x", "nodePools": [{**POOL, "taints": [{"effect": "Never"}]}]}}
            ),
            ["$.spec.provider.generic.nodePools[0].taints[0].effect"],
        ),
        (
            document({"generic": {"location": "x", "networking": {"podNetwork": "x"}}}),
            ["$.spec.provider.generic.networking.podNetwork"],
        ),
        *[
            (document({"hetzner": _without(HETZNER, key)}), [f"$.spec.provider.hetzner.{key}"])
            for key in ("region", "tokenSecretLink", "networkId", "image")
        ],
        (document({"hetzner": {**HETZNER, "region": "eu-central-1"}}), ["$.spec.provider.hetzner.region"]),
        (document({"hetzner": {**HETZNER, "networkId": 2808575}}), ["$.spec.provider.hetzner.networkId"]),
        (
            document({"hetzner": _pool(HETZNER, minSize="1")}),
            ["$.spec.provider.hetzner.nodePools[0].minSize"],
        ),
        (
            document({"hetzner": {**HETZNER, "autoscaler": {"utilizationThreshold": 7}}}),
            ["$.spec.provider.hetzner.autoscaler.utilizationThreshold"],
        ),
        *[
            (document({"aws": _without(AWS, key)}), [f"$.spec.provider.aws.{key}"])
            for key in ("region", "deployRoleArn", "vpcId", "image")
        ],
        (document({"aws": {**AWS, "deployRoleArn": "x"}}), ["$.spec.provider.aws.deployRoleArn"]),
        (document({"aws": {**AWS, "image": {}}}), ["$.spec.provider.aws.image"]),
        (
            document({"aws": {**AWS, "image": {"exact": "a", "recommended": "b"}}}),
            ["$.spec.provider.aws.image"],
        ),
        (document({"aws": {**AWS, "skipCreateRoles": "no"}}), ["$.spec.provider.aws.skipCreateRoles"]),
        (
            document({"aws": {**AWS, "deployRoleChain": [{}]}}),
            ["$.spec.provider.aws.deployRoleChain[0].roleArn"],
        ),
        (
            document({"aws": _pool(AWS, onDemandPercentageAboveBaseCapacity=101)}),
            ["$.spec.provider.aws.nodePools[0].onDemandPercentageAboveBaseCapacity"],
        ),
        (document({"aws": _pool(AWS, subnetIds=None)}), ["$.spec.provider.aws.nodePools[0].subnetIds"]),
        (
            document({"aws": _pool(AWS, cpuOptions={"x": 1})}),
            ["$.spec.provider.aws.nodePools[0].cpuOptions.x"],
        ),
        ({**document(), "provider": GENERIC}, ["$.provider"]),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_place(sent: Any, paths: list[str]) -> None:
    assert places(sent) == paths


@pytest.mark.parametrize(
    ("misplaced", "hint"),
    [
        ({"awsECR": {}}, "it belongs in `spec.addOns.awsECR`"),
        ({"hetzner": {}}, "it belongs in `spec.provider.hetzner`"),
        ({"settings": {}}, "it belongs beside `spec`, not in it"),
    ],
)
def test_a_member_in_the_wrong_place_is_told_the_right_one(misplaced: Any, hint: str) -> None:
    sent = document()
    sent["spec"] |= misplaced
    assert [mistake.hint for mistake in mistakes(sent)] == [hint]


def test_everything_wrong_is_said_at_once() -> None:
    sent = document({"linode": {}}, name="x", addOns={"awsECR": {"roleArn": 3}, "dashboard": {}})
    assert places(sent, {"awsECR": {"delivery": "nodes"}}) == [
        "$.name",
        "$.spec.addOns.awsECR.roleArn",
        "$.spec.addOns.dashboard",
        "$.spec.addOns.awsECR",
        "$.spec.addOns.awsECR",
        "$.settings.awsECR.delivery",
    ]


def test_the_message_says_the_first_mistake_and_how_many_more() -> None:
    with pytest.raises(Invalid) as caught:
        parse({"name": "x", "spec": {"version": 1.3, "provider": GENERIC}}, {})
    assert caught.value.message == (
        "$.name: expected 3 to 63 characters of a-z, 0-9 and -, the first a letter and the last no -; and 1 more"
    )


def test_a_body_full_of_nonsense_is_answered_with_its_first_mistakes() -> None:
    sent = document() | {f"nonsense{number}": number for number in range(100_000)}
    assert len(mistakes(sent)) == 200


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "spec",
                    "provider",
                    "generic",
                    "aws",
                    "addOns",
                    "awsECR",
                    "tags",
                    "nodePools",
                    "_schema",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_ANY, _ANY)
def test_whatever_is_sent_is_read_or_refused(sent: Any, settings: Any) -> None:
    with contextlib.suppress(Invalid):
        parse(sent, settings)
