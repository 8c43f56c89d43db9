"""What AWS said no to while an account was read or changed, in words that say what to do.

Raised by `aws.user_session` and `aws.iam`; apart from them so that callers need no boto3 to catch it.
"""

from __future__ import annotations


class SetupFailure(Exception):
    """`action` is the IAM action that was refused (`iam:CreateRole`), or what was tried; `message` AWS's own words.

    `code` is AWS's error code, "" where there was no answer. `denied` tells that the caller lacks the right.
    """

    def __init__(self, action: str, message: str, *, code: str = "", denied: bool = False) -> None:
        super().__init__(f"{action}: {message}")
        self.action = action
        self.message = message
        self.code = code
        self.denied = denied
