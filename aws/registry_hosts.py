"""ECR's host names: private, FIPS, dual-stack, each partition; ECR Public."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RegistryHost:
    """A private registry; `public` ones have neither account nor region."""

    host: str
    account: str
    region: str
    suffix: str
    dual_stack: bool = False
    fips: bool = False


def parse(host: str) -> RegistryHost | None:
    """None when `host` is no private ECR registry."""
    raise NotImplementedError


def of_image(reference: str) -> RegistryHost | None:
    """The registry of an image reference, None when it is not a private ECR one."""
    raise NotImplementedError


def host_of(account: str, region: str) -> str:
    """The plain host name of an account's registry in a region of any partition."""
    raise NotImplementedError


def wildcard(region: str, suffix: str) -> str:
    """`*.dkr.ecr.REGION.SUFFIX`: one dockerconfigjson entry for every account of a region."""
    raise NotImplementedError


def partition_of(region: str) -> str:
    """`aws`, `aws-cn`, `aws-us-gov`, …"""
    raise NotImplementedError
