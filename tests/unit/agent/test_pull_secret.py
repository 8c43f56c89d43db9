import base64
import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.secrets import pull_secret
from agent.secrets.pull_secret import EXPIRES_AT, ISSUED_AT, ROLE_ARN, TYPE, SecretView
from aws.credentials import RegistryCredential
from aws.registry_hosts import RegistryHost, parse
from kube.objects import Object

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ROLE = "arn:aws:iam::111122223333:role/pull"
FRANKFURT = RegistryCredential("eu-central-1", "AWS", "frankfurt-password", NOW, NOW + timedelta(hours=12))
DUBLIN = RegistryCredential(
    "eu-west-1", "AWS", "dublin-password", NOW - timedelta(hours=1), NOW + timedelta(hours=11)
)


def host(name: str) -> RegistryHost:
    found = parse(name)
    assert found is not None
    return found


REGISTRIES = (
    host("111122223333.dkr.ecr.eu-central-1.amazonaws.com"),
    host("444455556666.dkr.ecr.eu-west-1.amazonaws.com"),
)


def desired(*credentials: RegistryCredential, role_arn: str = ROLE) -> Object:
    return pull_secret.desired(
        namespace="shop",
        cluster_uid="c-1",
        registries=REGISTRIES,
        credentials={credential.region: credential for credential in credentials},
        role_arn=role_arn,
    )


def stored(obj: Object, **metadata: Any) -> Object:
    obj = deepcopy(obj)
    obj["metadata"] = {**obj["metadata"], "uid": "u-1", "resourceVersion": "5", **metadata}
    return obj


def auths(obj: Object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(obj["data"][".dockerconfigjson"]))["auths"]
    return found


def view(obj: Object) -> SecretView:
    return pull_secret.view(obj)


def test_it_names_exact_hosts_and_the_glob_of_their_region() -> None:
    expected = {
        "111122223333.dkr.ecr.eu-central-1.amazonaws.com",
        "*.dkr.ecr.eu-central-1.amazonaws.com",
        "444455556666.dkr.ecr.eu-west-1.amazonaws.com",
        "*.dkr.ecr.eu-west-1.amazonaws.com",
    }
    assert expected == auths(desired(FRANKFURT, DUBLIN)).keys()


def test_each_host_gets_the_password_of_its_region() -> None:
    found = auths(desired(FRANKFURT, DUBLIN))
    assert found["*.dkr.ecr.eu-west-1.amazonaws.com"]["password"] == "dublin-password"
    assert found["111122223333.dkr.ecr.eu-central-1.amazonaws.com"]["password"] == "frankfurt-password"


def test_a_region_without_a_credential_is_left_out() -> None:
    assert all("eu-central-1" in name for name in auths(desired(FRANKFURT)))


def test_without_any_credential_there_is_no_secret() -> None:
    with pytest.raises(ValueError, match="without credentials"):
        desired()


def test_metadata_says_whose_it_is_and_how_long_it_lives() -> None:
    expected = {
        "name": "pullpass-ecr",
        "namespace": "shop",
        "labels": {
            "app.kubernetes.io/managed-by": "pullpass",
            "pullpass.dev/cluster": "c-1",
            "pullpass.dev/add-on": "awsECR",
        },
        "annotations": {
            ISSUED_AT: "2026-11-22T05:00:00Z",
            EXPIRES_AT: "2026-11-22T17:00:00Z",
            ROLE_ARN: ROLE,
        },
    }
    assert expected == desired(FRANKFURT, DUBLIN)["metadata"]


def test_no_annotation_and_no_view_holds_a_password() -> None:
    obj = desired(FRANKFURT)
    assert "password" not in json.dumps(obj["metadata"]) + repr(view(stored(obj)))


def test_the_role_is_left_out_when_it_is_not_one() -> None:
    assert ROLE_ARN not in desired(FRANKFURT, role_arn="")["metadata"]["annotations"]


def test_what_was_written_is_ours_and_does_not_differ() -> None:
    obj = desired(FRANKFURT)
    found = view(stored(obj))
    assert pull_secret.is_ours(found, "c-1")
    assert not pull_secret.differs(found, obj)


