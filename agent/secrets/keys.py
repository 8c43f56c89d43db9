"""A key pair out of its Secret, read just before the call that needs it: never kept, never logged.

Called by `agent.secrets.verification` within a walk.
"""

from __future__ import annotations

import base64
import binascii

from agent.secrets.identity import StoredKeys
from aws.hops import AwsFailure, HopName
from aws.identities import AccessKeys
from kube.client import Client
from kube.errors import Forbidden, NotFound
from kube.objects import SECRET


def read(client: Client, keys: StoredKeys) -> AccessKeys:
    """The key pair.

    Raises:
        aws.hops.AwsFailure: hop token, `KeysMissing`: the secret is not there, may not be read, or lacks a key.
        kube.errors.KubeError: the cluster's API failed.
    """
    where = f"secret {keys.name} in namespace {keys.namespace}"
    try:
        data = client.get(SECRET, keys.name, namespace=keys.namespace).get("data") or {}
    except NotFound:
        raise AwsFailure(HopName.TOKEN, "KeysMissing", f"{where} does not exist") from None
    except Forbidden as error:
        raise AwsFailure(HopName.TOKEN, "KeysMissing", f"{where} cannot be read: {error.message}") from error
    found = {}
    for key in (keys.access_key_id_key, keys.secret_access_key_key):
        found[key] = _text(data.get(key))
        if not found[key]:
            raise AwsFailure(HopName.TOKEN, "KeysMissing", f"{where} has no key {key} with a text")
    return AccessKeys(
        found[keys.access_key_id_key],
        found[keys.secret_access_key_key],
        _text(data.get(keys.session_token_key)) or None,
    )


def _text(encoded: str | None) -> str:
    """Without the white space that an editor or `echo` left around it; "" for what is no text."""
    try:
        return base64.b64decode(encoded or "", validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError):
        return ""
