"""ECR's host names in every form and partition, and the image references that lead to them."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aws import registry_hosts
from aws.registry_hosts import RegistryHost

ACCOUNT = "123456789012"
REGIONS = {
    "eu-central-1": ("aws", "amazonaws.com"),
    "ap-southeast-7": ("aws", "amazonaws.com"),
    "cn-northwest-1": ("aws-cn", "amazonaws.com.cn"),
    "us-gov-west-1": ("aws-us-gov", "amazonaws.com"),
    "eusc-de-east-1": ("aws-eusc", "amazonaws.eu"),
    "us-iso-east-1": ("aws-iso", "c2s.ic.gov"),
    "us-isob-east-1": ("aws-iso-b", "sc2s.sgov.gov"),
    "eu-isoe-west-1": ("aws-iso-e", "cloud.adc-e.uk"),
    "us-isof-south-1": ("aws-iso-f", "csp.hci.ic.gov"),
}
DUAL_STACK = {"aws": ["on.aws"], "aws-us-gov": ["on.aws"], "aws-cn": ["on.amazonwebservices.com.cn"]}
_accounts = st.from_regex(r"[0-9]{12}", fullmatch=True)
_regions = st.sampled_from(sorted(REGIONS))
_repositories = st.from_regex(r"[a-z0-9]+([._/-][a-z0-9]+){0,4}", fullmatch=True)
_tags = st.just("") | st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
_digests = st.just("") | st.from_regex(r"@sha256:[a-f0-9]{64}", fullmatch=True)


@st.composite
def hosts(draw: st.DrawFn) -> tuple[str, RegistryHost]:
    """A private registry under one of the names that its partition has."""
    account, region, fips = draw(_accounts), draw(_regions), draw(st.booleans())
    partition, plain = REGIONS[region]
    suffix = draw(st.sampled_from([plain, *DUAL_STACK.get(partition, [])]))
    dual_stack = suffix != plain
    form = ("dkr-ecr" if dual_stack else "dkr.ecr") + ("-fips" if fips else "")
    host = f"{account}.{form}.{region}.{suffix}"
    return host, RegistryHost(host, account, region, suffix, dual_stack, fips)


def _matches(pattern: str, host: str) -> bool:
    """The kubelet's matchImages: label by label."""
    wanted, found = pattern.split("."), host.split(".")
    return len(wanted) == len(found) and all(
        fnmatchcase(label, glob) for glob, label in zip(wanted, found, strict=True)
    )


@given(account=_accounts, region=_regions)
def test_the_host_of_an_account_and_region_is_read_back(account: str, region: str) -> None:
    host = registry_hosts.host_of(account, region)
    expected = RegistryHost(host=host, account=account, region=region, suffix=REGIONS[region][1])
    assert expected == registry_hosts.parse(host)


@given(
    account=_accounts,
    region=_regions,
    port=st.sampled_from(["", ":443"]),
    repository=_repositories,
    tag=_tags,
    digest=_digests,
)
def test_an_image_reference_leads_to_its_registry(
    *, account: str, region: str, port: str, repository: str, tag: str, digest: str
) -> None:
    host = registry_hosts.host_of(account, region)
    found = registry_hosts.of_image(f"{host}{port}/{repository}{tag}{digest}")
    assert registry_hosts.parse(host) == found


@given(st.text())
def test_no_text_makes_the_parser_fail(text: str) -> None:
    registry_hosts.parse(text)
    registry_hosts.of_image(text)


@given(host=hosts())
def test_every_form_of_a_host_is_read_and_covered_by_its_wildcard(host: tuple[str, RegistryHost]) -> None:
    text, expected = host
    found = registry_hosts.parse(text)
    assert expected == found
    assert _matches(found.wildcard, text)


@given(host=hosts())
def test_the_kubelet_asks_for_every_form_in_its_partition_and_in_no_other(
    host: tuple[str, RegistryHost],
) -> None:
    text, expected = host
    for partition in {partition for partition, _ in REGIONS.values()} | {None}:
        matched = any(_matches(pattern, text) for pattern in registry_hosts.kubelet_patterns(partition))
        own = registry_hosts.partition_of(expected.region)
        twins = {"aws", "aws-us-gov"}  # their hosts end alike
        assert (partition in {None, own} or {partition, own} == twins) == matched


@given(
    host=hosts(),
    before=st.sampled_from(["", "evil.", "x", "1", "https://", "//", "user@", " "]),
    after=st.sampled_from(["", ".evil.com", ".", "x", ":5000", "/", "%00", "\n", "@evil.com"]),
)
def test_what_only_looks_like_a_host_is_none(host: tuple[str, RegistryHost], before: str, after: str) -> None:
    assume(before or after)
    assert registry_hosts.parse(f"{before}{host[0]}{after}") is None


@given(host=hosts() | st.sampled_from([("public.ecr.aws", None), ("ecr-public.aws.com", None)]))
def test_an_image_of_a_lookalike_is_of_nobody(host: tuple[str, object]) -> None:
    for authority in (f"{host[0]}.evil.com", f"evil.{host[0]}", f"{host[0]}:5000", f"evil@{host[0]}"):
        assert registry_hosts.of_any_image(f"{authority}/team/app:1") is None


