"""What instances of a Consul say as endpoints."""

import itertools
from dataclasses import replace

import pytest

from adapters.consul.objects import FORMAT, OWNER, VIA
from adapters.consul.selection import Selection
from adapters.consul.translate import translate
from bridge.model import Health, Locality, Port
from tests.claims.consul_entries import ALL, PAY, endpoints, entry, only, parsed, scope, told


def checks(*states: str) -> list[dict[str, str]]:
    return [{"Status": state} for state in states]


@pytest.mark.parametrize(
    ("states", "health"),
    [
        ((), Health.HEALTHY),
        (("passing", "passing"), Health.HEALTHY),
        (("passing", "warning"), Health.DEGRADED),
        (("warning", "critical", "passing"), Health.UNHEALTHY),
        (("bogus",), Health.UNHEALTHY),
        (("",), Health.UNHEALTHY),
    ],
)
def test_an_instance_is_as_well_as_the_worst_of_its_checks(states: tuple[str, ...], health: Health) -> None:
    assert only(entry(checks=checks(*states))).health is health


@pytest.mark.parametrize("check", ["_node_maintenance", "_service_maintenance:pay-1"])
def test_maintenance_drains_and_is_no_failure(check: str) -> None:
    assert only(entry(checks=[{"CheckID": check, "Status": "critical"}])).health is Health.DRAINING


def test_lists_that_are_null_are_empty() -> None:
    one = only(entry(checks=None, TaggedAddresses=None))
    assert (one.health, one.weight, one.metadata) == (Health.HEALTHY, 1, (("registered-on", "vm-7"),))


def test_each_state_has_its_own_weight() -> None:
    weights = {"Passing": 10, "Warning": 3}
    assert only(entry(Weights=weights)).weight == 10
    assert only(entry(Weights=weights, checks=checks("warning"))).weight == 3


def test_a_warning_may_count_as_well() -> None:
    assert only(entry(checks=checks("warning")), warning=Health.HEALTHY).health is Health.HEALTHY


def test_a_weight_of_nothing_drains_and_removes_nothing() -> None:
    one = only(entry(Weights={"Passing": 0, "Warning": 1}))
    assert (one.health, one.weight) == (Health.DRAINING, 1)
    failing = only(entry(Weights={"Passing": 0, "Warning": 1}, checks=checks("critical")))
    assert failing.health is Health.UNHEALTHY


def test_the_address_is_the_instances_own_or_its_nodes() -> None:
    assert only(entry()).address == "10.7.0.2"
    assert only(entry(address="")).address == "10.7.0.1"
    assert only(entry(address="Vm7.Example.")).address == "vm7.example"


def test_a_further_address_counts_where_it_is_asked_for_as_consul_translates_it() -> None:
    wan = {"wan": {"Address": "203.0.113.9", "Port": 443}}
    node = {"TaggedAddresses": {"wan": "203.0.113.1"}}
    assert str(only(entry(TaggedAddresses=wan, node=node), tagged="wan").id) == "203.0.113.9:443"
    assert str(only(entry(TaggedAddresses=wan, node=node)).id) == "10.7.0.2:8443"
    assert str(only(entry(address="", node=node), tagged="wan").id) == "203.0.113.1:8443"
    assert str(only(entry(node=node), tagged="wan").id) == "10.7.0.2:8443"
    assert str(only(entry(TaggedAddresses={"wan": {"Address": "203.0.113.9"}}), tagged="wan").id) == "203.0.113.9:8443"


def test_the_default_one_of_several_ports_is_the_primary_one() -> None:
    several = [{"Name": "admin", "Port": 9000}, {"Name": "http", "Port": 8080, "Default": True}]
    assert only(entry(port=None, Ports=several)).ports == (Port("http", 8080), Port("admin", 9000))


def test_an_only_port_is_called_as_the_configuration_says() -> None:
    assert only(entry(), port="http").ports == (Port("http", 8443),)
    assert only(entry()).ports == (Port("", 8443),)


