"""Service Quotas, as far as IAM's quotas are read from it (JSON 1.1).

https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.aws.iam import Iam
from sandbox.aws.protocol import AwsError

TARGET = "ServiceQuotasV20190624."

_NAMES = {
    "L-C07B4B0D": "AssumeRolePolicySizeQuota",
    "L-858F3967": "OpenIDConnectProvidersQuota",
    "L-0DA4ABF3": "AttachedPoliciesPerRoleQuota",
    "L-FE177D64": "RolesQuota",
}


def call(operation: str, iam: Iam, account: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer of one operation; raises `AwsError`."""
    if operation != "GetServiceQuota":
        raise AwsError("UnknownOperationException", f"{operation} is not served by this sandbox")
    code = str(body.get("QuotaCode"))
    if body.get("ServiceCode") != "iam" or code not in _NAMES:
        raise AwsError("NoSuchResourceException", "The request failed because the quota does not exist.")
    value = float(iam.quota(account, _NAMES[code]))
    return {"Quota": {"ServiceCode": "iam", "QuotaCode": code, "Value": value, "Adjustable": True}}
