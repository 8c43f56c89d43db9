import base64
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.webhook import certificate
from agent.webhook.certificate import Kept
from agent.webhook.certificates import SPREAD_SECONDS, Certificates, ServingCertificate
from kube.client import Client
from kube.errors import Forbidden, NotFound
from kube.objects import MUTATING_WEBHOOK, SECRET, Object
from reconcile.clock import FakeClock, SystemRandom
from tests.unit.agent.sandboxed import Found, eventually, sandboxed

OURS = "pullpass-system"
DAY = 86_400.0


class Replica:
    """One replica: what it serves with, and its turns as the leader."""

    def __init__(self, client: Client, clock: FakeClock) -> None:
        self._client, self._clock = client, clock
        self.serving = ServingCertificate(client, clock=clock, random=SystemRandom())
        self.serving.start()
        self.certificates: Certificates | None = None
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def lead(self) -> None:
        self._stop = threading.Event()
        self.certificates = Certificates(
            self._client.fenced(self._stop),
            self.serving,
            changed=lambda: None,
            failed=self.failures.append,
            clock=self._clock,
            random=SystemRandom(),
        )
        self._thread = threading.Thread(target=self.certificates.run, args=(self._stop,))
        self._thread.start()

    def depose(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)
            assert not self._thread.is_alive()
        self._thread = None

    def stop(self) -> None:
        self.depose()
        self.serving.stop()
        self.serving.join(60)


