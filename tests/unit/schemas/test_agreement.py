"""`schemas` may not import `aws`, so each has patterns of its own: what the API takes, the controller must read."""

from __future__ import annotations

import contextlib

from hypothesis import example, given
from hypothesis import strategies as st

from aws import arns, registry_hosts
from schemas.addons.schema import ROLE_ARN
from schemas.errors import Invalid
from schemas.manifest import parse

_NAME = st.text(st.sampled_from("abZ9_+=,.@-/: "), max_size=70)
_ROLES = st.builds(
    "arn:{}:iam::{}:role/{}".format,
    st.sampled_from([*arns.PARTITIONS, "aws-x", ""]),
    st.sampled_from(["123456789012", "12345678901", "12345678901a"]),
    _NAME,
)
_REGIONS = st.sampled_from(
    [
        "eu-central-1",
        "us-gov-west-1",
        "cn-north-1",
        "eusc-de-east-1",
        "us-iso-east-1",
        "us-isob-east-1",
        "us-isof-south-1",
        "eu-isoe-west-1",
        "mars",
        "eu--1",
    ]
)
_DOMAINS = st.sampled_from(
    [
        "amazonaws.com",
        "amazonaws.com.cn",
        "amazonaws.eu",
        "c2s.ic.gov",
        "sc2s.sgov.gov",
        "cloud.adc-e.uk",
        "csp.hci.ic.gov",
        "on.aws",
        "on.amazonwebservices.com.cn",
        "example.com",
    ]
)
_HOSTS = st.builds(
    "123456789012.{}.{}.{}".format,
    st.sampled_from(["dkr.ecr", "dkr.ecr-fips", "dkr-ecr", "dkr-ecr-fips", "ecr"]),
    _REGIONS,
    _DOMAINS,
)


@given(_ROLES)
@example("arn:aws:iam::123456789012:role/" + "p" * 510 + "/name")
@example("arn:aws:iam::123456789012:role/" + "p" * 511 + "/name")
@example("arn:aws:iam::123456789012:role//name")
def test_the_api_takes_the_roles_that_the_controller_reads(text: str) -> None:
    role = None
    with contextlib.suppress(ValueError):
        role = arns.parse_role(text)
    match = ROLE_ARN.fullmatch(text)
    assert (None if role is None else (role.partition, role.account)) == (
        None if match is None else (match["partition"], match["account"])
    )


@given(_HOSTS)
def test_the_api_takes_the_registries_that_the_agent_knows(host: str) -> None:
    sent = {"name": "demo", "spec": {"version": "1.34", "provider": {"generic": {"location": "x"}}}}
    taken = True
    try:
        parse(sent, {"awsECR": {"registries": [host], "verifyImage": f"{host}/app:1"}})
    except Invalid:
        taken = False
    assert taken is (registry_hosts.parse(host) is not None)
