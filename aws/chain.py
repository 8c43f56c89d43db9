"""The walk token → STS → ECR → registry, and what it gave.

Called by the agent at every refresh and verification. Which hops come first is the identity's: key pairs have no
token, and bare ones no STS either (`aws.sessions.hops`). A region or registry that fails does not keep the others
from their credentials: what was granted is handed back beside the failures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aws import registry_hosts
from aws.credentials import RegistryCredential, SessionCredentials
from aws.hops import AwsFailure, Hop, HopName
from aws.images import parse_image


class Authorize(Protocol):
    """ECR: the credential of one region, or of ECR Public; raises `AwsFailure`. `aws.ecr` with its other arguments bound."""

    def __call__(self, *, credentials: SessionCredentials, region: str) -> RegistryCredential: ...


class CheckRegistry(Protocol):
    """The registry's answer for one host; raises `AwsFailure`. `aws.registry.check` with its endpoints bound."""

    def __call__(self, *, host: str, credential: RegistryCredential, image: str | None) -> None: ...


@dataclass(frozen=True)
class Walk:
    """What a walk came to.

    `hops` are those that were walked, each once: where several regions or registries failed, with the first
    failure; `failures` are all. `credentials` are by region, the failed ones missing.
    """

    hops: tuple[Hop, ...]
    credentials: Mapping[str, RegistryCredential]
    failures: tuple[AwsFailure, ...]

    @property
    def succeeded(self) -> bool:
        """Every hop did, everywhere."""
        return not self.failures


def walk(
    *,
    first_hops: Sequence[HopName],
    open_session: Callable[[], SessionCredentials],
    registries: Sequence[str],
    image: str | None,
    authorize: Authorize,
    check: CheckRegistry,
) -> Walk:
    """Walks once: one session, one ECR call for each region of `registries` and `image`, one look at each host.

    Args:
        first_hops: Those that `open_session` goes, in order; `aws.sessions.hops` of the same identity.
        open_session: `aws.sessions.session` with its arguments bound; raises `AwsFailure` of one of `first_hops`.
        registries: Host names of ECR registries, public ones included.
        image: A reference whose manifest is asked for on its own host, or None.
        authorize: Asked once for each region.
        check: Asked once for each host.

    Raises:
        ValueError: there are no registries, or one is no ECR registry, or `image` is no image of one.
    """
    regions = _hosts_by_region(registries, image)
    try:
        session = open_session()
    except AwsFailure as failure:
        before = first_hops[: first_hops.index(failure.hop)]
        passed = [Hop(name, succeeded=True) for name in before]
        return Walk(hops=(*passed, _hop(failure.hop, [failure])), credentials={}, failures=(failure,))

    credentials: dict[str, RegistryCredential] = {}
    ecr_failures: list[AwsFailure] = []
    registry_failures: list[AwsFailure] = []
    for region, hosts in regions.items():
        try:
            credential = authorize(credentials=session, region=region)
        except AwsFailure as failure:
            ecr_failures.append(failure)
            continue
        credentials[region] = credential
        for host, image_of_host in hosts.items():
            try:
                check(host=host, credential=credential, image=image_of_host)
            except AwsFailure as failure:
                registry_failures.append(failure)
    hops = [*(Hop(name, succeeded=True) for name in first_hops), _hop(HopName.ECR, ecr_failures)]
    if credentials:
        hops.append(_hop(HopName.REGISTRY, registry_failures))
    return Walk(hops=tuple(hops), credentials=credentials, failures=(*ecr_failures, *registry_failures))


def _hosts_by_region(registries: Sequence[str], image: str | None) -> dict[str, dict[str, str | None]]:
    """Region to host to the image to ask for there, in the order given."""
    found: dict[str, dict[str, str | None]] = {}
    for name in registries:
        registry = registry_hosts.parse(name)
        if registry is None:
            raise ValueError(f"registry {name!r}: expected an ECR registry")
        found.setdefault(registry.region, {})[registry.host] = None
    if image is not None:
        registry = parse_image(image).registry
        found.setdefault(registry.region, {})[registry.host] = image
    if not found:
        raise ValueError("a walk needs at least one registry")
    return found


def _hop(name: HopName, failures: Sequence[AwsFailure]) -> Hop:
    if not failures:
        return Hop(name, succeeded=True)
    return Hop(name, succeeded=False, code=failures[0].code, message=failures[0].message)
