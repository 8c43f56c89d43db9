"""Gives pods the AWS identity that their service account names: the contract of the EKS pod identity webhook.

https://github.com/aws/amazon-eks-pod-identity-webhook, web identity only: the container credentials of EKS Pod
Identity associations need an agent of AWS's on the nodes and have no place outside EKS. What workloads rely on is the
same to the letter (annotations, precedence, names, order); the patch is not: that webhook writes the lists of
containers anew, this one inserts single entries, so that nothing of a pod can get lost on the way.
Called by `agent.webhook.server` through `agent.webhook.pod_identity_source`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import structlog

from agent.webhook.pod_identity_accounts import PREFIX, AccountIdentity, token_expiration
from agent.webhook.review import Answer, Handler, Review
from kube.errors import KubeError
from kube.objects import Object
from schemas.pod_identity_documents import PodIdentityConfiguration

SKIP_LABEL = f"{PREFIX}skip-pod-identity-webhook"
VOLUME_NAME = "aws-iam-token"
MOUNT_PATH = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
TOKEN_NAME = "token"  # noqa: S105 - the file's name

_IDENTITY_NAMES = frozenset({"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"})
_REGION_NAMES = frozenset({"AWS_REGION", "AWS_DEFAULT_REGION"})
_STS_NAME = "AWS_STS_REGIONAL_ENDPOINTS"

# One record of comma-separated values as Go's encoding/csv reads it: blank lines are passed over, a quote stands only
# around a whole field.
_FIELD = r'(?:"(?:[^"]|"")*"|[^",\r\n]*)'
_RECORD = re.compile(rf"(?:\r?\n)*({_FIELD}(?:,{_FIELD})*)(?:\r?\n.*)?", re.DOTALL)
_FIELDS = re.compile(rf"(?:^|,)({_FIELD})")

_log = structlog.get_logger(__name__)


class IdentitySource(Protocol):
    """`agent.webhook.pod_identity_accounts.Accounts`."""

    def of(self, namespace: str, name: str) -> AccountIdentity | None:
        """What a service account says; raises `KubeError` when that cannot be told."""


def handler(accounts: IdentitySource, configuration: PodIdentityConfiguration) -> Handler:
    """The handler of pods' admission under one configuration. It refuses no pod."""

    def handle(review: Review) -> Answer:
        pod = review.object
        if review.operation != "CREATE" or pod is None:
            return Answer()
        name = (pod.get("spec") or {}).get("serviceAccountName")
        # Without a name the API server's own ServiceAccount admission has not run, as for a node's static pods.
        if not name or SKIP_LABEL in _metadata(pod, "labels"):
            return Answer()
        try:
            account = accounts.of(review.namespace, name)
        except KubeError as error:
            _log.warning(
                "a pod is admitted without knowing its identity",
                namespace=review.namespace,
                service_account=name,
                error=str(error),
            )
            warning = f"service account {name} could not be read in time: if it names an AWS role, this pod runs without it"
            return Answer(warnings=(warning,))
        return Answer() if account is None else Answer(patch=patch(pod, account, configuration))

    return handle


def patch(
    pod: Object, account: AccountIdentity, configuration: PodIdentityConfiguration
) -> tuple[Object, ...]:
    """JSON patch operations (RFC 6902) that give `pod` the identity; none when it has all of it.

    Precedence: the pod's `token-expiration` over the service account's over the configuration's; audience and regional
    STS: the service account's over the configuration's.
    """
    spec, annotations = pod["spec"], _metadata(pod, "annotations")
    skipped = _skipped(annotations.get(f"{PREFIX}skip-containers", ""))
    wanted = _wanted(spec, account, configuration)
    operations: list[Object] = []
    for members in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(members) or ()):
            if container.get("name") not in skipped:
                operations.extend(_container(container, f"/spec/{members}/{index}", wanted))
    volumes = spec.get("volumes") or []
    if all(volume.get("name") != VOLUME_NAME for volume in volumes):
        expiration = token_expiration(annotations.get(f"{PREFIX}token-expiration"))
        volume = _volume(account, configuration, expiration)
        # The API server's ServiceAccount admission has put its own volume there.
        first = {"path": "/spec/volumes/0", "value": volume}
        operations.insert(
            0, {"op": "add", **(first if volumes else {"path": "/spec/volumes", "value": [volume]})}
        )
    return tuple(operations)


