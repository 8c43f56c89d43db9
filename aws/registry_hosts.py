"""ECR's host names: plain, FIPS and dual-stack, in each partition.

`controller` and the agent ask which registry (and so which region, hence which credential) an
image belongs to, and under which host names a pull secret has to offer it.

The forms are those of the upstream `ecr-credential-provider` and of
https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html. ECR Public has neither account nor
region and needs a credential of its own: here it is the one registry of a region of its own, `PUBLIC`, and is told
apart wherever somebody has to have asked for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOST = re.compile(
    r"(?P<account>[0-9]{12})\.dkr(?P<separator>[.-])ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9]+(?:-[a-z0-9]+)+)\."
    r"(?P<suffix>[a-z0-9.-]+)"
)
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")

# The longest prefix comes first where one begins like another.
_PARTITION_OF_REGION_PREFIX = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("eusc-", "aws-eusc"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-iso-", "aws-iso"),
)
_SUFFIX_OF_PARTITION = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}
_DUAL_STACK_SUFFIX_OF_PARTITION = {
    "aws": "on.aws",
    "aws-us-gov": "on.aws",
    "aws-cn": "on.amazonwebservices.com.cn",
}
_HTTPS_PORT = "443"

PUBLIC = "public"  # stands for a region where ECR Public is meant
PUBLIC_HOSTS = ("public.ecr.aws", "ecr-public.aws.com")
PUBLIC_REGION = (
    "us-east-1"  # where ECR Public gives out its tokens; there is nothing of it outside partition aws
)


@dataclass(frozen=True)
class RegistryHost:
    """A registry under one of its names: that of one account in one region, or ECR Public.

    ECR Public has `region` `PUBLIC` and neither account nor suffix.
    """

    host: str
    account: str
    region: str
    suffix: str
    dual_stack: bool = False
    fips: bool = False

    @property
    def wildcard(self) -> str:
        """The glob (one `*` per label, as the kubelet reads it) over every account's registry of this form.

        ECR Public has no accounts, so there it is the host itself.
        """
        return self.host if self.is_public else "*" + self.host.removeprefix(self.account)

    @property
    def is_public(self) -> bool:
        """Whether it is ECR Public."""
        return self.region == PUBLIC


def parse(host: str) -> RegistryHost | None:
    """The registry named `host` (lower case, no scheme, no port), private or public.

    None when it is no ECR registry: another form, or a region under another partition's suffix.
    """
    if host in PUBLIC_HOSTS:
        return RegistryHost(host=host, account="", region=PUBLIC, suffix="")
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    region, suffix = match["region"], match["suffix"]
    dual_stack = match["separator"] == "-"
    suffixes = _DUAL_STACK_SUFFIX_OF_PARTITION if dual_stack else _SUFFIX_OF_PARTITION
    if suffixes.get(partition_of(region)) != suffix:
        return None
    return RegistryHost(
        host=host,
        account=match["account"],
        region=region,
        suffix=suffix,
        dual_stack=dual_stack,
        fips=match["fips"] is not None,
    )


def of_image(reference: str) -> RegistryHost | None:
    """The private registry of an image reference (`HOST[:443]/REPOSITORY[:TAG][@DIGEST]`).

    None when it is not a private ECR one, so that images of ECR Public, which anybody may pull, ask for no
    credential by merely being there; ECR answers on port 443 only.
    """
    registry = of_any_image(reference)
    return None if registry is None or registry.is_public else registry


def of_any_image(reference: str) -> RegistryHost | None:
    """The same, ECR Public included: for an image that somebody named, and where ECR Public is asked for."""
    authority, slash, repository = reference.partition("/")
    host, _, port = authority.partition(":")
    if not slash or not repository or (authority != host and port != _HTTPS_PORT):
        return None
    return parse(host)


def host_of(account: str, region: str) -> str:
    """The plain host name of an account's registry in a region of any partition.

    Raises:
        ValueError: `account` is not 12 digits, or `region` is no region's name.
    """
    if _ACCOUNT.fullmatch(account) is None:
        raise ValueError(f"account {account!r}: expected 12 digits")
    return f"{account}.dkr.ecr.{checked_region(region)}.{suffix_of(region)}"


def checked_region(region: str) -> str:
    """The region, where its name has the form of one.

    Raises:
        ValueError: it has not.
    """
    if _REGION.fullmatch(region) is None:
        raise ValueError(f"region {region!r}: expected a name as eu-central-1")
    return region


def api_region(region: str) -> str:
    """The region whose API gives out the credential: `region` itself, for `PUBLIC` us-east-1."""
    return PUBLIC_REGION if region == PUBLIC else region


def suffix_of(region: str) -> str:
    """The domain of AWS's names in a region, for example `amazonaws.com.cn`."""
    return suffix_of_partition(partition_of(region))


def suffix_of_partition(partition: str) -> str:
    """The domain of AWS's names in a partition."""
    return _SUFFIX_OF_PARTITION[partition]


def wildcard(region: str, suffix: str) -> str:
    """`*.dkr.ecr.REGION.SUFFIX`: one dockerconfigjson entry for every account of a region.

    Under a dual-stack suffix the form is `*.dkr-ecr.REGION.SUFFIX`. `RegistryHost.wildcard` knows FIPS too.
    """
    form = "dkr-ecr" if suffix in _DUAL_STACK_SUFFIX_OF_PARTITION.values() else "dkr.ecr"
    return f"*.{form}.{region}.{suffix}"


def kubelet_patterns(partition: str | None, *, public: bool = False) -> tuple[str, ...]:
    """The kubelet's `matchImages` over every private registry of a partition; None: of all partitions.

    `public` adds ECR Public, which needs two permissions more than private registries do.
    """
    partitions = tuple(_SUFFIX_OF_PARTITION) if partition is None else (partition,)
    found: dict[str, None] = {}
    for each in partitions:
        forms = [("dkr.ecr", _SUFFIX_OF_PARTITION[each])]
        if each in _DUAL_STACK_SUFFIX_OF_PARTITION:
            forms.append(("dkr-ecr", _DUAL_STACK_SUFFIX_OF_PARTITION[each]))
        for form, suffix in forms:
            found[f"*.{form}.*.{suffix}"] = found[f"*.{form}-fips.*.{suffix}"] = None
    return (*found, *(PUBLIC_HOSTS if public else ()))


def partition_of(region: str) -> str:
    """`aws`, `aws-cn`, `aws-us-gov`, …; a region nobody has heard of yet is taken for one of `aws`, as is `PUBLIC`."""
    for prefix, partition in _PARTITION_OF_REGION_PREFIX:
        if region.startswith(prefix):
            return partition
    return "aws"
