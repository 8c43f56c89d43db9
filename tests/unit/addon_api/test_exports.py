from __future__ import annotations

from typing import Any

import pytest
from hcl2.api import loads

from addon_api.app import ApiSettings
from fleet.database import Database
from tests.support.hub import PUBLIC_URL, Hub, make_hub, manifest

TF = "/terraform-exporter/org/acme/mk8s"
CRD = "/k8s-crd-exporter/org/acme/mk8s"


def endpoints(hub: Hub, host: str, **headers: str) -> Any:
    answer = hub.get("/discovery", caller=None, base_url=f"http://{host}", headers=headers)
    assert answer.status_code == 200
    assert answer.json is not None
    return answer.json["endpoints"]


def resource(hub: Hub, name: str = "demo") -> dict[str, Any]:
    answer = hub.get(f"{TF}/{name}", caller="viewer")
    assert (answer.status_code, answer.content_type) == (200, "text/plain; charset=utf-8")
    read: Any = loads(answer.text)
    [one] = read["resource"]
    found: dict[str, Any] = one["cpln_mk8s"][name]
    return found


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
def test_discovery_names_this_machine_as_it_was_asked(hub: Hub, host: str) -> None:
    assert endpoints(hub, host) == {
        "terraform-exporter": f"http://{host}/terraform-exporter",
        "k8s-crd-exporter": f"http://{host}/k8s-crd-exporter",
    }


def test_discovery_never_names_plain_http_elsewhere(hub: Hub) -> None:
    assert endpoints(hub, "hub.example.org") == {}


@pytest.mark.parametrize("said", ["https", "https, http"])
def test_discovery_believes_a_proxy_that_says_https(hub: Hub, said: str) -> None:
    found = endpoints(hub, "hub.example.org", **{"X-Forwarded-Proto": said})
    assert found["terraform-exporter"] == "https://hub.example.org/terraform-exporter"


def test_discovery_knows_its_public_url(hub: Hub) -> None:
    found = endpoints(hub, PUBLIC_URL.removeprefix("https://"))
    assert found["terraform-exporter"] == f"{PUBLIC_URL}/terraform-exporter"


def test_discovery_names_nothing_behind_a_proxy_that_changes_the_host(hub: Hub) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example.org"}
    assert endpoints(hub, "127.0.0.1:8080", **headers) == {}
    headers["X-Forwarded-Host"] = PUBLIC_URL.removeprefix("https://")
    assert endpoints(hub, "127.0.0.1:8080", **headers)["terraform-exporter"].startswith(f"{PUBLIC_URL}/")


def test_discovery_keeps_a_path_of_the_public_url(database: Database) -> None:
    hub = make_hub(database, ApiSettings(public_url="https://example.com/pullpass/"))
    assert (
        endpoints(hub, "example.com")["k8s-crd-exporter"] == "https://example.com/pullpass/k8s-crd-exporter"
    )


def test_a_generic_cluster_as_terraform(hub: Hub) -> None:
    spec: dict[str, Any] = {
        "firewall": [{"sourceCIDR": "10.0.0.0/8", "description": "office"}, {"sourceCIDR": "192.0.2.1"}],
        "provider": {
            "generic": {
                "location": "aws-eu-central-1",
                "networking": {"podNetwork": "10.42.0.0/16"},
                "nodePools": [
                    {"name": "p", "labels": {"a.b/c": "d"}, "taints": [{"key": "k", "effect": "NoSchedule"}]},
                    {"name": "q"},
                ],
            }
        },
    }
    hub.put({**manifest(**spec), "description": "x", "tags": {"n": 3, "cpln/managedByTerraform": "true"}})
    found = resource(hub)
    assert (found["name"], found["description"], found["version"]) == ("demo", "x", "1.30.0")
    assert found["tags"] == {"n": "3"}
    assert [rule["source_cidr"] for rule in found["firewall"]] == ["10.0.0.0/8", "192.0.2.1"]
    [provider] = found["generic_provider"]
    assert provider["location"] == "aws-eu-central-1"
    assert provider["networking"] == [{"pod_network": "10.42.0.0/16"}]
    assert [pool["name"] for pool in provider["node_pool"]] == ["p", "q"]
    assert provider["node_pool"][0]["labels"] == {"a.b/c": "d"}
    assert provider["node_pool"][0]["taint"] == [{"key": "k", "effect": "NoSchedule"}]
    [add_ons] = found["add_ons"]
    assert (add_ons["aws_workload_identity"], add_ons["aws_ecr"]) == (
        True,
        [{"role_arn": "arn:aws:iam::123456789012:role/ecr"}],
    )


