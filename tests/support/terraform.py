"""What `terraform-provider-cpln` 1.2.31 sends for a `cpln_mk8s` resource, and how it reads the answers.

No Terraform runs in the tests: this is the provider's client, its request builder and its reader, written down from its
source (`internal/provider/client`, `resource_mk8s.go`). A configuration is a dict of the provider's attributes; a block
is a list of dicts. Reading fails where Go's decoder would, and a plan is the difference between configuration and state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.test import TestResponse

from tests.support.hub import Hub

Attributes = dict[str, Any]
_OWN_TAGS = {"cpln/managedByTerraform": "true", "cpln/terraformProviderVersion": "1.2.31"}
_ACCEPTED = {200, 201, 202}


class ProviderError(Exception):
    """What Terraform would print; the operation failed."""


@dataclass(frozen=True)
class Member:
    """One attribute or block: its name in JSON, what it holds, and the provider's default."""

    wire: str
    kind: str  # text, number, float, flag, switch, set, map, block
    default: Any = None
    inner: Mapping[str, Member] = field(default_factory=dict)


def _text(wire: str, default: str | None = None) -> Member:
    return Member(wire, "text", default)


def _number(wire: str, default: int | None = None) -> Member:
    return Member(wire, "number", default)


def _block(wire: str, **inner: Member) -> Member:
    return Member(wire, "block", inner=inner)


