"""The role is assumed and may not pull, or cannot: what the status says then, and what mends it."""

from __future__ import annotations

import json

from tests.contract.setup.scene import POLICY, REGISTRY, Scene

LOGIN_ONLY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": "*"}],
}


def test_no_permission_to_log_in_to_ecr(stage: Scene) -> None:
    stage.in_iam(lambda iam: iam.delete_role_policy(RoleName="pullpass", PolicyName=POLICY))
    stage.look_again()
    assert POLICY in stage.follow(stage.broken("EcrAccessDenied"))
    stage.ready()


def test_no_permission_on_the_repository(stage: Scene) -> None:
    stage.in_iam(
        lambda iam: iam.put_role_policy(
            RoleName="pullpass", PolicyName=POLICY, PolicyDocument=json.dumps(LOGIN_ONLY)
        )
    )
    stage.look_again()
    assert "ecr:BatchGetImage" in stage.follow(stage.broken("RegistryAccessDenied"))
    stage.ready()


def test_a_registry_that_does_not_answer(stage: Scene) -> None:
    stage.world.registry.set_down()
    stage.look_again()
    assert f"reach {REGISTRY}" in stage.broken("RegistryUnreachable")
    stage.world.registry.set_down(down=False)
    stage.ready()
