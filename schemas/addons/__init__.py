"""The API half of each add-on: fields, what it requires, where it is supported, what it refuses.

`ADD_ONS` maps the wire key to its schema; `controller.addons` holds the other half under the same keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.addons import aws_ecr, aws_workload_identity
from schemas.addons.schema import AddOnSchema

ADD_ONS: Mapping[str, AddOnSchema[Any]] = {
    schema.key: schema for schema in (aws_workload_identity.SCHEMA, aws_ecr.SCHEMA)
}

# The wire contract's add-ons that are not served: refused by name, so that nobody waits for one of them.
NOT_SERVED = frozenset(
    {
        "awsEFS",
        "awsELB",
        "azureACR",
        "azureWorkloadIdentity",
        "byok",
        "dashboard",
        "headlamp",
        "kubevirt",
        "localPathStorage",
        "logs",
        "metrics",
        "nodeLocalDns",
        "nvidia",
        "registryMirror",
        "sysbox",
    }
)