_NETWORKING = _block(
    "networking",
    service_network=_text("serviceNetwork", "10.43.0.0/16"),
    pod_network=_text("podNetwork", "10.42.0.0/16"),
    dns_forwarder=_text("dnsForwarder"),
)
_AUTOSCALER = _block(
    "autoscaler",
    expander=Member("expander", "set", ["most-pods"]),
    unneeded_time=_text("unneededTime", "10m"),
    unready_time=_text("unreadyTime", "20m"),
    utilization_threshold=Member("utilizationThreshold", "float", 0.7),
)
_POOL = {
    "name": _text("name"),
    "labels": Member("labels", "map"),
    "taint": _block("taints", key=_text("key"), value=_text("value"), effect=_text("effect")),
}
_SIZES = {"min_size": _number("minSize", 0), "max_size": _number("maxSize", 0)}
_IMAGE = {"recommended": _text("recommended"), "exact": _text("exact")}
_ROLE = {"role_arn": _text("roleArn")}
PROVIDERS: Mapping[str, Member] = {
    "generic_provider": _block(
        "generic",
        location=_text("location"),
        networking=_NETWORKING,
        node_pool=_block("nodePools", **_POOL),
    ),
    "hetzner_provider": _block(
        "hetzner",
        region=_text("region"),
        hetzner_labels=Member("hetznerLabels", "map"),
        networking=_NETWORKING,
        pre_install_script=_text("preInstallScript"),
        token_secret_link=_text("tokenSecretLink"),
        network_id=_text("networkId"),
        firewall_id=_text("firewallId"),
        node_pool=_block(
            "nodePools",
            **_POOL,
            **_SIZES,
            server_type=_text("serverType"),
            override_image=_text("overrideImage"),
        ),
        dedicated_server_node_pool=_block("dedicatedServerNodePools", **_POOL),
        image=_text("image", "ubuntu-20.04"),
        ssh_key=_text("sshKey"),
        autoscaler=_AUTOSCALER,
        floating_ip_selector=Member("floatingIPSelector", "map"),
    ),
    "aws_provider": _block(
        "aws",
        region=_text("region"),
        aws_tags=Member("awsTags", "map"),
        skip_create_roles=Member("skipCreateRoles", "flag", False),
        networking=_NETWORKING,
        pre_install_script=_text("preInstallScript"),
        image=_block("image", **_IMAGE),
        deploy_role_arn=_text("deployRoleArn"),
        deploy_role_chain=_block(
            "deployRoleChain",
            role_arn=_text("roleArn"),
            external_id=_text("externalId"),
            session_name_prefix=_text("sessionNamePrefix"),
        ),
        vpc_id=_text("vpcId"),
        key_pair=_text("keyPair"),
        disk_encryption_key_arn=_text("diskEncryptionKeyArn"),
        security_group_ids=Member("securityGroupIds", "set"),
        extra_node_policies=Member("extraNodePolicies", "set"),
        node_pool=_block(
            "nodePools",
            **_POOL,
            **_SIZES,
            instance_types=Member("instanceTypes", "set"),
            override_image=_block("overrideImage", **_IMAGE),
            boot_disk_size=_number("bootDiskSize", 20),
            on_demand_base_capacity=_number("onDemandBaseCapacity", 0),
            on_demand_percentage_above_base_capacity=_number("onDemandPercentageAboveBaseCapacity", 0),
            spot_allocation_strategy=_text("spotAllocationStrategy", "lowest-price"),
            subnet_ids=Member("subnetIds", "set"),
            extra_security_group_ids=Member("extraSecurityGroupIds", "set"),
            cpu_options=_block("cpuOptions", nested_virtualization=_text("nestedVirtualization")),
        ),
        autoscaler=_AUTOSCALER,
    ),
}
# Blocks that the wire has as one object; every other block is a list there.
_ONE_OBJECT = {"networking", "autoscaler", "image", "overrideImage", "cpuOptions"}
ADD_ONS: Mapping[str, Member] = {
    **{
        name: Member(wire, "switch")
        for name, wire in {
            "dashboard": "dashboard",
            "headlamp": "headlamp",
            "aws_workload_identity": "awsWorkloadIdentity",
            "local_path_storage": "localPathStorage",
            "sysbox": "sysbox",
        }.items()
    },
    "azure_workload_identity": _block("azureWorkloadIdentity", tenant_id=_text("tenantId")),
    "metrics": _block("metrics", kube_state=Member("kubeState", "flag")),
    "logs": _block("logs", audit_enabled=Member("auditEnabled", "flag")),
    "nvidia": _block("nvidia", taint_gpu_nodes=Member("taintGPUNodes", "flag")),
    "registry_mirror": _block("registryMirror"),
    "aws_efs": _block("awsEFS", **_ROLE),
    "aws_ecr": _block("awsECR", **_ROLE),
    "aws_elb": _block("awsELB", **_ROLE),
    "azure_acr": _block("azureACR", client_id=_text("clientId")),
    "byok": _block("byok"),
    "kubevirt": _block("kubevirt"),
    "node_local_dns": _block("nodeLocalDns"),
}
_FIREWALL = {"source_cidr": _text("sourceCIDR"), "description": _text("description")}


