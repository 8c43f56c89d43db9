"""What AWS said no to when the hub itself asked, with an issue code; raised by `aws.hub_identity` and `aws.eks`.

Apart from them so that callers need no boto3 to catch it.
"""

from __future__ import annotations

from collections.abc import Mapping


class HubAwsFailure(Exception):
    """`code` is an issue code, `message` AWS's own words (never a credential), `values` are of the issue.

    `transient` tells that trying again soon may help.
    """

    def __init__(
        self, code: str, message: str, *, transient: bool = False, values: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.transient = transient
        self.values = dict(values or {})