def _wanted(
    spec: Mapping[str, Any], account: AccountIdentity, configuration: PodIdentityConfiguration
) -> dict[frozenset[str], dict[str, str]]:
    """The variables, each group under the names any of which keeps the whole group away."""
    token_file = f"{MOUNT_PATH}/{TOKEN_NAME}"
    if _is_windows(spec):
        token_file = "C:" + token_file.replace("/", "\\")
    regional = account.regional_sts if account.regional_sts is not None else configuration.regional_sts
    region = configuration.region
    return {
        frozenset({_STS_NAME}): {_STS_NAME: "regional"} if regional else {},
        _REGION_NAMES: {"AWS_DEFAULT_REGION": region, "AWS_REGION": region} if region else {},
        _IDENTITY_NAMES: {"AWS_ROLE_ARN": account.role_arn, "AWS_WEB_IDENTITY_TOKEN_FILE": token_file},
    }


def _container(
    container: Mapping[str, Any], path: str, wanted: Mapping[frozenset[str], Mapping[str, str]]
) -> Iterator[Object]:
    env, mounts = container.get("env") or [], container.get("volumeMounts") or []
    present = {variable.get("name") for variable in env}
    if all(names & present for names in wanted):
        return  # it has an identity of its own, region and STS included
    added = [
        {"name": name, "value": value}
        for names, values in wanted.items()
        if not names & present
        for name, value in values.items()
    ]
    yield from _appended(f"{path}/env", env, added)
    # A second mount at one path would have the API server refuse the pod.
    if all(mount.get("name") != VOLUME_NAME and not _at_our_path(mount) for mount in mounts):
        mount = {"name": VOLUME_NAME, "readOnly": True, "mountPath": MOUNT_PATH}
        yield from _appended(f"{path}/volumeMounts", mounts, [mount])


def _appended(path: str, there: list[Object], added: list[Object]) -> Iterator[Object]:
    if there:
        for entry in added:
            yield {"op": "add", "path": f"{path}/-", "value": entry}
    elif added:
        yield {"op": "add", "path": path, "value": added}


def _volume(
    account: AccountIdentity, configuration: PodIdentityConfiguration, expiration: int | None
) -> Object:
    for seconds in (expiration, account.token_expiration_seconds, configuration.token_expiration_seconds):
        if seconds is not None:
            break
    audience = account.audience if account.audience is not None else configuration.audience
    token = {"audience": audience, "expirationSeconds": seconds, "path": TOKEN_NAME}
    return {"name": VOLUME_NAME, "projected": {"sources": [{"serviceAccountToken": token}]}}


def _skipped(text: str) -> frozenset[str]:
    record = _RECORD.fullmatch(text)
    if record is None:
        return frozenset()  # as the other webhook does: what cannot be read skips nothing
    fields: list[str] = _FIELDS.findall(record[1])
    return frozenset(field[1:-1].replace('""', '"') if field.startswith('"') else field for field in fields)


def _is_windows(spec: Mapping[str, Any]) -> bool:
    selector = spec.get("nodeSelector") or {}
    names = (
        selector.get("kubernetes.io/os"),
        selector.get("beta.kubernetes.io/os"),
        (spec.get("os") or {}).get("name"),
    )
    return "windows" in names


def _at_our_path(mount: Mapping[str, Any]) -> bool:
    return str(mount.get("mountPath", "")).rstrip("/") == MOUNT_PATH


def _metadata(pod: Object, member: str) -> Mapping[str, str]:
    return (pod.get("metadata") or {}).get(member) or {}