class Api:
    """The cluster, its clock, and a replica."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.clock = FakeClock(datetime(2026, 11, 22, 9, tzinfo=UTC))
        self.replicas: list[Replica] = []
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OURS}})

    def replica(self) -> Replica:
        self.replicas.append(Replica(self.client, self.clock))
        return self.replicas[-1]

    def leader(self) -> Replica:
        replica = self.replica()
        replica.lead()
        return replica

    def configure(self, name: str = "pullpass-agent", *webhooks: str) -> None:
        """As the hub does: no word of caBundle."""
        service = {"name": "pullpass-agent", "namespace": OURS}
        self.client.managing_as("pullpass").apply(
            {
                "apiVersion": MUTATING_WEBHOOK.api_version,
                "kind": MUTATING_WEBHOOK.kind,
                "metadata": {"name": name},
                "webhooks": [
                    {
                        "name": webhook,
                        "sideEffects": "None",
                        "admissionReviewVersions": ["v1"],
                        "clientConfig": {"service": service},
                    }
                    for webhook in webhooks or ("labelled-secrets.pullpass.dev", "pods.pullpass.dev")
                ],
            }
        )

    def bundles(self, name: str = "pullpass-agent") -> set[bytes]:
        found = self.client.get(MUTATING_WEBHOOK, name)
        return {
            base64.b64decode(webhook["clientConfig"].get("caBundle", "")) for webhook in found["webhooks"]
        }

    def secret(self) -> Object | None:
        try:
            return self.client.get(SECRET, "pullpass-webhook", namespace=OURS)
        except NotFound:
            return None

    def kept(self) -> Kept | None:
        found = self.secret()
        try:
            return None if found is None else certificate.read(found, self.clock.now())
        except certificate.Spoiled:
            return None

    def settled(self, holds: Callable[[Kept], bool] = lambda _: True) -> Kept:
        """What is kept, as soon as `holds` says so and every configuration trusts it."""

        def look() -> Kept | None:
            kept = self.kept()
            return kept if kept is not None and holds(kept) and self.bundles() == {kept.bundle} else None

        return self.eventually(look)

    def eventually(self, look: Callable[[], Found | None]) -> Found:
        def tick() -> Found | None:
            self.clock.advance(0.25)  # polls and retries go on
            return look()

        return eventually(tick)

    def pass_days(self, days: float) -> None:
        self.clock.advance(days * DAY)


@pytest.fixture
def api() -> Iterator[Api]:
    with sandboxed() as client:
        api = Api(client)
        yield api
        for replica in api.replicas:
            replica.stop()


def test_the_leader_issues_what_is_missing_and_every_replica_serves_it(api: Api) -> None:
    standby = api.replica()
    api.leader()
    kept = api.eventually(api.kept)
    assert kept.serving == api.eventually(standby.serving.current)


def test_a_standby_writes_nothing(api: Api) -> None:
    standby = api.replica()
    assert api.eventually(lambda: standby.serving.synced)
    assert (None, None) == (standby.serving.current(), api.secret())


def test_ca_bundle_is_written_into_every_webhook_of_ours(api: Api) -> None:
    api.configure()
    api.configure("pullpass-pod-identity", "pod-identity.pullpass.dev")
    api.leader()
    kept = api.settled()
    api.eventually(lambda: api.bundles("pullpass-pod-identity") == {kept.bundle})


def test_a_configuration_that_comes_later_is_trusted_too(api: Api) -> None:
    api.leader()
    api.eventually(api.kept)
    api.configure()
    api.settled()


def test_other_peoples_webhooks_are_not_touched(api: Api) -> None:
    api.configure("theirs")
    api.configure()
    api.leader()
    api.settled()
    assert {b""} == api.bundles("theirs")


def test_the_path_ends_in_a_word_that_the_secret_keeps(api: Api) -> None:
    api.configure()
    api.leader()
    word = api.settled().serving.word
    paths = [
        webhook["clientConfig"]["service"]["path"]
        for webhook in api.client.get(MUTATING_WEBHOOK, "pullpass-agent")["webhooks"]
    ]
    assert [f"/labelled-secrets/{word}", f"/pods/{word}"] == paths


def test_what_the_hub_applies_again_leaves_ca_bundle_alone(api: Api) -> None:
    api.configure()
    api.leader()
    kept = api.settled()
    api.configure()
    assert {kept.bundle} == api.bundles()


def test_ca_bundle_has_a_field_manager_of_its_own(api: Api) -> None:
    api.configure()
    api.leader()
    api.settled()
    managers = {
        entry["manager"]: entry["fieldsV1"]
        for entry in api.client.get(MUTATING_WEBHOOK, "pullpass-agent")["metadata"]["managedFields"]
    }
    assert "caBundle" in str(managers["pullpass-agent"])
    assert "caBundle" not in str(managers["pullpass"])


def test_ca_bundle_is_put_back_when_someone_else_changes_it(api: Api) -> None:
    api.configure()
    api.leader()
    api.settled()
    stranger = api.client.managing_as("stranger")
    found = stranger.get(MUTATING_WEBHOOK, "pullpass-agent")
    for webhook in found["webhooks"]:
        webhook["clientConfig"]["caBundle"] = base64.b64encode(b"theirs").decode()
    stranger.merge_patch(MUTATING_WEBHOOK, "pullpass-agent", {"webhooks": found["webhooks"]})
    api.settled()


def test_who_changes_it_back_for_ever_is_waited_for_and_named(api: Api) -> None:
    api.configure()
    leader = api.leader()
    api.settled()
    stranger, found = api.client.managing_as("stranger"), api.client.get(MUTATING_WEBHOOK, "pullpass-agent")
    for webhook in found["webhooks"]:
        webhook["clientConfig"]["caBundle"] = base64.b64encode(b"theirs").decode()

    def change() -> bool:
        stranger.merge_patch(MUTATING_WEBHOOK, "pullpass-agent", {"webhooks": found["webhooks"]})
        assert leader.certificates is not None
        return "again and again" in leader.certificates.status().error

    api.eventually(change)
    api.clock.advance(61)
    api.settled()


def spoil(data: dict[str, str | None], **members: Any) -> Callable[[Api], None]:
    def act(api: Api) -> None:
        api.client.merge_patch(SECRET, "pullpass-webhook", {"data": data, **members}, namespace=OURS)

    return act


def delete(api: Api) -> None:
    api.client.delete(SECRET, "pullpass-webhook", namespace=OURS)


def replace_with_another_type(api: Api) -> None:
    delete(api)
    secret = certificate.secret(certificate.first(api.clock.now()))
    api.client.apply(secret | {"type": "Opaque"})


@pytest.mark.parametrize(
    "damage",
    [
        delete,
        spoil({"tls.key": base64.b64encode(b"nonsense").decode()}),
        spoil({"ca.crt": None}),
        spoil(
            {"tls.crt": base64.b64encode(certificate.first(datetime.now(UTC)).serving.certificate).decode()}
        ),
        replace_with_another_type,
    ],
    ids=["deleted", "key spoiled", "authority gone", "foreign certificate", "another type"],
)
def test_damage_is_mended_and_the_old_certificate_trusted_meanwhile(
    api: Api, damage: Callable[[Api], None]
) -> None:
    api.configure()
    leader = api.leader()
    before = api.settled()
    leader.depose()
    damage(api)
    leader.lead()
    after = api.settled(lambda kept: kept.serving != before.serving)
    assert {*before.authorities} < {*after.authorities}
    assert after.serving == api.eventually(
        lambda: leader.serving.current() if leader.serving.current() == after.serving else None
    )


def test_who_deletes_the_secret_gets_another_word(api: Api) -> None:
    api.configure()
    api.leader()
    before = api.settled()
    delete(api)
    after = api.settled(lambda kept: kept.serving != before.serving)
    assert before.serving.word != after.serving.word


def test_a_replica_goes_on_with_the_last_good_one_while_the_secret_is_spoiled(api: Api) -> None:
    leader = api.leader()
    kept = api.eventually(api.kept)
    api.eventually(leader.serving.current)
    leader.depose()
    spoil({"tls.key": base64.b64encode(b"nonsense").decode()})(api)

    def spoiled() -> bool:
        found = leader.serving.found()
        return found is not None and found.kept is None

    api.eventually(spoiled)
    assert kept.serving == leader.serving.current()


def test_rotation_spreads_trust_before_it_serves(api: Api) -> None:
    api.configure()
    api.leader()
    first = api.settled()
    api.pass_days(59)
    assert first == api.settled()
    api.pass_days(1.01)
    spread = api.settled(lambda kept: kept.upcoming is not None)
    assert first.serving == spread.serving
    assert {*first.authorities} < {*spread.authorities}
    api.clock.advance(SPREAD_SECONDS - 10)
    assert spread == api.kept()

    def served() -> Kept | None:
        api.clock.advance(1)
        kept = api.kept()
        return kept if kept is not None and kept.upcoming is None else None

    after = api.eventually(served)
    assert (spread.upcoming, {*spread.authorities}) == (after.serving, {*after.authorities})


def test_the_old_authority_is_trusted_until_the_old_certificate_has_expired(api: Api) -> None:
    api.configure()
    api.leader()
    first = api.settled()
    api.pass_days(60.01)
    api.settled(lambda kept: kept.upcoming is not None)

    def promoted() -> bool:
        api.clock.advance(10)
        kept = api.kept()
        return kept is not None and kept.serving != first.serving

    api.eventually(promoted)
    api.pass_days(28)
    assert {*first.authorities} < {*api.settled().authorities}
    api.pass_days(2)
    api.settled(lambda kept: not {*first.authorities} & {*kept.authorities})


def test_a_new_leader_goes_on_with_a_rotation_that_was_begun(api: Api) -> None:
    api.configure()
    leader = api.leader()
    first = api.settled()
    api.pass_days(60.01)
    spread = api.settled(lambda kept: kept.upcoming is not None)
    leader.depose()
    api.leader()

    def served() -> bool:
        api.clock.advance(10)
        kept = api.kept()
        return kept is not None and kept.serving == spread.upcoming

    api.eventually(served)
    assert first.serving != spread.upcoming


def test_the_next_one_waits_for_a_ca_bundle_that_cannot_be_written(api: Api) -> None:
    api.configure()
    leader = api.leader()
    first = api.settled()
    stranger, found = api.client.managing_as("stranger"), api.client.get(MUTATING_WEBHOOK, "pullpass-agent")
    assert leader.certificates is not None
    certificates = leader.certificates
    api.pass_days(60.01)
    api.settled(lambda kept: kept.upcoming is not None)

    def resist() -> bool:
        stranger.merge_patch(MUTATING_WEBHOOK, "pullpass-agent", {"webhooks": found["webhooks"]})
        return "again and again" in certificates.status().error

    api.eventually(resist)
    api.clock.advance(SPREAD_SECONDS - 5)
    kept = api.kept()
    assert kept is not None
    assert first.serving == kept.serving


def test_one_that_has_expired_while_nobody_led_is_replaced_at_once(api: Api) -> None:
    api.configure()
    leader = api.leader()
    first = api.settled()
    leader.depose()
    api.pass_days(91)
    assert leader.serving.current() is None
    leader.lead()
    after = api.settled(lambda kept: kept.serving != first.serving)
    assert timedelta(days=89) < after.serving.expires_at - api.clock.now()


def test_two_leaders_at_once_agree(api: Api) -> None:
    api.configure()
    leaders = [api.leader() for _ in range(2)]
    kept = api.settled()
    for leader in leaders:
        api.eventually(lambda leader=leader: leader.serving.current() == kept.serving)  # type: ignore[misc]  # bound now


def test_the_status_tells_what_is_served(api: Api) -> None:
    api.configure()
    leader = api.leader()
    kept = api.settled()
    assert leader.certificates is not None
    certificates = leader.certificates
    status = api.eventually(lambda: certificates.status() if certificates.status().served else None)
    assert (kept.serving.expires_at, ("pullpass-agent",), "") == (
        status.certificate_expires_at,
        status.served,
        status.error,
    )


def test_what_the_api_server_refuses_is_counted_and_tried_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Forbidden(403, "Forbidden", "you may not")

    api.configure()
    with monkeypatch.context() as refusing:
        refusing.setattr(Client, "create", refuse)
        leader = api.leader()
        api.eventually(lambda: leader.failures)
    assert {"Forbidden"} == {*leader.failures}
    api.settled()