@given(region=st.sampled_from(["on", "public", "eu", "a b", "eu_west-1", "-", "eu-", "-1", "EU-WEST-1"]))
@pytest.mark.parametrize(
    "form", ["dkr.ecr.{}.amazonaws.com", "dkr-ecr.{}.on.aws", "dkr.ecr.{}.on.aws", "dkr-ecr.{}.aws"]
)
def test_a_region_is_never_made_up(form: str, region: str) -> None:
    assert registry_hosts.parse(f"{ACCOUNT}.{form.format(region)}") is None


@pytest.mark.parametrize("host", registry_hosts.PUBLIC_HOSTS)
def test_ecr_public_is_a_registry_of_a_region_of_its_own(host: str) -> None:
    found = registry_hosts.parse(host)
    assert found is not None
    assert (True, registry_hosts.PUBLIC, "", host) == (
        found.is_public,
        found.region,
        found.account,
        found.wildcard,
    )


@given(
    host=st.sampled_from(registry_hosts.PUBLIC_HOSTS),
    port=st.sampled_from(["", ":443"]),
    repository=_repositories,
    tag=_tags,
    digest=_digests,
)
def test_an_image_of_ecr_public_asks_for_it_only_where_somebody_named_it(
    *, host: str, port: str, repository: str, tag: str, digest: str
) -> None:
    image = f"{host}{port}/{repository}{tag}{digest}"
    assert registry_hosts.of_image(image) is None
    assert registry_hosts.parse(host) == registry_hosts.of_any_image(image)


def test_the_kubelet_asks_for_ecr_public_where_it_is_wanted() -> None:
    private = registry_hosts.kubelet_patterns("aws")
    assert (*private, *registry_hosts.PUBLIC_HOSTS) == registry_hosts.kubelet_patterns("aws", public=True)


@pytest.mark.parametrize(("region", "expected"), [("public", "us-east-1"), ("eu-west-1", "eu-west-1")])
def test_the_api_of_ecr_public_is_in_one_region(region: str, expected: str) -> None:
    assert expected == registry_hosts.api_region(region)


@pytest.mark.parametrize(("region", "partition"), [(region, REGIONS[region][0]) for region in REGIONS])
def test_a_region_tells_its_partition(region: str, partition: str) -> None:
    assert partition == registry_hosts.partition_of(region)


@pytest.mark.parametrize(
    ("host", "region", "suffix", "dual_stack", "fips", "wildcard"),
    [
        (
            f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com",
            "eu-central-1",
            "amazonaws.com",
            False,
            False,
            "*.dkr.ecr.eu-central-1.amazonaws.com",
        ),
        (
            f"{ACCOUNT}.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "us-gov-west-1",
            "amazonaws.com",
            False,
            True,
            "*.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        ),
        (
            f"{ACCOUNT}.dkr-ecr.eu-central-1.on.aws",
            "eu-central-1",
            "on.aws",
            True,
            False,
            "*.dkr-ecr.eu-central-1.on.aws",
        ),
        (
            f"{ACCOUNT}.dkr-ecr-fips.us-east-1.on.aws",
            "us-east-1",
            "on.aws",
            True,
            True,
            "*.dkr-ecr-fips.us-east-1.on.aws",
        ),
        (
            f"{ACCOUNT}.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
            "cn-north-1",
            "on.amazonwebservices.com.cn",
            True,
            False,
            "*.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
        ),
    ],
)
def test_each_form_of_a_host_is_told_apart(
    *, host: str, region: str, suffix: str, dual_stack: bool, fips: bool, wildcard: str
) -> None:
    found = registry_hosts.parse(host)
    assert RegistryHost(host, ACCOUNT, region, suffix, dual_stack, fips) == found
    assert wildcard == found.wildcard


@pytest.mark.parametrize(
    "host",
    [
        "",
        "public.ecr.aws.evil.example",
        "evil.public.ecr.aws",
        "public.ecr.aws:443",
        "Public.ecr.aws",
        "docker.io",
        f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
        f"evil.example.{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com.cn",
        f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.eu-central-1.on.aws",
        f"{ACCOUNT}.dkr-ecr.eu-central-1.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com\n",
        f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com:443",
        f"https://{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com",
        "12345678901.dkr.ecr.eu-central-1.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr..amazonaws.com",
    ],
)
def test_what_is_no_registry_is_none(host: str) -> None:
    assert registry_hosts.parse(host) is None


@pytest.mark.parametrize(
    "reference",
    [
        "nginx",
        "library/nginx:1.27",
        "public.ecr.aws/nginx/nginx:1.27",
        f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/",
        f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com:5000/app",
        f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com:/app",
        f"docker.io/{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/app",
    ],
)
def test_an_image_from_elsewhere_has_no_private_registry(reference: str) -> None:
    assert registry_hosts.of_image(reference) is None


def test_a_wildcard_covers_every_account_of_a_region() -> None:
    assert (
        registry_hosts.wildcard("cn-north-1", "amazonaws.com.cn") == "*.dkr.ecr.cn-north-1.amazonaws.com.cn"
    )


def test_a_dual_stack_wildcard_has_the_dual_stack_form() -> None:
    assert registry_hosts.wildcard("eu-west-1", "on.aws") == "*.dkr-ecr.eu-west-1.on.aws"


@pytest.mark.parametrize(("account", "region"), [("12", "eu-west-1"), (ACCOUNT, ""), (ACCOUNT, "eu west")])
def test_a_host_of_nonsense_is_refused(account: str, region: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        registry_hosts.host_of(account, region)
