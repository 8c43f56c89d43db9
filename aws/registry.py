"""The registry's own answer: `/v2/` with the credential, or the manifest of one image (OCI distribution spec)."""

from __future__ import annotations

from aws.credentials import AwsEndpoints, RegistryCredential


def check(*, host: str, credential: RegistryCredential, image: str | None, endpoints: AwsEndpoints) -> None:
    """HEAD of the manifest of `image` (a full reference on `host`), or GET `/v2/` when None.

    Raises `aws.hops.AwsFailure` (hop registry).
    """
    raise NotImplementedError