def test_labels_and_annotations_of_others_make_no_difference() -> None:
    obj = desired(FRANKFURT)
    found = stored(obj)
    found["metadata"]["labels"]["team"] = "a"
    found["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    assert not pull_secret.differs(view(found), obj)


@pytest.mark.parametrize(
    "change",
    [
        lambda obj: obj["data"].update({".dockerconfigjson": "e30="}),
        lambda obj: obj["data"].update({"more": "e30="}),
        lambda obj: obj.pop("data"),
        lambda obj: obj["metadata"]["annotations"].pop(EXPIRES_AT),
        lambda obj: obj["metadata"]["labels"].pop("pullpass.dev/add-on"),
    ],
)
def test_what_somebody_edited_differs(change: Any) -> None:
    obj = desired(FRANKFURT)
    edited = stored(obj)
    change(edited)
    assert pull_secret.differs(view(edited), obj)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda obj: obj["metadata"].pop("labels"), "was not made by Pullpass"),
        (lambda obj: obj["metadata"]["labels"].update({"pullpass.dev/cluster": "c-2"}), "another cluster"),
        (lambda obj: obj.update(type="Opaque"), "has type Opaque"),
    ],
)
def test_what_is_not_ours_is_told_apart(change: Any, reason: str) -> None:
    obj = stored(desired(FRANKFURT))
    change(obj)
    assert not pull_secret.is_ours(view(obj), "c-1")
    assert reason in pull_secret.why_not_ours(view(obj), "c-1")


def test_credentials_and_role_are_recovered() -> None:
    found = pull_secret.recover(stored(desired(FRANKFURT)), NOW)
    assert found is not None
    assert (found.credentials, found.role_arn) == ((FRANKFURT,), ROLE)


def test_several_regions_recover_with_the_earliest_times() -> None:
    found = pull_secret.recover(stored(desired(FRANKFURT, DUBLIN)), NOW)
    assert found is not None
    assert {each.expires_at for each in found.credentials} == {DUBLIN.expires_at}


def test_the_registries_that_it_names_are_recovered() -> None:
    found = pull_secret.recover(stored(desired(FRANKFURT, DUBLIN)), NOW)
    assert found is not None
    assert set(found.registries) == set(REGISTRIES)


def test_what_has_expired_is_not_recovered() -> None:
    assert pull_secret.recover(stored(desired(FRANKFURT)), NOW + timedelta(hours=12)) is None


def test_clocks_that_differ_a_little_are_no_reason_to_ask_again() -> None:
    obj = stored(desired(FRANKFURT))
    obj["metadata"]["annotations"].update(
        {ISSUED_AT: "2026-11-22T06:01:00Z", EXPIRES_AT: "2026-11-22T18:03:00Z"}
    )
    assert pull_secret.recover(obj, NOW) is not None


@pytest.mark.parametrize(
    ("issued_at", "expires_at"),
    [
        ("2026-11-22T06:00:00Z", "2099-01-01T00:00:00Z"),
        ("2026-11-23T06:00:00Z", "2026-11-23T18:00:00Z"),
        ("yesterday", "2026-11-22T18:00:00Z"),
    ],
)
def test_times_that_ecr_would_not_give_are_not_believed(issued_at: str, expires_at: str) -> None:
    obj = stored(desired(FRANKFURT))
    obj["metadata"]["annotations"].update({ISSUED_AT: issued_at, EXPIRES_AT: expires_at})
    assert pull_secret.recover(obj, NOW) is None


@pytest.mark.parametrize(
    "data",
    [
        {},
        {".dockerconfigjson": "%"},
        {".dockerconfigjson": base64.b64encode(b"[]").decode()},
        {".dockerconfigjson": base64.b64encode(b'{"auths": {}}').decode()},
        {
            ".dockerconfigjson": base64.b64encode(
                b'{"auths": {"111122223333.dkr.ecr.eu-central-1.amazonaws.com": {"username": 1, "password": 2}}}'
            ).decode()
        },
    ],
)
def test_data_that_is_none_is_not_recovered(data: dict[str, str]) -> None:
    obj = stored(desired(FRANKFURT))
    obj["data"] = data
    assert pull_secret.recover(obj, NOW) is None


def test_the_type_is_the_one_that_the_kubelet_reads() -> None:
    assert desired(FRANKFURT)["type"] == TYPE == "kubernetes.io/dockerconfigjson"