def test_a_hetzner_cluster_as_terraform(hub: Hub) -> None:
    hetzner = {
        "region": "fsn1",
        "tokenSecretLink": "//secret/hetzner",
        "networkId": "1",
        "image": "ubuntu",
        "hetznerLabels": {"a": "b"},
        "floatingIPSelector": {"c": "d"},
        "preInstallScript": '#!/bin/sh\necho "${HOME} %{x}" \\ ü\t\x07\n',
        "autoscaler": {"expander": ["most-pods"], "utilizationThreshold": 0.7},
        "nodePools": [{"name": "p", "serverType": "cpx31", "minSize": 0, "maxSize": 3}],
        "dedicatedServerNodePools": [{"name": "d"}],
    }
    hub.put(manifest(provider={"hetzner": hetzner}))
    text = hub.get(f"{TF}/demo").text
    assert r'pre_install_script = "#!/bin/sh\necho \"$${HOME} %%{x}\" \\ ü\t\U00000007\n"' in text
    [provider] = resource(hub)["hetzner_provider"]
    assert (provider["hetzner_labels"], provider["floating_ip_selector"]) == ({"a": "b"}, {"c": "d"})
    assert provider["autoscaler"] == [{"expander": ["most-pods"], "utilization_threshold": 0.7}]
    assert provider["node_pool"] == [{"name": "p", "server_type": "cpx31", "min_size": 0, "max_size": 3}]
    assert provider["dedicated_server_node_pool"] == [{"name": "d"}]
    assert provider["networking"] == [{}]


def test_add_ons_that_are_empty_or_absent_stay_so_in_terraform(hub: Hub) -> None:
    hub.put(manifest("absent", addOns=None))
    hub.put(manifest("empty", addOns={}))
    hub.put(manifest("bare", addOns={"awsWorkloadIdentity": {}, "awsECR": {}}))
    assert "add_ons" not in resource(hub, "absent")
    assert resource(hub, "empty")["add_ons"] == [{}]
    assert resource(hub, "bare")["add_ons"] == [{"aws_workload_identity": True, "aws_ecr": [{}]}]


def test_settings_are_named_as_what_terraform_does_not_know(hub: Hub) -> None:
    hub.put({**manifest(), "settings": {"awsECR": {"delivery": "pullSecret"}}})
    text = hub.get(f"{TF}/demo").text
    assert ("# The provider knows no `settings`" in text, "pullSecret" in text) == (True, False)


def test_every_cluster_as_terraform(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addon_api.answers.MAXIMUM_LIMIT", 2)
    for name in ("aa1", "bb1", "cc1"):
        hub.put(manifest(name))
    read: Any = loads(hub.get(TF).text)
    assert [next(iter(one["cpln_mk8s"])) for one in read["resource"]] == ["aa1", "bb1", "cc1"]


def test_a_cluster_as_a_custom_resource(hub: Hub) -> None:
    hub.put({**manifest(), "tags": {"a": "b"}})
    one = hub.get(f"{CRD}/demo", caller="viewer").json
    assert one == {
        "apiVersion": "cpln.io/v1",
        "kind": "mk8s",
        "metadata": {"name": "demo"},
        "org": "acme",
        "description": "demo",
        "tags": {"a": "b"},
        "spec": manifest()["spec"],
    }
    assert hub.get(CRD).json == {"kind": "list", "items": [one]}
