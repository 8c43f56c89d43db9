"""What an account of IAM holds, as a value that two ways to the same end can be compared by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from aws.setup.documents import meaning, statements

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient


def of_account(client: IAMClient, *roles: str) -> dict[str, Any]:
    """Every OIDC provider, and those of `roles` that are there; policies by what they mean."""
    arns = [one["Arn"] for one in client.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    return {
        "providers": {arn: _provider(client, arn) for arn in arns},
        "roles": {name: found for name in roles if (found := _role(client, name)) is not None},
    }


def _provider(client: IAMClient, arn: str) -> dict[str, Any]:
    found = client.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    return {"audiences": sorted(found["ClientIDList"]), "tags": _tags(found.get("Tags", ()))}


def _role(client: IAMClient, name: str) -> dict[str, Any] | None:
    try:
        role = client.get_role(RoleName=name)["Role"]
    except ClientError:
        return None
    attached = client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    profiles = client.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]
    return {
        "arn": role["Arn"],
        "description": role.get("Description", ""),
        "max session": role.get("MaxSessionDuration", 3600),
        "trust": _meaning(role["AssumeRolePolicyDocument"]),
        "tags": _tags(role.get("Tags", ())),
        "inline": {
            policy: _meaning(client.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
            for policy in client.list_role_policies(RoleName=name)["PolicyNames"]
        },
        "attached": sorted(policy["PolicyArn"] for policy in attached),
        "instance profiles": sorted(profile["Arn"] for profile in profiles),
    }


def _meaning(document: Any) -> list[str]:
    """Of each statement, with its name, by which Pullpass finds its own."""
    read = json.loads(unquote(document)) if isinstance(document, str) else document
    return sorted(f"{one.get('Sid')} {meaning(one)}" for one in statements(read))


def _tags(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}
