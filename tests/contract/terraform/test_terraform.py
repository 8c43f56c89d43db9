"""Each operation of Terraform on a `cpln_mk8s` resource, in the shape that the provider sends it."""

from __future__ import annotations

from typing import Any

import pytest
from hcl2.api import loads

from fleet.database import Database
from fleet.sealing import Sealer
from tests.support.hub import CONNECTION, ISSUER, ROLE_ARN, Hub, make_hub, status
from tests.support.terraform import ADD_ONS, Attributes, Provider, ProviderError, planned

SEALER = Sealer((bytes(32),))
NETWORKING: list[Attributes] = [{}]
TAINTS = [
    {"key": "hello", "value": "world", "effect": "NoSchedule"},
    {"key": "bare", "effect": "NoExecute"},
]
GENERIC: Attributes = {
    "name": "generic",
    "tags": {"terraform_generated": "true"},
    "version": "1.28.4",
    "firewall": [{"source_cidr": "192.168.1.255", "description": "hello <world> & all"}],
    "generic_provider": [
        {
            "location": "aws-eu-central-1",
            "networking": NETWORKING,
            "node_pool": [{"name": "z", "labels": {"hello": "world"}, "taint": TAINTS}, {"name": "a"}],
        }
    ],
    "add_ons": [{"aws_workload_identity": True, "aws_ecr": [{"role_arn": ROLE_ARN}]}],
}
HETZNER: Attributes = {
    "name": "hetzner",
    "description": "A Hetzner cluster",
    "version": "1.28.4",
    "firewall": [{"source_cidr": "10.0.0.0/8"}],
    "hetzner_provider": [
        {
            "region": "fsn1",
            "hetzner_labels": {"hello": "world"},
            "networking": [{"dns_forwarder": "1.1.1.1"}],
            "pre_install_script": "#! echo hello world",
            "token_secret_link": "//secret/hetzner",
            "network_id": "2808575",
            "node_pool": [
                {"name": "p", "server_type": "cx11", "override_image": "debian-11", "taint": TAINTS}
            ],
            "dedicated_server_node_pool": [{"name": "d", "labels": {"a": "b"}}],
            "ssh_key": "10925607",
            "autoscaler": [{"expander": ["price", "most-pods"], "utilization_threshold": 0.75}],
            "floating_ip_selector": {"ip": "123.45.67.89"},
        }
    ],
    "add_ons": [{"aws_workload_identity": True, "aws_ecr": [{"role_arn": ROLE_ARN}]}],
}
AWS: Attributes = {
    "name": "aws",
    "version": "1.28.4",
    "firewall": [{"source_cidr": "0.0.0.0/0"}],
    "aws_provider": [
        {
            "region": "eu-central-1",
            "aws_tags": {"hello": "world"},
            "networking": NETWORKING,
            "pre_install_script": "#! echo hello world",
            "image": [{"recommended": "amazon/al2023"}],
            "deploy_role_arn": "arn:aws:iam::123456789012:role/cpln",
            "deploy_role_chain": [{"role_arn": "arn:aws:iam::123456789012:role/a", "external_id": "x"}],
            "vpc_id": "vpc-03105bd4dc058d3a8",
            "key_pair": "mine",
            "security_group_ids": ["sg-2", "sg-1"],
            "extra_node_policies": ["arn:aws:iam::aws:policy/IAMFullAccess"],
            "node_pool": [
                {
                    "name": "p",
                    "instance_types": ["t4g.nano", "m6i.large"],
                    "override_image": [{"exact": "ami-123"}],
                    "subnet_ids": ["subnet-b", "subnet-a"],
                    "extra_security_group_ids": ["sg-9", "sg-3"],
                    "cpu_options": [{"nested_virtualization": "enabled"}],
                    "max_size": 3,
                }
            ],
            "autoscaler": [{}],
        }
    ],
    "add_ons": [{"aws_workload_identity": True, "aws_ecr": [{}]}],
}
EVERY = [GENERIC, HETZNER, AWS]


@pytest.fixture
def hub(database: Database) -> Hub:
    return make_hub(database)


@pytest.fixture(params=["", "/"], ids=["endpoint", "endpoint with a slash at its end"])
def provider(request: pytest.FixtureRequest, hub: Hub) -> Provider:
    return Provider(hub, prefix=request.param)


def with_add_ons(config: Attributes, add_ons: Attributes | None) -> Attributes:
    return {**config, "add_ons": None if add_ons is None else [add_ons]}


@pytest.mark.parametrize("config", EVERY, ids=[config["name"] for config in EVERY])
def test_create_reads_back_what_was_planned(provider: Provider, config: Attributes) -> None:
    created = provider.create(config)
    assert (created["cpln_id"], created["self_link"]) == (
        provider.hub.show(config["name"])["id"],
        f"/org/acme/mk8s/{config['name']}",
    )
    assert [method for method, _, _ in provider.sent] == ["POST", "GET"]


