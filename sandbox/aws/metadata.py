"""EC2's instance metadata service, version 2 alone, as far as an instance learns of its role's credentials from it.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta

from werkzeug.wrappers import Request, Response

from sandbox.aws import policy
from sandbox.aws.iam import Iam
from sandbox.aws.protocol import AwsError
from sandbox.aws.sts import Sts

INSTANCE = "i-0123456789abcdef0"
SESSION = timedelta(hours=6)

_TOKEN = "latest/api/token"  # noqa: S105 - a path
_ROLES = "latest/meta-data/iam/security-credentials"


class Metadata:
    """What one instance is told; `role_arn` None: it has no role."""

    def __init__(self, iam: Iam, sts: Sts) -> None:
        self.role_arn: str | None = None
        self._iam = iam
        self._sts = sts
        self._tokens: dict[str, datetime] = {}

    def operation(self, path: str) -> str:
        """Under which name a request is counted."""
        if path == _TOKEN:
            return "MetadataToken"
        return "MetadataRole" if path == _ROLES else "MetadataCredentials"

    def serve(self, request: Request, path: str, now: datetime) -> Response:
        """The answer; raises `AwsError`, of which only status and message are said here."""
        if path == _TOKEN:
            return self._token(request, now)
        expiry = self._tokens.get(request.headers.get("X-aws-ec2-metadata-token", ""))
        if expiry is None or expiry <= now:
            raise AwsError("Unauthorized", "Unauthorized", status=401)
        if self.role_arn is None or not path.startswith(_ROLES):
            raise AwsError("NotFound", "Not Found", status=404)
        name = self.role_arn.rpartition("/")[2]
        if path == _ROLES:
            return Response(name)
        if path != f"{_ROLES}/{name}":
            raise AwsError("NotFound", "Not Found", status=404)
        return Response(json.dumps(self._credentials(self.role_arn, now)), content_type="application/json")

    def _token(self, request: Request, now: datetime) -> Response:
        seconds = request.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if request.method != "PUT":
            raise AwsError("MethodNotAllowed", "Method Not Allowed", status=405)
        if not seconds.isdigit() or not 1 <= int(seconds) <= 21600:  # noqa: PLR2004 - six hours, the documented limit
            raise AwsError("BadRequest", "Bad Request", status=400)
        token = secrets.token_urlsafe(40)
        self._tokens[token] = now + timedelta(seconds=int(seconds))
        return Response(token)

    def _credentials(self, role_arn: str, now: datetime) -> dict[str, str]:
        role = self._iam.role(role_arn)
        if role is None or not policy.trusts_service(role.trust_policy, "ec2.amazonaws.com"):
            name = role_arn.rpartition("/")[2]
            return {
                "Code": "AssumeRoleUnauthorizedAccess",
                "Message": f"EC2 cannot assume the role {name}. Please see documentation at "
                "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html.",
                "LastUpdated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            }
        session = self._sts.open_session(role_arn, INSTANCE, now + SESSION)
        return {
            "Code": "Success",
            "LastUpdated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "Type": "AWS-HMAC",
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "Token": session.session_token,
            "Expiration": f"{session.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        }
