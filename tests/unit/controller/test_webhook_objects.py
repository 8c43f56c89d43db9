import pytest

from controller.addons.webhook_objects import pull_secret_webhooks
from schemas.addons.aws_ecr import Labelled, PullSecret

NAMES = ["labelled-secrets.pullpass.dev", "pods.pullpass.dev"]


def test_neither_wish_makes_no_configuration() -> None:
    assert () == pull_secret_webhooks(PullSecret(), {})


@pytest.mark.parametrize(
    ("wishes", "called"),
    [
        (PullSecret(labelled=Labelled()), [True, False]),
        (PullSecret(append_to_pods=True), [False, True]),
        (PullSecret(labelled=Labelled(failure_policy="Fail"), append_to_pods=True), [True, True]),
    ],
)
def test_both_webhooks_are_always_there_and_one_that_is_not_wanted_is_never_called(
    wishes: PullSecret, called: list[bool]
) -> None:
    (configuration,) = pull_secret_webhooks(wishes, {})
    webhooks = configuration["webhooks"]
    assert NAMES == [webhook["name"] for webhook in webhooks]
    assert called == ["rules" in webhook for webhook in webhooks]


def test_a_webhook_that_is_never_called_does_not_fail_anything() -> None:
    (configuration,) = pull_secret_webhooks(PullSecret(append_to_pods=True), {})
    assert ["Ignore", "Ignore"] == [webhook["failurePolicy"] for webhook in configuration["webhooks"]]
