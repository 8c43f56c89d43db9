from dataclasses import replace

from agent.secrets.registries import MOST_REGISTRIES, configured, hosts_of_pod, seen
from aws.registry_hosts import RegistryHost, parse
from schemas.agent_documents import AgentConfiguration

FRANKFURT = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
DUBLIN = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
CONFIGURATION = AgentConfiguration(
    generation=1,
    cluster_uid="c-1",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::111122223333:role/pull",
    audience="sts.amazonaws.com",
    region=None,
    registries=(),
)


def parsed(host: str) -> RegistryHost:
    found = parse(host)
    assert found is not None
    return found


def names(
    pods: list[tuple[str, frozenset[str]]], *, known: tuple[str, ...] = (), served: tuple[str, ...] = ()
) -> list[str]:
    found = seen(
        CONFIGURATION,
        pods,
        selected=lambda name: name != "kube-system",
        known=[parsed(host) for host in known],
        served_regions=served,
    )
    return [registry.host for registry in found]


def test_configured_registries_keep_their_order_and_come_once() -> None:
    found = configured(replace(CONFIGURATION, registries=(FRANKFURT, DUBLIN, FRANKFURT)))
    assert [registry.host for registry in found] == [FRANKFURT, DUBLIN]


def test_the_registry_of_the_image_to_verify_is_one_of_them() -> None:
    found = configured(replace(CONFIGURATION, registries=(FRANKFURT,), verify_image=f"{DUBLIN}/shop/web:1"))
    assert [registry.host for registry in found] == [FRANKFURT, DUBLIN]


def test_pods_of_selected_namespaces_show_the_registries() -> None:
    assert names([("shop", frozenset({DUBLIN, FRANKFURT})), ("web", frozenset({DUBLIN}))]) == [
        FRANKFURT,
        DUBLIN,
    ]


def test_pods_of_other_namespaces_do_not() -> None:
    assert names([("kube-system", frozenset({DUBLIN}))]) == []


def test_a_registry_whose_region_has_a_credential_stays_after_its_pods() -> None:
    assert names([], known=(DUBLIN,), served=("eu-west-1",)) == [DUBLIN]


def test_a_registry_whose_region_never_had_one_goes_with_its_pods() -> None:
    assert names([], known=(DUBLIN,), served=("eu-central-1",)) == []


def test_there_are_never_more_than_fit_a_secret() -> None:
    many = frozenset(f"{number:012}.dkr.ecr.eu-west-1.amazonaws.com" for number in range(MOST_REGISTRIES + 1))
    assert len(names([("shop", many)])) == MOST_REGISTRIES


def test_a_pod_shows_the_hosts_of_all_its_containers() -> None:
    pod = {
        "spec": {
            "initContainers": [{"image": f"{FRANKFURT}/init@sha256:{'0' * 64}"}],
            "containers": [{"image": "nginx"}, {"image": f"{DUBLIN}/shop/web:1"}],
            "ephemeralContainers": [{}],
        }
    }
    assert hosts_of_pod(pod) == frozenset({FRANKFURT, DUBLIN})


def test_nothing_is_kept_of_a_pod_without_ecr_images() -> None:
    assert hosts_of_pod({"spec": {"containers": [{"image": "public.ecr.aws/nginx/nginx:1"}]}}) is None
