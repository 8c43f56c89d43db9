"""What `cpln … -o tf` and `-o crd` print, and `/discovery`, which tells `cpln` where it is made.

`cpln` asks `/discovery` for two services and each of them for the object at its self link. Both are this hub, so it
must say its own address, and `cpln` sends its token there: an address that might be plain http by mistake is never
given.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from flask import Response, request

from addon_api import answers, terraform
from addon_api.routing import Route, context
from fleet import clusters
from fleet.records import Cluster, ClusterKey, Role
from schemas.status import Json

_TERRAFORM = "/terraform-exporter"
_CUSTOM_RESOURCE = "/k8s-crd-exporter"
_COLLECTION = "/org/<org>/mk8s"
_ONE = "/org/<org>/mk8s/<name>"


def discovery() -> Response:
    """Where the other services are; those that are not named are at the address that was asked."""
    address = _own_address()
    return answers.of_json(
        {
            "endpoints": {}
            if address is None
            else {
                "terraform-exporter": address + _TERRAFORM,
                "k8s-crd-exporter": address + _CUSTOM_RESOURCE,
            }
        }
    )


def terraform_of_one(org: str, name: str) -> Response:
    """One cluster as HCL."""
    return _hcl(terraform.resource(_read(org, name)))


def terraform_of_all(org: str) -> Response:
    """Every cluster as HCL."""
    return _hcl("\n".join(terraform.resource(cluster) for cluster in _every(org)))


def resource_of_one(org: str, name: str) -> Response:
    """One cluster as a custom resource of Control Plane's Kubernetes operator."""
    return answers.of_json(_custom_resource(_read(org, name)))


def resource_of_all(org: str) -> Response:
    """Every cluster as a custom resource."""
    return answers.of_json({"kind": "list", "items": [_custom_resource(cluster) for cluster in _every(org)]})


def _own_address() -> str | None:
    """The URL under which the asker reached this hub, None where that cannot be told without a doubt."""
    host = _forwarded("Host") or request.host
    public = context().settings.public_url
    if public is not None and urlsplit(public).netloc == host:
        return public.rstrip("/")
    if host != request.host:
        return None  # a proxy that changes the host may well change the path, too
    if request.is_secure or _forwarded("Proto") == "https":
        return f"https://{host}{request.script_root}"
    return f"http://{host}{request.script_root}" if _is_loopback(host) else None


def _forwarded(name: str) -> str:
    """What the outermost proxy says of the request as it got it, "" where none says anything."""
    return request.headers.get(f"X-Forwarded-{name}", "").partition(",")[0].strip()


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _read(org: str, name: str) -> Cluster:
    return clusters.read(context().database, ClusterKey(org, name))


def _every(org: str) -> Iterator[Cluster]:
    after = None
    while True:
        page = clusters.page(context().database, org, after=after, limit=answers.MAXIMUM_LIMIT)
        yield from page.items
        after = page.after
        if after is None:
            return


def _custom_resource(cluster: Cluster) -> Json:
    manifest = cluster.manifest
    return {
        "apiVersion": "cpln.io/v1",
        "kind": "mk8s",
        "metadata": {"name": cluster.key.name},
        "org": cluster.key.org,
        "description": cluster.key.name if manifest.get("description") is None else manifest["description"],
        "tags": manifest.get("tags") or {},
        "spec": manifest["spec"],
    }


def _hcl(text: str) -> Response:
    return Response(text, content_type="text/plain; charset=utf-8")


ROUTES = (
    Route(
        "GET",
        "/discovery",
        discovery,
        None,
        "Where `cpln` finds the services of the hub",
        answers={200: "Services"},
    ),
    Route(
        "GET",
        f"{_TERRAFORM}{_COLLECTION}",
        terraform_of_all,
        Role.VIEWER,
        "Every cluster as the HCL of the Terraform provider",
        answers={200: "Hcl"},
    ),
    Route(
        "GET",
        f"{_TERRAFORM}{_ONE}",
        terraform_of_one,
        Role.VIEWER,
        "One cluster as the HCL of the Terraform provider",
        answers={200: "Hcl"},
    ),
    Route(
        "GET",
        f"{_CUSTOM_RESOURCE}{_COLLECTION}",
        resource_of_all,
        Role.VIEWER,
        "Every cluster as a custom resource",
        answers={200: "CustomResourceList"},
    ),
    Route(
        "GET",
        f"{_CUSTOM_RESOURCE}{_ONE}",
        resource_of_one,
        Role.VIEWER,
        "One cluster as a custom resource",
        answers={200: "CustomResource"},
    ),
)
