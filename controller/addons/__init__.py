"""The cluster half of each add-on, under the same keys as `schemas.addons.ADD_ONS` (a test holds them equal)."""

from __future__ import annotations

from collections.abc import Mapping

from controller.addons import aws_ecr, aws_workload_identity
from controller.addons.addon import AddOn

ADD_ONS: Mapping[str, AddOn] = {
    "awsWorkloadIdentity": aws_workload_identity.ADD_ON,
    "awsECR": aws_ecr.ADD_ON,
}
