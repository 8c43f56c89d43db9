"""What an account holds of what a cluster needs, read with the hub's own identity by a role that may only read.

The role has one name in every account, trusts the hub, and asks for the external id of the organisation whose role is
looked at: nobody has another organisation's account read. Called by `controller.iam_checks`, which also bounds it.
"""

from __future__ import annotations

from contextlib import closing

from aws import iam
from aws.hub_failures import HubAwsFailure
from aws.hub_identity import HubIdentity, client_config, session_of
from aws.identities import HubRole
from aws.setup.failures import SetupFailure
from aws.setup.iam_state import IamState
from aws.setup.quotas import HOME_REGIONS
from aws.setup.wanted import Wanted


class NotRead(Exception):
    """The account could not be read; the message says why, in a clause."""


def read(
    identity: HubIdentity, *, role_name: str, external_id: str, wanted: Wanted, session: str
) -> IamState:
    """The state of the account of `wanted.role`, by its role `role_name` (with its path, where it has one).

    Raises:
        NotRead: no identity, a role that does not let us in or lets anybody in, no permission, no answer.
    """
    partition, account = wanted.role.partition, wanted.role.account
    reader = HubRole(f"arn:{partition}:iam::{account}:role/{role_name}", external_id)
    region = HOME_REGIONS[partition]
    try:
        credentials = identity.assume([reader], region=region, name=session)
        if identity.lets_anybody_in(reader, region=region, name=session):
            raise NotRead(f"{reader.role_arn} does not ask for the external id {external_id}")
        boto = session_of(credentials)
        with closing(boto.client("iam", region_name=region, config=client_config())) as client:
            return iam.read_state(client, wanted)
    except HubAwsFailure as failure:
        raise NotRead(f"{failure.code}: {failure.message}") from failure
    except SetupFailure as failure:
        raise NotRead(f"{reader.role_arn} may not {failure.action}: {failure.message}") from failure
