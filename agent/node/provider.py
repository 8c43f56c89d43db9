"""The provider that we put into the kubelet's configuration: what it matches and what its plugin is told.

`plan` merges it, `plugin` runs the plugin with its environment. The plugin is the upstream ecr-credential-provider
(https://github.com/kubernetes/cloud-provider-aws/tree/master/cmd/ecr-credential-provider), under a name of our own.
"""

from __future__ import annotations

import re
from typing import Any

from agent.node.configuration import Configuration
from agent.node.provider_config import PROVIDER_NAME

TOKEN_FILE = "/var/lib/pullpass/token"  # noqa: S105 - a path
CA_BUNDLE_FILE = "/var/lib/pullpass/ca-bundle.pem"
ROLE_ANNOTATION = "eks.amazonaws.com/ecr-role-arn"
_ROLE = re.compile(r"^arn:([\w-]+):iam::(\d{12}):role/")
_REGISTRY = re.compile(r"^\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.")
_SUFFIXES = {
    "aws": "amazonaws.com",
    "aws-us-gov": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}
_REGIONS = {
    "aws": "us-east-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-cn": "cn-north-1",
    "aws-eusc": "eusc-de-east-1",
}
_LONGEST_SESSION = (
    64  # https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
)


def needs_token(wanted: Configuration) -> bool:
    """Whether the plugin assumes the role with the driver's own token."""
    return wanted.role_arn is not None and wanted.identity == "shared"


def provider(wanted: Configuration) -> dict[str, Any]:
    """The element of `providers`."""
    content: dict[str, Any] = {
        "name": PROVIDER_NAME,
        "matchImages": list(wanted.match_images),
        "defaultCacheDuration": "12h",
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
    }
    variables = environment(wanted)
    if variables:
        content["env"] = [{"name": name, "value": value} for name, value in variables.items()]
    if wanted.identity == "serviceAccount":
        content["tokenAttributes"] = {
            "serviceAccountTokenAudience": wanted.audience,
            "cacheType": "ServiceAccount",
            "requireServiceAccount": True,
            # Without a role in its annotation the plugin would fall back to the node's own identity, unseen.
            "requiredServiceAccountAnnotationKeys": [ROLE_ANNOTATION],
        }
    return content


def environment(wanted: Configuration) -> dict[str, str]:
    """What the kubelet adds to the plugin's environment."""
    aws = wanted.aws
    found: dict[str, str | None] = {}
    if needs_token(wanted):
        found["AWS_ROLE_ARN"] = wanted.role_arn
        found["AWS_WEB_IDENTITY_TOKEN_FILE"] = TOKEN_FILE
        found["AWS_ROLE_SESSION_NAME"] = session_name(wanted)
    if needs_token(wanted) or wanted.identity == "serviceAccount":
        # The credentials come from a token; off AWS the plugin would wait for instance metadata that is not there.
        found["AWS_EC2_METADATA_DISABLED"] = "true"
    found["AWS_REGION"] = region(wanted)
    found["AWS_STS_REGIONAL_ENDPOINTS"] = "regional"
    found["AWS_ENDPOINT_URL_STS"] = aws.sts_endpoint
    found["AWS_ENDPOINT_URL_ECR"] = aws.ecr_endpoint
    found["HTTPS_PROXY"] = aws.https_proxy
    found["NO_PROXY"] = aws.no_proxy
    found["AWS_CA_BUNDLE"] = CA_BUNDLE_FILE if aws.ca_bundle else None
    return {name: value for name, value in found.items() if value}


def region(wanted: Configuration) -> str | None:
    """The region named, else that of the image to verify, else the first of the role's partition."""
    if wanted.region:
        return wanted.region
    match = _REGISTRY.match(wanted.verify_image or "")
    if match:
        return match[1]
    role = _ROLE.match(wanted.role_arn or "")
    return _REGIONS.get(role[1]) if role else None


def session_name(wanted: Configuration) -> str:
    """What CloudTrail shows: which cluster asked."""
    name = f"pullpass-{wanted.cluster.organisation}-{wanted.cluster.name}"
    return re.sub(r"[^\w+=,.@-]", "-", name, flags=re.ASCII)[:_LONGEST_SESSION]


def image_to_verify(wanted: Configuration) -> str | None:
    """An image whose registry the plugin is asked for; None when nothing says which registry."""
    if wanted.verify_image:
        return wanted.verify_image
    role, found = _ROLE.match(wanted.role_arn or ""), region(wanted)
    if role is None or found is None or role[1] not in _SUFFIXES:
        return None
    return f"{role[2]}.dkr.ecr.{found}.{_SUFFIXES[role[1]]}/pullpass-verification"
