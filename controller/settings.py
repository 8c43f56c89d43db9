"""Every setting of the controller; `cli` fills it from the environment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ControllerSettings:
    """Every setting of the controller; times in seconds.

    `public_url`: where AWS reaches this hub, for published issuers. `agent_image`: what runs in the clusters.
    `workers` and `failing_workers`: threads for healthy clusters and for those whose last run failed.
    `aws_principal`: who the hub is in IAM, for the remedies that name it. `iam_check_role`: the name of the role that
    may read IAM, in each account; None: AWS is not compared with what clusters need. `trust_policy_quota`: characters.
    `look_seconds`: the mean time between two looks at a cluster that nobody changed. `reconcile_seconds`: how long one
    run may wait for its cluster, all requests together. `audit_days`: how long audit records are kept; 0: for ever.
    """

    agent_image: str
    public_url: str | None = None
    aws_principal: str | None = None
    iam_check_role: str | None = None
    trust_policy_quota: int = 2048
    allow_loopback: bool = False
    workers: int = 16
    failing_workers: int = 4
    look_seconds: float = 300.0
    reconcile_seconds: float = 60.0
    audit_days: int = 400
