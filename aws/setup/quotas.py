"""What does not fit an account's quotas, and the request that raises them, ready to paste.

IAM's quotas are asked for in one region of each partition, whatever region anything else is in.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html, codes:
https://docs.aws.amazon.com/general/latest/gr/iam-service.html
"""

from __future__ import annotations

from aws.setup.steps import Obstacle
from aws.trust_policy import MAXIMUM_QUOTA

TRUST_POLICY_CODE = "L-C07B4B0D"  # Role trust policy length
PROVIDERS_CODE = "L-858F3967"  # OpenId connect providers per account
ATTACHED_CODE = "L-0DA4ABF3"  # Managed policies per role
MOST_PROVIDERS = 700
MOST_ATTACHED = 20

# Where IAM answers, and where its quotas are asked for (botocore's endpoints, `iam`).
HOME_REGIONS = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-eusc": "eusc-de-east-1",
    "aws-iso": "us-iso-east-1",
    "aws-iso-b": "us-isob-east-1",
    "aws-iso-e": "eu-isoe-west-1",
    "aws-iso-f": "us-isof-south-1",
}
_ROUND = 1024


def trust_policy_too_long(partition: str, size: int, quota: int) -> Obstacle:
    """`size` is that of the merged document."""
    message = f"the trust policy would be {size} characters, over this account's quota of {quota}"
    if size > MAXIMUM_QUOTA:
        return Obstacle(
            "TrustPolicyTooLong",
            message,
            f"AWS raises the quota to {MAXIMUM_QUOTA} at most: give some of the clusters another role.",
        )
    wanted = min(MAXIMUM_QUOTA, -(-size // _ROUND) * _ROUND)
    return Obstacle(
        "TrustPolicyTooLong",
        message,
        f"Ask for more, then run this again: {request(partition, TRUST_POLICY_CODE, wanted)} ; or give some of the"
        " clusters another role.",
    )


def too_many_providers(partition: str, quota: int) -> Obstacle:
    """OIDC providers of the account."""
    wanted = min(MOST_PROVIDERS, quota + 100)
    remedy = f"Ask for more, then run this again: {request(partition, PROVIDERS_CODE, wanted)}"
    if quota >= MOST_PROVIDERS:
        remedy = "AWS allows no more: remove providers that nobody uses, or use roles in another account."
    return Obstacle(
        "TooManyProviders", f"the account has room for {quota} OIDC providers, and all are taken", remedy
    )


def too_many_audiences(provider_arn: str, quota: int) -> Obstacle:
    """Audiences of one provider."""
    return Obstacle(
        "TooManyAudiences",
        f"{provider_arn} has {quota} audiences, and IAM takes no more",
        "Take out one that nobody uses: aws iam remove-client-id-from-open-id-connect-provider"
        f" --open-id-connect-provider-arn {provider_arn} --client-id AUDIENCE",
    )


def too_many_attached(partition: str, role_arn: str, quota: int) -> Obstacle:
    """Managed policies of one role."""
    return Obstacle(
        "TooManyPolicies",
        f"{role_arn} has {quota} managed policies, and this account allows no more",
        "Use --permissions least, which needs none, or ask for more: "
        + request(partition, ATTACHED_CODE, MOST_ATTACHED),
    )


def inline_policies_too_long(size: int, quota: int) -> Obstacle:
    """All inline policies of one role together; this quota cannot be raised."""
    return Obstacle(
        "PolicyTooLong",
        f"the role's own policies would be {size} characters together, over IAM's limit of {quota}",
        "Name repositories by globs (--repository 'team/*'), or use --permissions pull-only.",
    )


def request(partition: str, code: str, value: int) -> str:
    """The Service Quotas request, ready to paste."""
    return (
        f"aws service-quotas request-service-quota-increase --region {HOME_REGIONS[partition]} --service-code iam"
        f" --quota-code {code} --desired-value {value}"
    )