@pytest.mark.parametrize(
    ("said", "kind", "why"),
    [
        (entry(port=None), "port", "has no port"),
        (entry(port=0), "port", "has no port"),
        (entry(port=None, SocketPath="/run/pay.sock"), "port", "Unix socket"),
        (entry(port=70_000), "record", "70000 is not between 1 and 65535"),
        (entry(address="010.1.2.3"), "address", "octal"),
        (entry(address="a b"), "address", "neither an IP address nor a host name"),
        (entry(Tags="prod"), "record", "is not a list"),
        (entry(Weights={"Passing": "10"}), "record", "Weights.Passing"),
        ("nothing", "record", "is not a mapping"),
    ],
)
def test_a_bad_instance_is_one_line_and_its_neighbours_stay(said: object, kind: str, why: str) -> None:
    found = told(entry("good", "10.7.0.9"), said)
    assert found.service is not None
    assert [one.address for one in found.service.endpoints] == ["10.7.0.9"]
    (problem,) = found.problems
    assert problem.kind == kind
    assert why in problem.what
    assert problem.what.endswith("the instance is left out")


def test_many_bad_instances_are_told_together() -> None:
    found = told(*(entry(f"pay-{number}", port=None) for number in range(500)))
    assert found.service is None
    assert len(found.problems) == 21
    assert sum(one.count for one in found.problems) == 500


def test_the_place_is_the_instances_own_then_its_nodes_then_of_meta_then_configured() -> None:
    own, node = {"Region": "eu", "Zone": "eu-1b"}, {"Locality": {"Region": "eu", "Zone": "eu-1a"}}
    assert only(entry(Locality=own, node=node)).locality == Locality("eu", "eu-1b")
    assert only(entry(node=node)).locality == Locality("eu", "eu-1a")
    assert only(entry(Meta={"zone": "z1"}, node={"Meta": {"zone": "z2", "region": "r"}})).locality == Locality(
        "r", "z1"
    )
    base = Locality("us", "us-1", "rack-7")
    assert only(entry(), locality=base).locality == base
    assert only(entry(Meta={"zone": "z1"}), locality=base).locality == Locality("us", "z1")


def test_meta_and_tags_are_metadata_and_the_mark_is_not() -> None:
    one = only(entry(Meta={"version": "2"}, Tags=["v2", "blue"]))
    assert dict(one.metadata) == {"version": "2", "tags": "blue,v2", "registered-on": "vm-7"}
    bridged = only(entry(Meta={"version": "2", OWNER: "other"}, Tags=["v2", "blue"]))
    assert dict(bridged.metadata) == {"version": "2"}


def test_the_tag_by_which_consul_k8s_knows_its_own_goes_nowhere_and_a_hands_goes_along() -> None:
    """A consul-k8s leaves a service with its tag out of Kubernetes, whoever has written it."""
    copied = entry(Meta={"external-source": "kubernetes"}, Tags=["k8s", "v2"])
    assert dict(only(copied, selection=replace(ALL, synced=True)).metadata)["tags"] == "v2"
    assert dict(only(entry(Tags=["k8s", "v2"])).metadata)["tags"] == "k8s,v2"


@pytest.mark.parametrize("kind", ["connect-proxy", "mesh-gateway", "terminating-gateway", "ingress-gateway"])
def test_proxies_and_gateways_are_no_instances(kind: str) -> None:
    assert told(entry(Kind=kind)) == (None, (), ())
    assert only(entry(Kind="typical")).address == "10.7.0.2"


@pytest.mark.parametrize(
    "said",
    [
        entry(Meta={"external-source": "kubernetes"}),
        entry(node={"Meta": {"external-source": "kubernetes"}}),
        entry(node={"Node": "k8s-sync"}),
        entry(node={"Meta": {"synthetic-node": "true"}}),
        entry(Meta={"managed-by": "consul-k8s-endpoints-controller"}),
    ],
)
def test_what_consul_k8s_copied_counts_only_when_asked_for(said: dict[str, object]) -> None:
    assert endpoints(said) == ()
    assert len(endpoints(said, selection=Selection(("*",), frozenset(), (), True))) == 1


