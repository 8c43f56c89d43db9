"""AWS does not take the cluster's token: what the status says then, and what mends it."""

from __future__ import annotations

from datetime import timedelta

from tests.contract.setup.scene import ISSUER, PRIVATE_ISSUER, REGION, Scene


def test_an_empty_account_is_set_up_by_one_command(stage: Scene) -> None:
    stage.in_iam(lambda iam: iam.get_open_id_connect_provider(OpenIDConnectProviderArn=stage.provider_arn()))
    stage.ready()
    assert "AWS account 123456789012 holds all that edge needs.\n" == stage.set_up()


def test_no_oidc_provider(stage: Scene) -> None:
    arn = stage.provider_arn()
    stage.in_iam(lambda iam: iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn))
    stage.look_again()
    assert "create" in stage.follow(stage.broken("OidcProviderMissing"))
    stage.ready()


def test_an_audience_that_is_not_allowed(stage: Scene) -> None:
    arn = stage.provider_arn()
    stage.in_iam(
        lambda iam: iam.remove_client_id_from_open_id_connect_provider(
            OpenIDConnectProviderArn=arn, ClientID="sts.amazonaws.com"
        )
    )
    stage.look_again()
    assert "allow audience sts.amazonaws.com" in stage.follow(stage.broken("AudienceNotAllowed"))
    stage.ready()


def test_keys_that_are_not_published(stage: Scene) -> None:
    stage.publish(keys=False)
    stage.look_again()
    remedy = stage.broken("VerificationKeyUnavailable")
    assert f"curl -sSf --max-time 5 {ISSUER}/.well-known/openid-configuration" in remedy
    stage.publish()
    stage.ready()


def test_a_clock_that_is_wrong(stage: Scene) -> None:
    stage.world.aws.set_skew(timedelta(hours=-1))
    stage.look_again()
    assert "chronyc tracking" in stage.broken("TokenExpired")
    stage.world.aws.set_skew(timedelta())
    stage.ready()


def test_sts_that_is_not_active_in_the_region(stage: Scene) -> None:
    stage.world.aws.disable_region(REGION)
    stage.look_again()
    assert f"Activate {REGION} for STS" in stage.broken("StsRegionDisabled")
    stage.world.aws.enable_region(REGION)
    stage.ready()


def test_a_private_issuer_is_published_by_the_hub_and_set_up(stage: Scene) -> None:
    stage.sign_as(PRIVATE_ISSUER, ISSUER)
    stage.look_again()
    stage.follow(stage.broken("IssuerNotUsable"))
    flags = stage.broken("IssuerNotSwitched").partition(": ")[2].split()
    issuers = [flag.partition("=")[2] for flag in flags if flag.startswith("--service-account-issuer=")]
    stage.sign_as(*issuers, ISSUER)
    stage.follow(stage.broken("OidcProviderMissing"))
    stage.ready()
    stage.sign_as(ISSUER)
    stage.patch({"settings": {"awsWorkloadIdentity": {"issuer": "cluster"}}})
    stage.follow(stage.broken("TrustPolicyMismatch"))
    stage.ready()