@pytest.mark.parametrize("config", EVERY, ids=[config["name"] for config in EVERY])
def test_a_plan_after_an_apply_holds_no_difference(provider: Provider, config: Attributes) -> None:
    provider.create(config)
    assert provider.plan(config) == {}
    provider.update(config)
    assert provider.plan(config) == {}


@pytest.mark.parametrize("config", EVERY, ids=[config["name"] for config in EVERY])
def test_an_apply_without_a_difference_writes_nothing(provider: Provider, config: Attributes) -> None:
    provider.create(config)
    provider.update(config)
    assert provider.hub.show(config["name"])["version"] == 1


def test_create_sends_what_was_recorded(provider: Provider) -> None:
    provider.create({**GENERIC, "firewall": [{"source_cidr": "192.168.1.255"}], "generic_provider": [
        {"location": "aws-eu-central-1", "networking": NETWORKING}
    ]})  # fmt: skip
    assert provider.sent[0][2] == {
        "name": "generic",
        "description": "generic",
        "tags": {
            "terraform_generated": "true",
            "cpln/managedByTerraform": "true",
            "cpln/terraformProviderVersion": "1.2.31",
        },
        "spec": {
            "version": "1.28.4",
            "firewall": [{"sourceCIDR": "192.168.1.255"}],
            "provider": {
                "generic": {
                    "location": "aws-eu-central-1",
                    "networking": {"serviceNetwork": "10.43.0.0/16", "podNetwork": "10.42.0.0/16"},
                }
            },
            "addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE_ARN}},
        },
    }


def test_create_of_what_is_there_is_a_conflict(provider: Provider) -> None:
    provider.create(GENERIC)
    with pytest.raises(ProviderError, match="status: 409"):
        provider.create(GENERIC)


def test_read_of_what_is_gone_takes_it_out_of_the_state(provider: Provider) -> None:
    assert provider.read("none") is None


def test_read_shows_what_aws_needs(provider: Provider) -> None:
    before = provider.create(GENERIC)["status"]
    assert (before["oidc_provider_url"], before["trust_policies"]["awsECR"]) == (None, None)
    provider.hub.report("generic", status(server_url="https://generic.example.com"))
    after: Any = provider.read("generic")
    found = after["status"]
    assert (found["oidc_provider_url"], found["server_url"]) == (ISSUER, "https://generic.example.com")
    assert (found["provider_url"], found["audience"]) == (ISSUER, "sts.amazonaws.com")
    assert found["home_location"] == "aws-eu-central-1"
    assert all(found["trust_policies"].values())
    assert provider.plan(GENERIC) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1.29.0"},
        {"description": "Another"},
        {"tags": {"other": "tag"}},
        {"tags": None},
        {"firewall": [{"source_cidr": "10.0.0.1"}, {"source_cidr": "10.0.0.2"}]},
        {"generic_provider": [{"location": "elsewhere", "networking": [{"pod_network": "10.9.0.0/16"}]}]},
    ],
    ids=["version", "description", "tags", "no tags", "firewall", "provider"],
)
def test_update_in_place(provider: Provider, change: Attributes) -> None:
    provider.create(GENERIC)
    changed = {**GENERIC, **change}
    assert set(provider.plan(changed)) == set(change)
    provider.update(changed)
    assert provider.plan(changed) == {}


def test_a_change_of_a_tag_alone_replaces_the_whole_spec_and_leaves_the_settings(provider: Provider) -> None:
    provider.create(GENERIC)
    settings = {"awsECR": {"delivery": "pullSecret"}}
    provider.hub.call("PATCH", "/org/acme/mk8s/generic", json={"settings": settings})
    provider.update({**GENERIC, "tags": {"only": "this"}})
    sent = provider.sent[-2][2]
    assert set(sent) == {"name", "description", "$replace/tags", "$replace/spec"}
    assert provider.hub.show("generic")["settings"] == settings


ON_AND_OFF: list[Attributes | None] = [
    None,
    {},
    {"aws_workload_identity": True},
    {"aws_workload_identity": True, "aws_ecr": [{}]},
    {"aws_workload_identity": True, "aws_ecr": [{"role_arn": ROLE_ARN}]},
    {"aws_workload_identity": True, "aws_ecr": [{"role_arn": f"{ROLE_ARN}-2"}]},
]


