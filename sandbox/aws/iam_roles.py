"""IAM's actions on roles, their policies and managed policies.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sandbox.aws import policy_grammar
from sandbox.aws.iam import MANAGED_POLICIES, Iam, Role, account_of, allowing
from sandbox.aws.protocol import AwsError, Xml, members, tags

SHORTEST_MAXIMUM = 3600  # seconds, of MaxSessionDuration
LONGEST_MAXIMUM = 43_200
PAGE = 100
MOST_TAGS = 50

_POLICY_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)


class RoleActions:
    """Over one state."""

    def __init__(self, iam: Iam) -> None:
        self._iam = iam

    def by_name(self) -> Mapping[str, Callable[[str, Mapping[str, str]], Mapping[str, Xml]]]:
        """The action's name to what answers it."""
        return {
            "CreateRole": self._create,
            "GetRole": self._get,
            "ListRoles": self._list,
            "UpdateRole": self._update,
            "UpdateRoleDescription": self._update_description,
            "DeleteRole": self._delete,
            "UpdateAssumeRolePolicy": self._update_trust_policy,
            "TagRole": self._tag,
            "UntagRole": self._untag,
            "PutRolePolicy": self._put_policy,
            "GetRolePolicy": self._get_policy,
            "ListRolePolicies": self._list_policies,
            "DeleteRolePolicy": self._delete_policy,
            "AttachRolePolicy": self._attach,
            "DetachRolePolicy": self._detach,
            "ListAttachedRolePolicies": self._list_attached,
            "ListInstanceProfilesForRole": self._list_instance_profiles,
            "GetPolicy": self._get_managed,
            "GetPolicyVersion": self._get_managed_version,
        }

    def _create(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        name = form.get("RoleName", "")
        arn = f"arn:aws:iam::{account}:role{form.get('Path', '/')}{name}"
        if account_of(arn) is None:
            raise AwsError("ValidationError", f"The specified role name or path is invalid: {arn}")
        # A name is taken whatever its path, and whatever the case of its letters.
        if any(role.name.lower() == name.lower() for role in self._iam.roles(account)):
            raise AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", status=409)
        most = self._iam.quota(account, "RolesQuota")
        if len(self._iam.roles(account)) >= most:
            raise AwsError("LimitExceeded", f"Cannot exceed quota for RolesPerAccount: {most}", status=409)
        role = Role(
            arn,
            self._trust_policy(account, form, "AssumeRolePolicyDocument"),
            max_session_seconds=_max_session(form),
            tags=_tags(form),
            description=form.get("Description", ""),
        )
        self._iam.put_role(role)
        return {"Role": _described(role, whole=True)}

    def _get(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        return {"Role": _described(self._by_name(account, form), whole=True)}

    def _list(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        found = sorted(self._iam.roles(account), key=lambda role: role.name)
        return _page([_described(role, whole=False) for role in found], form, "Roles")

    def _update(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role = self._by_name(account, form)
        if "MaxSessionDuration" in form:
            role.max_session_seconds = _max_session(form)
        role.description = form.get("Description", role.description)
        return {}

    def _update_description(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role = self._by_name(account, form)
        role.description = form.get("Description", "")
        return {"Role": _described(role, whole=True)}

    def _delete(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role = self._by_name(account, form)
        for left, words in (
            (role.instance_profiles, "must remove roles from instance profile first."),
            (role.attached, "must detach all policies first."),
            (role.inline, "must delete policies first."),
        ):
            if left:
                raise AwsError("DeleteConflict", f"Cannot delete entity, {words}", status=409)
        self._iam.delete_role(role.arn)
        return {}

    def _update_trust_policy(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role = self._by_name(account, form)
        role.trust_policy = self._trust_policy(account, form, "PolicyDocument")
        return {}

    def _tag(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role = self._by_name(account, form)
        role.tags = _checked(role.tags | tags(form))
        return {}

    def _untag(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role = self._by_name(account, form)
        gone = members(form, "TagKeys")
        role.tags = {key: value for key, value in role.tags.items() if key not in gone}
        return {}

    def _put_policy(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role = self._by_name(account, form)
        name = form.get("PolicyName", "")
        if _POLICY_NAME.fullmatch(name) is None:
            raise AwsError("ValidationError", f"The specified policy name is invalid: {name}")
        document = policy_grammar.identity_policy(form.get("PolicyDocument", ""))
        most = self._iam.quota(account, "RolePolicySizeQuota")
        others = [role.policies[other] for other in role.inline if other != name]
        if sum(_size(one) for one in (*others, document)) > most:
            words = f"Maximum policy size of {most} bytes exceeded for role {role.name}"
            raise AwsError("LimitExceeded", words, status=409)
        role.policies[name] = document
        return {}

    def _get_policy(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role, name = self._by_name(account, form), self._inline_name(account, form)
        document = quote(json.dumps(role.policies[name]))
        return {"RoleName": role.name, "PolicyName": name, "PolicyDocument": document}

    def _list_policies(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        return _page(self._by_name(account, form).inline, form, "PolicyNames")

    def _delete_policy(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        del self._by_name(account, form).policies[self._inline_name(account, form)]
        return {}

    def _attach(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        arn, actions = _managed(form)
        role = self._by_name(account, form)
        most = self._iam.quota(account, "AttachedPoliciesPerRoleQuota")
        if arn not in role.policies and len(role.attached) >= most:
            raise AwsError("LimitExceeded", f"Cannot exceed quota for PoliciesPerRole: {most}", status=409)
        role.policies[arn] = allowing(actions)
        return {}

    def _detach(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role, arn = self._by_name(account, form), form.get("PolicyArn", "")
        if arn not in role.attached:
            raise AwsError("NoSuchEntity", f"Policy {arn} was not found.", status=404)
        del role.policies[arn]
        return {}

    def _list_attached(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        attached = self._by_name(account, form).attached
        found: list[Xml] = [{"PolicyArn": arn, "PolicyName": arn.rpartition("/")[2]} for arn in attached]
        return _page(found, form, "AttachedPolicies")

    def _list_instance_profiles(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role = self._by_name(account, form)
        found: list[Xml] = [
            {
                "Path": "/",
                "InstanceProfileName": name,
                "InstanceProfileId": "AIPASANDBOX",
                "Arn": f"arn:aws:iam::{account}:instance-profile/{name}",
                "CreateDate": "2026-01-01T00:00:00Z",
                "Roles": [],
            }
            for name in role.instance_profiles
        ]
        return _page(found, form, "InstanceProfiles")

    def _get_managed(self, _: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        arn, _actions = _managed(form)
        return {
            "Policy": {
                "Arn": arn,
                "PolicyName": arn.rpartition("/")[2],
                "Path": "/",
                "DefaultVersionId": "v1",
            }
        }

    def _get_managed_version(self, _: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        document = quote(json.dumps(allowing(_managed(form)[1])))
        return {"PolicyVersion": {"Document": document, "VersionId": "v1", "IsDefaultVersion": "true"}}

    def _by_name(self, account: str, form: Mapping[str, str]) -> Role:
        name = form.get("RoleName", "")
        for role in self._iam.roles(account):
            if role.name.lower() == name.lower():
                return role
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", status=404)

    def _inline_name(self, account: str, form: Mapping[str, str]) -> str:
        name = form.get("PolicyName", "")
        if name not in self._by_name(account, form).inline:
            words = f"The role policy with name {name} cannot be found."
            raise AwsError("NoSuchEntity", words, status=404)
        return name

    def _trust_policy(self, account: str, form: Mapping[str, str], name: str) -> dict[str, Any]:
        document = policy_grammar.trust_policy(form.get(name, ""), self._exists)
        most = self._iam.quota(account, "AssumeRolePolicySizeQuota")
        if _size(document) > most:
            raise AwsError("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {most}", status=409)
        return document

    def _exists(self, arn: str) -> bool:
        return self._iam.role(arn) is not None or self._iam.has_user(arn)


def _described(role: Role, *, whole: bool) -> dict[str, Xml]:
    described: dict[str, Xml] = {
        "Path": role.arn.partition(":role")[2].removesuffix(role.name),
        "RoleName": role.name,
        "RoleId": "AROASANDBOX",
        "Arn": role.arn,
        "CreateDate": "2026-01-01T00:00:00Z",
        "AssumeRolePolicyDocument": quote(json.dumps(role.trust_policy)),
        "MaxSessionDuration": str(role.max_session_seconds),
    }
    if role.description:
        described["Description"] = role.description
    if whole:  # ListRoles leaves tags out
        described["Tags"] = [{"Key": key, "Value": value} for key, value in role.tags.items()]
    return described


def _managed(form: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    arn = form.get("PolicyArn", "")
    actions = MANAGED_POLICIES.get(arn.rpartition("/")[2])
    if actions is None or re.fullmatch(r"arn:aws[a-z-]*:iam::aws:policy/\w+", arn) is None:
        raise AwsError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", status=404)
    return arn, actions


def _max_session(form: Mapping[str, str]) -> int:
    seconds = int(form.get("MaxSessionDuration", str(SHORTEST_MAXIMUM)))
    if not SHORTEST_MAXIMUM <= seconds <= LONGEST_MAXIMUM:
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{seconds}' at 'maxSessionDuration' failed to satisfy constraint",
        )
    return seconds


def _tags(form: Mapping[str, str]) -> dict[str, str]:
    return _checked(tags(form))


def _checked(found: dict[str, str]) -> dict[str, str]:
    if len(found) > MOST_TAGS:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for TagsPerRole: {MOST_TAGS}", status=409)
    for key, value in found.items():
        if (
            re.fullmatch(r"[\w\s.:/=+@-]{1,128}", key) is None
            or re.fullmatch(r"[\w\s.:/=+@-]{0,256}", value) is None
        ):
            raise AwsError("InvalidInput", f"The tag {key} has characters that are not allowed")
    return found


def _size(document: Mapping[str, Any]) -> int:
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))


def _page(found: Sequence[Xml], form: Mapping[str, str], name: str) -> dict[str, Xml]:
    """One page: `MaxItems`, `Marker` (opaque to callers), `IsTruncated`."""
    start, most = int(form.get("Marker", "0")), int(form.get("MaxItems", str(PAGE)))
    page: dict[str, Xml] = {name: list(found[start : start + most]), "IsTruncated": "false"}
    if start + most < len(found):
        page |= {"IsTruncated": "true", "Marker": str(start + most)}
    return page
