"""Image references, as far as a registry needs them.

The grammar is that of github.com/distribution/reference. Called by `aws.chain` and `aws.registry`, which must not put
into a URL what is no reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aws import registry_hosts
from aws.registry_hosts import RegistryHost

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"[^/]+/(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}))?"
)


@dataclass(frozen=True)
class EcrImage:
    """An image in an ECR registry; `reference` is its digest, or else its tag (`latest` when unsaid)."""

    registry: RegistryHost
    repository: str
    reference: str


def parse_image(text: str) -> EcrImage:
    """The parts of `HOST[:443]/REPOSITORY[:TAG][@DIGEST]`.

    Raises:
        ValueError: it is no image reference, or not one of an ECR registry.
    """
    registry = registry_hosts.of_any_image(text)
    if registry is None:
        raise ValueError(f"image {text!r}: expected one of an ECR registry")
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ValueError(f"image {text!r}: expected HOST/REPOSITORY[:TAG][@DIGEST]")
    return EcrImage(
        registry=registry,
        repository=match["repository"],
        reference=match["digest"] or match["tag"] or "latest",
    )
