from __future__ import annotations

import pytest

from controller.outcomes import Obstacle, judge
from fleet.errors import DatabaseUnavailable, SealBroken
from kube import errors
from reconcile.outcome import Retryable, Terminal

RBAC = (
    'configmaps "pullpass-owner" is forbidden: User "system:serviceaccount:pullpass-system:pullpass-hub"'
    ' cannot get resource "configmaps" in API group "" in the namespace "pullpass-system"'
)
PATH = 'forbidden: User "system:anonymous" cannot get path "/openid/v1/jwks"'
ESCALATION = (
    'roles.rbac.authorization.k8s.io "pullpass-agent" is forbidden: user "hub" (groups=[]) is attempting to grant'
    " RBAC permissions not currently held"
)
WEBHOOK = 'admission webhook "policy.example.org" denied the request: no deployments today'
POLICY = (
    "deployments.apps \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"
)
QUOTA = 'configmaps "pullpass-agent" is forbidden: exceeded quota: small'
ENDING = "unable to create new content in namespace pullpass-system because it is being terminated"


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (errors.Unreachable("connection refused"), "ClusterUnreachable", Retryable),
        (errors.ServerError(503, "ServiceUnavailable", "no leader"), "ClusterUnreachable", Retryable),
        (errors.TooManyRequests(429, "TooManyRequests", "slow down"), "ClusterUnreachable", Retryable),
        (errors.ApiError(302, "Redirected", "redirects are never followed"), "ClusterUnreachable", Retryable),
        (errors.Unauthorized(401, "Unauthorized", "Unauthorized"), "CredentialRefused", Terminal),
        (errors.Forbidden(403, "Forbidden", RBAC), "RightsMissing", Terminal),
        (errors.Forbidden(403, "Forbidden", PATH), "RightsMissing", Terminal),
        (errors.Forbidden(403, "Forbidden", ESCALATION), "RightsMissing", Terminal),
        (errors.Forbidden(403, "Forbidden", WEBHOOK), "ApplyRefused", Terminal),
        (errors.Forbidden(403, "Forbidden", POLICY), "ApplyRefused", Terminal),
        (errors.Forbidden(403, "Forbidden", QUOTA), "ApplyRefused", Terminal),
        (errors.Forbidden(403, "Forbidden", ENDING), "", Retryable),
        (errors.Invalid(422, "Invalid", POLICY), "ApplyRefused", Terminal),
        (errors.ApiError(400, "BadRequest", WEBHOOK), "ApplyRefused", Terminal),
        (
            errors.NotFound(404, "NotFound", 'namespaces "pullpass-system" not found'),
            "RightsMissing",
            Terminal,
        ),
        (errors.Conflict(409, "Conflict", "changed meanwhile"), "", Retryable),
        (errors.Expired(410, "Expired", "too old"), "", Retryable),
        (SealBroken("no key"), "ConnectionMissing", Terminal),
        (DatabaseUnavailable("locked"), "", Retryable),
        (Obstacle("AlreadyManaged", "another hub"), "AlreadyManaged", Terminal),
    ],
)
def test_every_failure_of_the_world_has_its_issue_and_its_way_on(
    error: Exception, code: str, kind: type[Exception]
) -> None:
    failure = judge(error)
    assert failure is not None
    assert (failure.code, type(failure.error)) == (code, kind)


def test_a_bug_is_none_of_the_worlds_failures() -> None:
    assert judge(ValueError("ours")) is None


def test_the_wish_to_wait_is_passed_on() -> None:
    failure = judge(errors.TooManyRequests(429, "TooManyRequests", "slow down", retry_after=7))
    assert failure is not None
    assert isinstance(failure.error, Retryable)
    assert failure.error.retry_after == 7


def test_an_obstacle_brings_its_values() -> None:
    failure = judge(Obstacle("KubernetesTooOld", "old", VERSION="v1.29.0"))
    assert failure is not None
    assert failure.values == {"VERSION": "v1.29.0"}
