"""From who somebody is to what signs calls: a web identity, a key pair or the instance, and roles on top of it.

The first hops of every walk (`aws.chain`). Called by the agent, one walk at a time; keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aws import errors, metadata, registry_hosts, sts, transport
from aws.credentials import AwsEndpoints, SessionCredentials
from aws.hops import AwsFailure, HopName
from aws.identities import AccessKeys, InstanceMetadata, RoleLink, WebIdentity

Source = WebIdentity | AccessKeys | InstanceMetadata


def hops(source: Source, roles: Sequence[RoleLink] = ()) -> tuple[HopName, ...]:
    """The hops that `session` goes: token and sts, sts alone without a token, none for bare keys."""
    if isinstance(source, WebIdentity):
        return (HopName.TOKEN, HopName.STS)
    if isinstance(source, AccessKeys) and not roles:
        return ()
    return (HopName.STS,)


def session(
    source: Source,
    roles: Sequence[RoleLink] = (),
    *,
    read_token: Callable[[], str] | None = None,
    session_name: str,
    region: str,
    endpoints: AwsEndpoints,
    attempts: int = transport.ATTEMPTS,
) -> SessionCredentials:
    """Credentials of the last of `roles`, each assumed with those before it; of `source` itself without any.

    Args:
        source: Who asks. Keys are taken as they are: what is wrong with them shows at the first call they sign.
        roles: In the order in which they are assumed; each session lasts an hour, whatever the roles allow.
        read_token: Reads the token of a `WebIdentity`, and is asked only for one.
        session_name: 2 to 64 letters, digits and `_=,.@-`; it stands in CloudTrail, at each link.
        region: Whose STS is asked; `aws.registry_hosts.PUBLIC` stands for us-east-1.
        endpoints: Of the cluster.
        attempts: Of each call, the first counted.

    Raises:
        aws.hops.AwsFailure: hop token (`TokenUnreadable`) or hop sts: the codes of web identities,
            `MetadataUnavailable`, `KeysRefused`, and `AssumeRoleRefused`, whose words name the link that failed.
    """
    region = registry_hosts.api_region(region)
    match source:
        case WebIdentity(role_arn=role_arn):
            found = sts.assume_role_with_web_identity(
                role_arn=role_arn,
                token=token_text(read_token),
                session_name=session_name,
                region=region,
                endpoints=endpoints,
                attempts=attempts,
            )
        case InstanceMetadata():
            found = metadata.instance_credentials(endpoints=endpoints, attempts=attempts)
        case AccessKeys():
            found = SessionCredentials(
                source.access_key_id, source.secret_access_key, source.session_token, expires_at=None
            )
    for number, link in enumerate(roles, 1):
        found = sts.assume_role(
            link=link,
            place=f"role {number} of {len(roles)}" if len(roles) > 1 else "role",
            credentials=found,
            session_name=session_name,
            region=region,
            endpoints=endpoints,
            attempts=attempts,
        )
    return found


def token_text(read_token: Callable[[], str] | None) -> str:
    """The token, without white space around it.

    Raises:
        aws.hops.AwsFailure: hop token, `TokenUnreadable`: an `OSError`, or no text.
        ValueError: there is nothing to read it with.
    """
    if read_token is None:
        raise ValueError("a web identity needs a token")
    try:
        token = read_token().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AwsFailure(
            HopName.TOKEN, "TokenUnreadable", errors.without_secrets(str(error)), transient=True
        ) from error
    if not token:
        raise AwsFailure(HopName.TOKEN, "TokenUnreadable", "the token file is empty", transient=True)
    return token
