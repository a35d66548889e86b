"""What stands in a cluster of ours, kept up as it changes; and how it is configured."""

from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from adapters.kubernetes.claims import KubeClaim
from adapters.kubernetes.client import Api
from adapters.kubernetes.mirror import Broken
from adapters.kubernetes.objects import Key, service_of, slice_of
from adapters.kubernetes.owned import home
from adapters.kubernetes.seen import Seen
from adapters.kubernetes.settings import Settings
from adapters.kubernetes.slices import Revision
from adapters.kubernetes.target import KubeTarget
from adapters.kubernetes.written import Written
from bridge.adapter import Claim, Held, Target
from bridge.errors import Denied
from bridge.kit import Kit
from bridge.testing.clock import FakeClock
from tests import kube
from tests.builders import name, service
from tests.kube_world import MARK, Json, World, form, shop

ONLY, NAMED = Target(""), Target("inventory")


def targets(seen: Seen, *names: Target) -> list[KubeTarget]:
    return [
        KubeTarget("k8s", form(target=one), "bridge", api=cast("Api", None), clock=FakeClock(), service=seen.service)
        for one in names
    ]


def take(seen: Seen, *objects: Json) -> None:
    for one in objects:
        key = Key(one["metadata"]["namespace"], one["metadata"]["name"])
        if one["kind"] == "Service":
            seen.take_services({key: (None, service_of(one))})
        else:
            seen.take_slices({key: (None, slice_of(one))})


def update(written: Written, seen: Seen, *known: str) -> None:
    for _ in written.update(seen.pull().held, known or ("bridge",)):
        pass


def world(*names: Target) -> World:
    """A cluster into which these targets have written."""
    made = World(shop("http:80"))
    for one in names:
        made.say(service("shop/payments", "10.20.0.1:8080"), form(target=one))
    return made


def test_each_target_sees_its_own_and_what_did_not_change_is_the_same_object() -> None:
    there, seen = world(ONLY, NAMED), Seen(home)
    written = Written(targets(seen, ONLY, NAMED), seen, lambda: "bridge", [MARK.owner])
    take(seen, shop("http:80"), kube.service("shop/orders", "http:80"), *there.slices.values())
    update(written, seen)
    for target in (ONLY, NAMED):
        holding = written.held[target].holdings[name("shop/payments")]
        assert len(holding.records) == 1
        assert written.held[target].holdings[name("shop/orders")].facts is not None
    before = written.held
    update(written, seen)
    assert written.held is before
    take(seen, kube.slice_("shop/payments-x7k2p", "10.1.0.1", of="payments"))
    update(written, seen)
    assert written.held is before, "what is no bridge's is none of a writer's business"
    take(seen, kube.service("shop/orders", "http:80", annotations={"registry-bridge.dev/sync": "false"}))
    update(written, seen)
    now = written.held[ONLY].holdings
    assert now[name("shop/payments")] is before[ONLY].holdings[name("shop/payments")]
    assert now[name("shop/orders")] != before[ONLY].holdings[name("shop/orders")]


def test_a_target_whose_claims_nobody_knows_is_not_to_be_written() -> None:
    seen = Seen(home)
    written = Written(targets(seen, ONLY), seen, lambda: "bridge", [MARK.owner])
    update(written, seen, "elsewhere")
    assert dict(written.held) == {}
    update(written, seen)
    assert dict(written.held) == {ONLY: Held()}


def test_claims_come_change_and_go() -> None:
    seen = Seen(home)
    written = Written(targets(seen, ONLY), seen, lambda: "bridge", [MARK.owner])
    key = Key("bridge", "x")
    claim = KubeClaim(key, "", Claim("prod", "a", 1, 0.0, False, Revision("u", "1")))
    written.take_claims({key: (None, claim)})
    update(written, seen)
    assert written.held[ONLY].claims == (claim.claim,)
    written.take_claims({key: (claim, Broken("label is gone; delete it"))})
    update(written, seen)
    assert written.held[ONLY].claims == ()
    (problem,) = written.problems
    assert str(problem) == "lease bridge/x: label is gone; delete it"
    written.take_claims({key: (None, None)})
    assert not list(written.problems)


@pytest.mark.parametrize(
    ("stood", "now", "selector"),
    [(NAMED, ONLY, "registry-bridge.dev/target=inventory"), (ONLY, NAMED, "!registry-bridge.dev/target")],
)
def test_slices_of_an_export_that_was_renamed_are_told_with_what_to_do(
    stood: Target, now: Target, selector: str
) -> None:
    there, seen = world(stood), Seen(home)
    written = Written(targets(seen, now), seen, lambda: "bridge", [MARK.owner])
    take(seen, shop("http:80"), *there.slices.values())
    update(written, seen)
    (problem,) = written.problems
    assert f"kubectl delete endpointslices -A -l registry-bridge.dev/owner=prod,{selector}" in problem.what
    assert written.held[now].holdings[name("shop/payments")].records == ()


def settings(**export: Any) -> Settings:
    said = {"services": ["shop/*"], "from": ["vms"], **export}
    return Settings.model_validate({"name": "k8s", "kind": "kubernetes", "export": [said]})


def test_an_export_has_defaults_that_make_nothing_and_a_name_only_where_there_are_several() -> None:
    (one,) = settings().export
    assert (one.target, one.create_services, one.headless, one.opt_in, one.slice_size) == ("", False, False, False, 100)
    (one,) = settings(name="inventory").export
    assert one.target == "inventory"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"headless": True}, "write `create_services: true`, or remove it"),
        ({"slice_size": 1001}, "less than or equal to 1000"),
        ({"slice_size": 0}, "greater than or equal to 1"),
        ({"claim_namespace": "Kube System"}, "is not a lower-case DNS label"),
        ({"name": "a_b"}, "is not a lower-case DNS label; write 'a-b'"),
        ({"file": "x"}, "Extra inputs"),
    ],
)
def test_what_an_export_cannot_be_is_said_with_its_remedy(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**said)


async def test_a_kubeconfig_that_is_missing_stops_its_registry_when_it_is_observed_and_nothing_before(
    tmp_path: Path,
) -> None:
    said = {
        "name": "k8s", "kind": "kubernetes", "kubeconfig": str(tmp_path / "kubeconfig"),
        "export": [{"services": ["shop/*"], "from": ["vms"]}],
    }  # fmt: skip
    source = Settings.model_validate(said).open(Kit("k8s", FakeClock(), MARK))
    with pytest.raises(Denied, match=r"^k8s: .*kubeconfig: is not there"):
        await anext(source.observe())


async def test_where_claims_are_kept_is_the_contexts_to_say_where_the_configuration_does_not() -> None:
    seen = Seen(home)
    unplaced = KubeTarget("k8s", form(), "", api=cast("Api", None), clock=FakeClock(), service=seen.service)
    placed = KubeTarget(
        "k8s", form(target=NAMED), "own", api=cast("Api", None), clock=FakeClock(), service=seen.service
    )
    assert Written([unplaced, placed], seen, lambda: "team-a").located() == ["own", "team-a"]
    assert (unplaced.claim_namespace, placed.claim_namespace) == ("team-a", "own")