@pytest.mark.parametrize("before", ON_AND_OFF)
@pytest.mark.parametrize("after", ON_AND_OFF)
def test_every_served_add_on_is_turned_on_and_off(
    hub: Hub, before: Attributes | None, after: Attributes | None
) -> None:
    provider = Provider(hub)
    provider.create(with_add_ons(GENERIC, before))
    provider.update(with_add_ons(GENERIC, after))
    assert provider.plan(with_add_ons(GENERIC, after)) == {}
    assert planned(with_add_ons(GENERIC, after))["add_ons"] == (provider.read("generic") or {})["add_ons"]


@pytest.mark.parametrize("add_on", sorted(set(ADD_ONS) - {"aws_workload_identity", "aws_ecr"}))
@pytest.mark.parametrize("operation", ["create", "update"])
def test_every_other_add_on_is_refused_by_name_on_one_line(hub: Hub, add_on: str, operation: str) -> None:
    provider = Provider(hub)
    if operation == "update":
        provider.create(GENERIC)
    value: Any = True if ADD_ONS[add_on].kind == "switch" else [{}]
    config = with_add_ons(GENERIC, {"aws_workload_identity": True, add_on: value})
    with pytest.raises(ProviderError) as caught:
        getattr(provider, operation)(config)
    text = str(caught.value)
    assert f"$.spec.addOns.{ADD_ONS[add_on].wire}: is an add-on that is not served" in text
    assert text.startswith("status: 400, body: {")
    assert "\n" not in text.strip()


def test_an_add_on_without_the_one_it_needs_is_refused(provider: Provider) -> None:
    with pytest.raises(ProviderError, match="requires the add-on `awsWorkloadIdentity`"):
        provider.create(with_add_ons(GENERIC, {"aws_ecr": [{}]}))


@pytest.mark.parametrize("connected", [False, True])
def test_delete_and_a_second_one_that_was_cut_off(provider: Provider, connected: bool) -> None:
    provider.create(GENERIC)
    if connected:
        provider.hub.call("PUT", "/org/acme/mk8s/generic/-connection", json=CONNECTION)
        provider.delete("generic")
        provider.delete("generic")
    else:
        provider.delete("generic")
        assert provider.read("generic") is None
        with pytest.raises(ProviderError, match="status: 404"):
            provider.delete("generic")


@pytest.mark.parametrize("connected", [False, True])
def test_replace_deletes_and_creates_at_once(provider: Provider, connected: bool) -> None:
    provider.create(GENERIC)
    if connected:
        provider.hub.call("PUT", "/org/acme/mk8s/generic/-connection", json=CONNECTION)
    provider.delete("generic")
    provider.create({**GENERIC, "version": "1.29.0"})
    assert "removal" not in provider.hub.show("generic")["status"]


@pytest.mark.parametrize("config", EVERY, ids=[config["name"] for config in EVERY])
def test_import_of_what_others_made_holds_no_difference_but_terraforms_tags(
    provider: Provider, config: Attributes
) -> None:
    maker = Provider(provider.hub)
    maker.create(config)
    provider.hub.call(
        "PATCH", f"/org/acme/mk8s/{config['name']}", json={"$replace/tags": config.get("tags") or {}}
    )
    imported = provider.read(config["name"])
    assert imported is not None
    assert provider.plan(config) == {}
    provider.update(config)
    assert provider.hub.show(config["name"])["tags"]["cpln/managedByTerraform"] == "true"


@pytest.mark.parametrize("config", EVERY, ids=[config["name"] for config in EVERY])
def test_what_is_exported_as_terraform_has_no_difference_once_imported(
    provider: Provider, config: Attributes
) -> None:
    provider.create(config)
    exported = provider.hub.get(f"/terraform-exporter/org/acme/mk8s/{config['name']}").text
    read: Any = loads(exported)
    [resource] = read["resource"]
    assert provider.plan(resource["cpln_mk8s"][config["name"]]) == {}


def test_import_of_what_is_not_there_finds_nothing(provider: Provider) -> None:
    assert provider.read("none") is None


def test_fifty_tags_and_terraforms_own_are_taken(provider: Provider) -> None:
    config = {**GENERIC, "tags": {f"t{number}": "x" for number in range(50)}}
    provider.create(config)
    assert provider.plan(config) == {}
    with pytest.raises(ProviderError, match="at most 50 tags"):
        provider.update({**config, "tags": {f"t{number}": "x" for number in range(51)}})


def test_a_change_made_elsewhere_is_a_difference_that_an_apply_takes_back(provider: Provider) -> None:
    provider.create(GENERIC)
    provider.hub.call("PATCH", "/org/acme/mk8s/generic", json={"spec": {"version": "1.31.0"}})
    assert provider.plan(GENERIC) == {"version": ("1.31.0", "1.28.4")}
    provider.update(GENERIC)
    assert provider.plan(GENERIC) == {}
