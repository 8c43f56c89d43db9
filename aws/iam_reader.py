"""What an account holds of what a cluster needs, read with the hub's own identity by a role that may only read.

The role has one name in every account, trusts the hub, and asks for the external id of the organisation whose role is
looked at: nobody has another organisation's account read. Called by `controller.iam_checks`, which also bounds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from aws import ecr_policies, iam
from aws.hub_failures import HubAwsFailure
from aws.hub_identity import HubIdentity, client_config, session_of
from aws.identities import HubRole
from aws.registry_hosts import partition_of
from aws.setup.failures import SetupFailure
from aws.setup.iam_state import IamState
from aws.setup.quotas import HOME_REGIONS
from aws.setup.registry_sides import RegistryPolicies, known_repositories
from aws.setup.wanted import OtherSide, Wanted


class NotRead(Exception):
    """The account could not be read; the message says why, in a clause."""


def read(
    identity: HubIdentity, *, role_name: str, external_id: str, wanted: Wanted, session: str
) -> IamState:
    """The state of the account of `wanted.role`, by its role `role_name` (with its path, where it has one).

    Raises:
        NotRead: no identity, a role that does not let us in or lets anybody in, no permission, no answer.
    """
    partition = wanted.role.partition
    reader = HubRole(f"arn:{partition}:iam::{wanted.role.account}:role/{role_name}", external_id)
    region = HOME_REGIONS[partition]
    with (
        _told(reader),
        closing(_entered(identity, reader, region, session).client("iam", **_in(region))) as client,
    ):
        return iam.read_state(client, wanted)


def read_registry(
    identity: HubIdentity, *, role_name: str, external_id: str, side: OtherSide, session: str
) -> RegistryPolicies:
    """The policies of a registry of another account, by that account's role `role_name`.

    Raises:
        NotRead: as `read`.
    """
    reader = HubRole(f"arn:{partition_of(side.region)}:iam::{side.account}:role/{role_name}", external_id)
    with (
        _told(reader),
        closing(_entered(identity, reader, side.region, session).client("ecr", **_in(side.region))) as client,
    ):
        return ecr_policies.read(client, known_repositories(side))


def _entered(identity: HubIdentity, reader: HubRole, region: str, session: str) -> Any:
    """A session of the role; one that lets anybody in is not used."""
    credentials = identity.assume([reader], region=region, name=session)
    if identity.lets_anybody_in(reader, region=region, name=session):
        raise NotRead(f"{reader.role_arn} does not ask for the external id {reader.external_id}")
    return session_of(credentials)


def _in(region: str) -> dict[str, Any]:
    return {"region_name": region, "config": client_config()}


@contextmanager
def _told(reader: HubRole) -> Iterator[None]:
    try:
        yield
    except HubAwsFailure as failure:
        raise NotRead(f"{failure.code}: {failure.message}") from failure
    except SetupFailure as failure:
        raise NotRead(f"{reader.role_arn} may not {failure.action}: {failure.message}") from failure