def test_of_a_host_without_an_agent_the_meta_is_what_its_node_says_and_its_own_counts_first() -> None:
    said = {"external-node": "true", "external-probe": "true", "rack": "r4", "role": "spare"}
    metadata = (("rack", "r4"), ("registered-on", "vm-7"), ("role", "primary"))
    assert only(entry(node={"Meta": said}, Meta={"role": "primary"})).metadata == metadata
    agents = {"rack": "r4", "consul-version": "1.20.6"}
    assert only(entry(node={"Meta": agents}, Meta={"role": "primary"})).metadata == metadata[1:]


def test_what_nomad_registered_counts() -> None:
    assert len(endpoints(entry(Meta={"external-source": "nomad"}))) == 1


def test_what_another_bridge_wrote_says_so_and_what_we_wrote_is_left_out() -> None:
    theirs = entry(Meta={OWNER: "theirs", FORMAT: "1", VIA: "first"})
    assert only(theirs).via == "first theirs"
    assert endpoints(theirs, owners=frozenset(["theirs"])) == ()
    assert endpoints(theirs, owners=frozenset(["first"])) == ()


def test_only_instances_with_all_tags_and_meta_count() -> None:
    chosen = Selection(("*",), frozenset(["prod", "v2"]), (("team", frozenset(["pay", "shop"])),), False)
    right = entry("right", Tags=["prod", "v2", "blue"], Meta={"team": "pay"})
    assert len(endpoints(right, entry("untagged"), selection=chosen)) == 1
    assert endpoints(entry(Tags=["prod"], Meta={"team": "pay"}), selection=chosen) == ()
    assert endpoints(entry(Tags=["prod", "v2"], Meta={"team": "ops"}), selection=chosen) == ()


def test_one_address_twice_is_one_endpoint_whatever_the_order() -> None:
    said = [entry("a", node={"Node": "vm-1"}), entry("a", node={"Node": "vm-2"}), entry("b", node={"Node": "vm-1"})]
    answers = {told(*order) for order in itertools.permutations(said)}
    assert len(answers) == 1
    (found,) = answers
    assert found.service is not None
    assert len(found.service.endpoints) == 1
    assert [(one.kind, one.count) for one in found.problems] == [("duplicate", 1)]


def test_a_native_instance_counts_before_a_bridges() -> None:
    bridged = entry("a", Meta={OWNER: "theirs", FORMAT: "1"})
    assert only(bridged, entry("b")).via == ""


def test_a_name_that_had_to_be_changed_is_kept_with_each_endpoint() -> None:
    native, bridged = entry(), entry("b", "10.7.0.3", Meta={OWNER: "theirs", FORMAT: "1"})
    service = translate(PAY, "Pay_", parsed(native, bridged), scope(selection=ALL)).service
    assert service is not None
    assert [one.metadata for one in service.endpoints] == [(("registered-as", "Pay_"), ("registered-on", "vm-7")), ()]
    assert "registered-as" not in dict(only(native).metadata)


def test_what_is_to_go_for_ours_counts_as_another_bridges_until_it_goes() -> None:
    goes = entry(checks=[{"CheckID": "registry-bridge-yields:us:pay-1", "Status": "passing"}])
    stays = entry("pay-2", "10.7.0.3", checks=[{"CheckID": "registry-bridge-yields:us:pay-1", "Status": "passing"}])
    found = told(goes, stays, owners=frozenset({"us"}))
    assert found.service is not None
    assert [(one.address, one.via) for one in found.service.endpoints] == [("10.7.0.2", "by-hand"), ("10.7.0.3", "")]
    assert [one.id for one in found.yields] == ["pay-1"]
    assert [one.via for one in endpoints(goes, owners=frozenset({"them"}))] == [""]


def test_what_stays_wins_over_what_is_to_go_at_the_same_address() -> None:
    goes = entry(checks=[{"CheckID": "registry-bridge-yields:us:pay-1", "Status": "passing"}])
    stays = entry(node={"Node": "vm-9"})
    assert only(goes, stays, owners=frozenset({"us"})).via == ""
