"""The hub's own walk along a cluster's chain, now: API server, rights, issuer, token, STS, ECR, registry.

It takes a token of the agent's account from the API server and goes to AWS with it, as the agent would; but from the
hub, with the hub's network and clock, so it is marked `verifiedFrom: hub` and proves nothing about the cluster's. It
changes nothing and keeps nothing. Called by `controller.errands`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aws import ecr, registry, registry_hosts, sessions
from aws.credentials import AwsEndpoints, RegistryCredential, SessionCredentials
from aws.hops import AwsFailure
from aws.identities import WebIdentity
from aws.images import parse_image
from aws.trust_policy import subject
from controller import connecting, issuer
from controller.addons import ecr_reports
from controller.addons.addon import Context, Identity, Server
from controller.doors import Door
from controller.issuer import Shelf
from controller.outcomes import Obstacle, judge
from kube.client import Client
from kube.errors import Forbidden, NotFound
from reconcile.clock import Clock
from schemas.addons.aws_ecr import AwsEcr
from schemas.agent_documents import AGENT_ACCOUNT, NAMESPACE_NAME
from schemas.status import Issue, Json
from schemas.times import format_time

HOPS = ("connection", "api server", "rights", "issuer", "token", "sts", "ecr", "registry")

_TOKEN_SECONDS = 600  # the least that Kubernetes grants
_ATTEMPTS = 1  # somebody waits, and asks again


class _Stopped(Exception):
    """A hop that does not let us through."""

    def __init__(self, issue: Issue) -> None:
        super().__init__(issue.message)
        self.issue = issue


@dataclass
class Walk:
    """One walk; each hop leaves what the next one needs.

    Args:
        context: The cluster, nothing of it asked yet.
        find_door: The way into it; raises what `controller.outcomes.judge` knows.
        shelf: Where published issuers stand.
        public_url: Of the hub.
        reported: Registries that the agent's report named.
        clock: The time.
    """

    context: Context
    find_door: Callable[[], Door]
    shelf: Shelf
    public_url: str | None
    reported: tuple[str, ...]
    clock: Clock
    _door: Door | None = field(default=None, init=False)
    _client: Client | None = field(default=None, init=False)
    _server: Server = field(default_factory=Server, init=False)
    _identity: Identity = field(default_factory=Identity, init=False)
    _token: str = field(default="", init=False, repr=False)
    _session: SessionCredentials | None = field(default=None, init=False, repr=False)
    _credentials: dict[str, RegistryCredential] = field(default_factory=dict, init=False, repr=False)
    _at_its_end: bool = field(default=False, init=False)

    def run(self) -> Json:
        """Walks until a hop does not let us through, or there is nothing more that the hub could prove."""
        started = self.clock.now()
        hops: list[Json] = []
        for name in HOPS:
            hop = self._hop(name)
            hops.append(hop)
            if not hop["succeeded"] or self._at_its_end:
                break
        return {
            "verifiedFrom": "hub",
            "walkedAt": format_time(started),
            "hops": hops,
            "notWalked": list(HOPS[len(hops) :]),
        }

    def close(self) -> None:
        """Hangs up."""
        if self._client is not None:
            self._client.close()

    def _hop(self, name: str) -> Json:
        steps: Mapping[str, Callable[[], str]] = {
            "connection": self._connection,
            "api server": self._api_server,
            "rights": self._rights,
            "issuer": self._issuer,
            "token": self._take_token,
            "sts": self._sts,
            "ecr": self._ecr,
            "registry": self._registry,
        }
        begun = self.clock.monotonic()
        issue: Issue | None = None
        words = ""
        try:
            words = steps[name]()
        except _Stopped as stopped:
            issue = stopped.issue
        except AwsFailure as failure:
            issue = self._of_aws(failure)
        except Exception as error:
            failure_found = judge(error)
            if failure_found is None or not failure_found.code:
                raise
            if self._door is not None:
                failure_found = self._door.explained(failure_found)
            values = {"MESSAGE": failure_found.message, **failure_found.values}
            issue = self.context.issue(failure_found.code, values)
        return {
            "name": name,
            "succeeded": issue is None,
            "code": "" if issue is None else issue.code,
            "message": words if issue is None else issue.message,
            "remedy": "" if issue is None else issue.remedy,
            "seconds": round(self.clock.monotonic() - begun, 3),
        }

    def _connection(self) -> str:
        self._door = self.find_door()
        self._client = self._door.open(self.clock.now())
        self.context = replace(
            self.context, connection=replace(self.context.connection, server=self._door.server)
        )
        return f"stored, to {self._door.server}"

    @property
    def _dialled(self) -> Client:
        assert self._client is not None  # noqa: S101 - the first hop made it
        return self._client

    def _api_server(self) -> str:
        self._server = connecting.check_version(self._dialled)
        return f"Kubernetes {self._server.named} answers"

    def _rights(self) -> str:
        self._server = connecting.check_rights(self._dialled, self._server)
        return "what `pullpass connect` installs is there"

    def _issuer(self) -> str:
        self._identity = issuer.discover(
            self.context,
            self._dialled,
            self.shelf,
            public_url=self.public_url,
            by_eks=self._door.issuer_by_eks if self._door is not None else "",
        )
        if self._identity.issues and self._identity.status != "True":
            raise _Stopped(self._identity.issues[0])
        if self._identity.provider_url is None:
            return self._end("awsWorkloadIdentity is not enabled, so no token goes to AWS")
        return f"{self._identity.provider_url} fits IAM's rules"

    def _take_token(self) -> str:
        if not self._wishes.role_arn:
            return self._without_role()
        audience = self._identity.audience
        try:
            issued = self._dialled.request_token(
                NAMESPACE_NAME, AGENT_ACCOUNT, audiences=[audience], expiration_seconds=_TOKEN_SECONDS
            )
        except NotFound:
            words = f"service account {NAMESPACE_NAME}/{AGENT_ACCOUNT} is not there yet"
            raise _Stopped(self.context.issue("AgentNotRunning", {"MESSAGE": words})) from None
        except Forbidden as error:
            raise Obstacle("RightsMissing", f"it may not take the agent's token: {error.message}") from None
        self._token = issued.token
        return f"for {subject(NAMESPACE_NAME, AGENT_ACCOUNT)}, audience {audience}"

    def _without_role(self) -> str:
        """Where the add-on has no role it may need none: nodes and pods then have identities that the hub has not."""
        wishes = self.context.manifest.aws_ecr
        if wishes is None:
            return self._end("awsECR is not enabled, so none is taken")
        if wishes.by_instance_role(self.context.manifest.provider):
            return self._end("none is needed: nodes pull by the role of their own instances")
        if wishes.identity != "shared":
            return self._end("none is shared: each workload pulls by its own service account's role")
        if wishes.pull_secret.brings_identities:
            return self._end("none is shared: custom resources and keys bring identities of their own")
        raise _Stopped(self.context.issue("RoleArnMissing"))

    def _end(self, words: str) -> str:
        self._at_its_end = True
        return words

    def _sts(self) -> str:
        role = str(self._wishes.role_arn)
        self._session = sessions.session(
            WebIdentity(role, self._identity.audience),
            read_token=lambda: self._token,
            session_name=f"pullpass-doctor-{self.context.uid[:8]}",
            region=self._sts_region,
            endpoints=self._endpoints,
            attempts=_ATTEMPTS,
        )
        return f"{role} is assumed, in {self._sts_region}"

    def _ecr(self) -> str:
        assert self._session is not None  # noqa: S101 - the hop before made it
        regions = dict.fromkeys(host.region for host in self._hosts)
        if not regions:
            raise _Stopped(self.context.issue("RegistriesUnknown"))
        for region in regions:
            self._credentials[region] = ecr.authorization_token(
                credentials=self._session,
                region=region,
                endpoints=self._endpoints,
                now=self.clock.now(),
                attempts=_ATTEMPTS,
            )
        return f"gave a login for {', '.join(regions)}"

    def _registry(self) -> str:
        image = self._wishes.verify_image
        of_image = parse_image(image).registry.host if image else None
        for host in self._hosts:
            registry.check(
                host=host.host,
                credential=self._credentials[host.region],
                image=image if host.host == of_image else None,
                endpoints=self._endpoints,
            )
        names = ", ".join(host.host for host in self._hosts)
        return f"{names} takes it" + (f", and has {image}" if image else "")

    @property
    def _wishes(self) -> AwsEcr:
        return self.context.manifest.aws_ecr or AwsEcr()

    @property
    def _hosts(self) -> tuple[registry_hosts.RegistryHost, ...]:
        named = ecr_reports.registries(self.context.manifest, self._wishes) or self.reported
        image = self._wishes.verify_image
        hosts = [registry_hosts.parse(name) for name in named]
        hosts += [parse_image(image).registry] if image else []
        return tuple(dict.fromkeys(host for host in hosts if host is not None))

    @property
    def _sts_region(self) -> str:
        """As the agent chooses it: the provider's, else the first registry's."""
        first = next(iter(self._hosts), None)
        region = self.context.manifest.region or (first.region if first else "us-east-1")
        return registry_hosts.api_region(region)

    @property
    def _endpoints(self) -> AwsEndpoints:
        access = self.context.connection.aws
        return AwsEndpoints(
            sts=access.sts_endpoint,
            ecr=access.ecr_endpoint,
            ecr_public=access.ecr_public_endpoint,
            registry=access.registry_endpoint,
            https_proxy=access.https_proxy,
            no_proxy=access.no_proxy,
            ca_bundle=access.ca_bundle,
        )

    def _of_aws(self, failure: AwsFailure) -> Issue:
        first = next(iter(self._hosts), None)
        values: dict[str, Any] = {
            "MESSAGE": failure.message,
            "SUBJECT": subject(NAMESPACE_NAME, AGENT_ACCOUNT),
            "IDENTITY": self._wishes.role_arn or "",
            "REGISTRY": first.host if first else "",
            "REGION": registry_hosts.api_region(first.region) if first else self._sts_region,
            "IMAGE": self._wishes.verify_image or "",
        }
        if self._identity.provider_url:
            url = self._identity.provider_url
            values |= {"ISSUER": url, "ISSUER_HOST": url.removeprefix("https://")}
        return self.context.issue(failure.code, values)
