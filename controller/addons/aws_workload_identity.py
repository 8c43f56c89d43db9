"""awsWorkloadIdentity: says where this cluster's web identity tokens come from and whether AWS will believe them.

It installs nothing in the cluster: `controller.issuer` finds out, other add-ons build on it.
"""

from __future__ import annotations

from controller.addons.addon import AddOn, Context, Departure, Evidence, removed
from kube.objects import Object
from schemas.manifest import Manifest
from schemas.status import AddOnStatus, Issue, State


def enabled(manifest: Manifest) -> bool:
    """Whether `spec.addOns.awsWorkloadIdentity` stands in the manifest."""
    return manifest.aws_workload_identity is not None


def obstacles(context: Context) -> tuple[Issue, ...]:
    """What keeps AWS from believing this cluster's tokens."""
    return context.identity.issues if context.identity.blocks else ()


def desired(_context: Context, _stage: str) -> tuple[Object, ...]:
    """Nothing."""
    return ()


def observe(context: Context, _evidence: Evidence) -> AddOnStatus:
    """Ready once the issuer is usable; Degraded where it works and a person should look at it all the same."""
    identity = context.identity
    if identity.blocks:
        state = State.BLOCKED
    elif identity.issues:
        state = State.DEGRADED
    else:
        state = State.READY
    details = {}
    if identity.provider_url is not None:
        details["oidcProviderConfig"] = {
            "providerUrl": identity.provider_url,
            "audience": identity.audience,
        }
    return AddOnStatus(
        state=state,
        conditions=(
            context.condition("IssuerUsable", identity.status, identity.reason, identity.message),
            context.condition("Ready", "True" if state is State.READY else "False", identity.reason),
        ),
        issues=identity.issues,
        details=details,
    )


def remove(_context: Context, _evidence: Evidence) -> Departure:
    """Nothing was installed, so nothing is to be given back."""
    return removed()


ADD_ON = AddOn(enabled=enabled, obstacles=obstacles, desired=desired, observe=observe, remove=remove)
