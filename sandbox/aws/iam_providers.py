"""IAM's actions on OIDC providers.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sandbox.aws.iam import Iam, Provider
from sandbox.aws.protocol import AwsError, Xml, members, tags
from sandbox.aws.tokens import Resolver

MOST_AUDIENCES = 100
LONGEST_AUDIENCE = 255


class ProviderActions:
    """Over one state; `resolver` is the internet as IAM sees it."""

    def __init__(self, iam: Iam, resolver: Resolver) -> None:
        self._iam = iam
        self._resolver = resolver

    def by_name(self) -> Mapping[str, Callable[[str, Mapping[str, str]], Mapping[str, Xml]]]:
        """The action's name to what answers it."""
        return {
            "CreateOpenIDConnectProvider": self._create,
            "GetOpenIDConnectProvider": self._get,
            "ListOpenIDConnectProviders": self._list,
            "AddClientIDToOpenIDConnectProvider": self._add_client_id,
            "RemoveClientIDFromOpenIDConnectProvider": self._remove_client_id,
            "DeleteOpenIDConnectProvider": self._delete,
            "TagOpenIDConnectProvider": self._tag,
        }

    def _create(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        url = form.get("Url", "")
        if re.fullmatch(r"https://[^\s?#]{1,247}", url) is None:
            raise AwsError("InvalidInput", f"Invalid Open ID Connect Provider Url: {url}")
        existing = self._iam.providers(account)
        if url in existing:
            raise AwsError("EntityAlreadyExists", f"Provider with url {url} already exists.", status=409)
        most = self._iam.quota(account, "OpenIDConnectProvidersQuota")
        if len(existing) >= most:
            quota = f"Cannot exceed quota for OpenIdConnectProvidersPerAccount: {most}"
            raise AwsError("LimitExceeded", quota, status=409)
        # Without a thumbprint IAM fetches the issuer's certificate, so the issuer has to be there already.
        if not members(form, "ThumbprintList") and self._resolver(url) is None:
            raise AwsError("OpenIdIdpCommunicationError", f"Unable to connect to the identity provider {url}")
        audiences = members(form, "ClientIDList")
        _check_audiences(audiences)
        self._iam.put_provider(account, url, audiences, tags(form))
        return {"OpenIDConnectProviderArn": _arn(account, url)}

    def _get(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        provider = self._by_arn(account, form)
        return {
            "Url": provider.url.removeprefix("https://"),
            "ClientIDList": provider.audiences,
            "ThumbprintList": [],
            "CreateDate": "2026-01-01T00:00:00Z",
            "Tags": [{"Key": key, "Value": value} for key, value in provider.tags.items()],
        }

    def _list(self, account: str, _: Mapping[str, str]) -> Mapping[str, Xml]:
        arns: list[Xml] = [{"Arn": _arn(account, url)} for url in self._iam.providers(account)]
        return {"OpenIDConnectProviderList": arns}

    def _add_client_id(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        provider = self._by_arn(account, form)
        audience = form.get("ClientID", "")
        if audience not in provider.audiences:
            _check_audiences([*provider.audiences, audience])
            provider.audiences.append(audience)
        return {}

    def _remove_client_id(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        provider = self._by_arn(account, form)
        provider.audiences = [one for one in provider.audiences if one != form.get("ClientID")]
        return {}

    def _delete(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        arn = form.get("OpenIDConnectProviderArn", "")
        if arn.split(":")[4:5] == [account]:  # of one that is not there it is no error
            self._iam.delete_provider(account, f"https://{arn.partition(':oidc-provider/')[2]}")
        return {}

    def _tag(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        self._by_arn(account, form).tags.update(tags(form))
        return {}

    def _by_arn(self, account: str, form: Mapping[str, str]) -> Provider:
        arn = form.get("OpenIDConnectProviderArn", "")
        provider = self._iam.provider(account, f"https://{arn.partition(':oidc-provider/')[2]}")
        if provider is None or arn.split(":")[4] != account:
            raise AwsError("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}", status=404)
        return provider


def _check_audiences(audiences: list[str]) -> None:
    if len(audiences) > MOST_AUDIENCES:
        quota = f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_AUDIENCES}"
        raise AwsError("LimitExceeded", quota, status=409)
    if not all(0 < len(audience) <= LONGEST_AUDIENCE for audience in audiences):
        raise AwsError("ValidationError", "A client id has 1 to 255 characters")


def _arn(account: str, url: str) -> str:
    return f"arn:aws:iam::{account}:oidc-provider/{url.removeprefix('https://')}"