@dataclass
class Provider:
    """One `provider "cpln"` block: organisation acme, the editor's token, and an endpoint that may end with a slash."""

    hub: Hub
    prefix: str = ""
    sent: list[tuple[str, str, Any]] = field(default_factory=list)

    def create(self, config: Attributes) -> Attributes:
        body = {"name": config["name"], "description": _description(config)}
        body |= {"tags": {**(config.get("tags") or {}), **_OWN_TAGS}, "spec": specification(config)}
        self._request("POST", "/org/acme/mk8s", body)
        return self._after(config)

    def update(self, config: Attributes) -> Attributes:
        """An update in place; a tag alone replaces the whole `spec` as well."""
        body = {"name": config["name"], "description": _description(config)}
        body |= {"$replace/tags": {**(config.get("tags") or {}), **_OWN_TAGS}}
        body |= {"$replace/spec": specification(config)}
        self._request("PATCH", f"/org/acme/mk8s/{config['name']}", body)
        return self._after(config)

    def read(self, name: str) -> Attributes | None:
        """The state after a refresh or an import; None where the cluster is gone."""
        answer = self._send("GET", f"/org/acme/mk8s/{name}", None)
        if answer.status_code == 404:
            return None
        _check(answer)
        return state(json.loads(answer.text))

    def delete(self, name: str) -> None:
        self._request("DELETE", f"/org/acme/mk8s/{name}", None)

    def plan(self, config: Attributes) -> dict[str, tuple[Any, Any]]:
        """What an apply would change: attribute to (state, configuration)."""
        found = self.read(config["name"])
        wanted = planned(config)
        if found is None:
            return {name: (None, value) for name, value in wanted.items()}
        return {
            name: (found[name], wanted[name])
            for name in wanted
            if _canonical(found[name]) != _canonical(wanted[name])
        }

    def _after(self, config: Attributes) -> Attributes:
        found = self.read(config["name"])
        if found is None:
            raise ProviderError("the read after the write finds nothing")
        wanted = planned(config)
        differs = [name for name in wanted if _canonical(found[name]) != _canonical(wanted[name])]
        if differs:
            raise ProviderError(f"Provider produced inconsistent result after apply: {differs}")
        return found

    def _request(self, method: str, path: str, body: Attributes | None) -> None:
        _check(self._send(method, path, body))

    def _send(self, method: str, path: str, body: Attributes | None) -> TestResponse:
        self.sent.append((method, path, body))
        headers = {"Authorization": self.hub.editor, "User-Agent": "Go-http-client/1.1"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else _go_json(body)
        return self.hub.call(
            method,
            "/",
            caller=None,
            headers=headers,
            data=data,
            environ_overrides={"PATH_INFO": self.prefix + path},
        )


def specification(config: Attributes) -> Attributes:
    """`spec` as the provider sends it: every default in it, what is null left out."""
    spec: Attributes = {"version": config["version"]}
    if config.get("firewall"):
        spec["firewall"] = [_build(rule, _FIREWALL) for rule in config["firewall"]]
    spec["provider"] = {
        member.wire: _build(config[name][0], member.inner)
        for name, member in PROVIDERS.items()
        if config.get(name)
    }
    if config.get("add_ons") is not None:
        spec["addOns"] = _build(config["add_ons"][0], ADD_ONS)
    return spec


def planned(config: Attributes) -> Attributes:
    """The configuration with the provider's defaults: what the state must be after an apply."""
    wanted = {
        "name": config["name"],
        "description": _description(config),
        "tags": config.get("tags") or {},
        "version": config["version"],
        "firewall": [_planned(rule, _FIREWALL) for rule in config.get("firewall") or []],
        "add_ons": None if config.get("add_ons") is None else [_planned(config["add_ons"][0], ADD_ONS)],
    }
    for name, member in PROVIDERS.items():
        wanted[name] = [_planned(block, member.inner) for block in config.get(name) or []]
    return wanted


def state(answer: Attributes) -> Attributes:
    """The state that an answer makes.

    Raises:
        TypeError: Go's decoder would refuse it, or the plugin would crash.
    """
    for name in ("id", "name", "description", "kind", "alias", "created", "lastModified"):
        _expect(answer.get(name), str, name)
    _expect(answer.get("version"), int, "version")
    spec, provider = answer["spec"], answer["spec"]["provider"]
    tags = _expect(answer.get("tags"), dict, "tags") or {}
    found: Attributes = {
        "cpln_id": answer["id"],
        "self_link": next(link["href"] for link in answer["links"] if link["rel"] == "self"),
        "name": answer["name"],
        "description": answer["description"],
        "tags": {key: value for key, value in tags.items() if key not in _OWN_TAGS},
        "version": _expect(spec.get("version"), str, "version"),
        "firewall": [_flatten(rule, _FIREWALL) for rule in spec.get("firewall") or []],
        "add_ons": None if spec.get("addOns") is None else [_flatten(spec["addOns"], ADD_ONS)],
        "status": _status(answer.get("status") or {}),
    }
    for name, member in PROVIDERS.items():
        body = provider.get(member.wire)
        found[name] = [] if body is None else [_flatten(body, member.inner)]
    return found


def _status(status: Attributes) -> Attributes:
    add_ons = _expect(status.get("addOns"), dict, "status.addOns") or {}
    identity = add_ons.get("awsWorkloadIdentity") or {}
    config = _expect(identity.get("oidcProviderConfig"), dict, "oidcProviderConfig") or {}
    policies = {
        key: _expect((add_ons.get(key) or {}).get("trustPolicy"), dict, f"{key}.trustPolicy")
        for key in ("awsWorkloadIdentity", "awsECR")
    }
    return {
        "oidc_provider_url": _expect(status.get("oidcProviderUrl"), str, "oidcProviderUrl"),
        "server_url": _expect(status.get("serverUrl"), str, "serverUrl"),
        "home_location": _expect(status.get("homeLocation"), str, "homeLocation"),
        "provider_url": _expect(config.get("providerUrl"), str, "providerUrl"),
        "audience": _expect(config.get("audience"), str, "audience"),
        "trust_policies": policies,
    }


def _build(block: Attributes, members: Mapping[str, Member]) -> Attributes:
    unknown = set(block) - set(members)
    if unknown:
        raise ProviderError(f"Unsupported argument: {unknown}")
    built: Attributes = {}
    for name, member in members.items():
        value = block.get(name, member.default)
        if value is None or (value is False and member.kind == "switch"):
            continue
        if member.kind == "switch":
            built[member.wire] = {}
        elif member.kind == "set":
            built[member.wire] = sorted(value)
        elif member.kind != "block":
            built[member.wire] = value
        elif _is_object(member, members):
            built[member.wire] = _build(value[0], member.inner)
        else:
            built[member.wire] = [_build(item, member.inner) for item in value]
    return built


def _planned(block: Attributes, members: Mapping[str, Member]) -> Attributes:
    wanted: Attributes = {}
    for name, member in members.items():
        value = block.get(name, member.default)
        wanted[name] = (
            [_planned(item, member.inner) for item in value or []] if member.kind == "block" else value
        )
    return wanted


def _flatten(body: Attributes, members: Mapping[str, Member]) -> Attributes:
    found: Attributes = {}
    kinds: Mapping[str, type | tuple[type, ...]] = {
        "text": str, "number": int, "float": (int, float), "flag": bool, "set": list, "map": dict, "switch": dict,
    }  # fmt: skip
    for name, member in members.items():
        value = body.get(member.wire)
        if member.kind != "block":
            _expect(value, kinds[member.kind], member.wire)
            found[name] = True if member.kind == "switch" and value is not None else value
        elif value is None:
            found[name] = []
        else:
            items = [value] if _is_object(member, members) else value
            found[name] = [_flatten(_expect(item, dict, member.wire), member.inner) for item in items]
    return found


def _is_object(member: Member, members: Mapping[str, Member]) -> bool:
    return members is ADD_ONS or member.wire in _ONE_OBJECT


def _expect(value: Any, kind: type | tuple[type, ...], name: str) -> Any:
    wrong = isinstance(value, bool) and kind is not bool
    if value is not None and (wrong or not isinstance(value, kind)):
        raise TypeError(f"json: cannot unmarshal {value!r} into Go struct field {name}")
    return value


def _canonical(value: Any) -> Any:
    """Sets have no order; everything else has."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_canonical(item) for item in value]
        return sorted(items) if all(isinstance(item, str) for item in items) else items
    return value


def _description(config: Attributes) -> str:
    return str(config.get("description") or config["name"])


def _go_json(body: Attributes) -> str:
    """`encoding/json`: no blanks, and `<`, `>` and `&` escaped."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _check(answer: TestResponse) -> None:
    if answer.status_code not in _ACCEPTED:
        raise ProviderError(f"status: {answer.status_code}, body: {answer.text}")
