"""What hands registered without an agent, and what of it a record of ours can take the place of."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from adapters.consul.fit import Form, fit
from adapters.consul.objects import Instance, instance_of
from adapters.consul.strangers import Whose, emptied, is_empty, leaving, marking, stands_for, strangers, unmarking
from bridge.adapter import Stranger
from bridge.errors import Conflict
from bridge.model import Service, ServiceName
from tests.builders import endpoint, service, services

WEB = ServiceName("shop", "web")
FORM = Form("shop", {}, ())
HOST = "10.7.0.1"
ESM = {"external-node": "true", "external-probe": "true"}
GOES = {"CheckID": "registry-bridge-yields:us:web-1", "ServiceID": "web-1", "Status": "passing"}
NODE_GOES = {"CheckID": "registry-bridge-yields:us:", "ServiceID": "", "Status": "passing"}


def node(*them: Mapping[str, Any], meta: Mapping[str, str] = ESM, **more: Any) -> dict[str, Any]:
    """What Consul says of an external node with these services; `more` are fields of the node."""
    said = {"Node": "db-7", "Address": HOST, "ID": "", "Meta": meta, "ModifyIndex": 5, **more}
    return {"Node": said, "Services": {one["ID"]: one for one in them}}


def web(its: str = "web-1", **more: Any) -> dict[str, Any]:
    """An instance that says nothing of its address, which is its node's."""
    weights = {"Passing": 1, "Warning": 1}
    return {"ID": its, "Service": "web", "Address": "", "Port": 80, "Weights": weights, "ModifyIndex": 7, **more}


def found(said: Any, *checks: Mapping[str, Any], wants: Sequence[Service] = (service("shop/web", f"{HOST}:80"),)) -> (
    list[Stranger]
):  # fmt: skip
    """What stands on the node, for an export of these services; of what is read all comes to `shop`."""
    wanted = services(*wants)
    whose = Whose(
        "us", lambda name: None if name == "unread" else ServiceName("shop", name.replace("_", "-")),
        lambda name: name.name, lambda name: fit(FORM, wanted[name])[0],
    )  # fmt: skip
    return list(strangers(said, list(checks), wanted, whose))


def only(said: Any, *checks: Mapping[str, Any], **more: Any) -> Stranger:
    (one,) = found(said, *checks, **more)
    return one


def instance(said: Any, *checks: Mapping[str, Any]) -> Instance:
    (one,) = said["Services"].values()
    return instance_of({"Node": said["Node"], "Service": one, "Checks": list(checks)})


def test_an_instance_that_an_export_says_too_can_go() -> None:
    one = only(node(web()))
    assert (one.place, one.name, one.service, one.where) == ("db-7", "web-1", "web", f"{HOST}:80")
    assert (one.stays, one.loses, one.yields) == ("", (), False)


def test_what_ours_does_not_have_of_it_is_told() -> None:
    probe = {"Name": "port", "CheckID": "c", "ServiceID": "web-1", "Status": "warning"}
    said = node(
        web(Tags=["v2", "db"], Meta={"team": "pay"}, Weights={"Passing": 10, "Warning": 1}), Locality={"Region": "eu"}
    )
    wants = [Service.of(WEB, [endpoint(f"{HOST}:80", metadata=(("tags", "db"),))])]
    one = only(
        said, {**probe, "Definition": {"TCP": f"{HOST}:80", "Interval": "10s"}},
        {"Name": "External Node Status", "CheckID": "externalNodeHealth", "Status": "passing"}, wants=wants,
    )  # fmt: skip
    assert one.loses == (
        "warning becomes passing", "tags v2", "meta team", "weights 10/1", "the field Locality",
        f"check port (TCP {HOST}:80, by consul-esm)", "the ping of consul-esm",
    )  # fmt: skip


@pytest.mark.promise("law-5")
@pytest.mark.parametrize(
    ("said", "checks", "why"),
    [
        (node(web()), [{"CheckID": "serfHealth"}], "on an agent's node"),
        (node(web(), ID="40e4a748", meta={}), [], "on a node with an id"),
        (node(web(), Node="k8s-sync", meta={}), [], "on a node of consul-k8s"),
        (node(web(), meta={"synthetic-node": "true"}), [], "on a node of consul-k8s"),
        (node(web(), meta={"external-source": "nomad"}), [], "on a node of Nomad"),
        (node(web(), meta={"registry-bridge-owner": "east"}), [], "on the node of the bridge east"),
        (node(web(Meta={"registry-bridge-owner": "east", "registry-bridge-format": "1"})), [], "the bridge east's"),
        (node(web(Meta={"external-source": "kubernetes"})), [], "consul-k8s's"),
        (node(web(Meta={"external-source": "nomad"})), [], "Nomad's"),
        (node(web("_nomad-task-1")), [], "Nomad's"),
        (node(web(Service="consul-esm")), [], "consul-esm's own"),
        (node(web(Kind="mesh-gateway")), [], "of the mesh"),
        (node(web(Connect={"Native": True})), [], "of the mesh"),
        (node(web(Port=0)), [], "has not one port"),
        (node(web(Ports=[{"Name": "http", "Port": 80, "Default": True}])), [], "has not one port"),
        (node(web(TaggedAddresses={"wan": {"Address": "203.0.113.9", "Port": 80}})), [], "further addresses (wan)"),
        (node(web(Address="db7.example")), [], "its address is a name"),
        (node(web(Port="x")), [], "cannot be understood"),
    ],
)
def test_what_is_no_hands_or_that_ours_cannot_say_stays(said: Any, checks: list[Any], why: str) -> None:
    one = only(said, *checks)
    assert why in one.stays
    assert not one.yields


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (web(Service="mail"), "no export says shop/mail here"),
        (web(Port=81), "no export says it of shop/web here"),
        (web(Service="unread"), "its service is not read here"),
        (web(Service="we_b"), "no export says shop/we-b here"),
    ],
)
def test_what_nothing_of_ours_stands_for_stays(said: Any, why: str) -> None:
    assert why in only(node(said)).stays


def test_what_ours_would_be_called_otherwise_stays() -> None:
    said = node(web(Service="Old_Web"))
    assert "ours would be called Old-Web" in only(said, wants=[service("shop/Old-Web", f"{HOST}:80")]).stays


def test_a_node_that_consul_esms_own_example_gives_an_id_is_a_hands() -> None:
    assert only(node(web(), ID="40e4a748")).stays == ""


def test_the_mark_is_one_check_more_by_which_it_is_known_again() -> None:
    instance_mark, node_mark = marking(only(node(web())), "us")
    assert instance_mark["Check"]["Verb"] == "cas"
    assert {key: instance_mark["Check"]["Check"][key] for key in GOES} == GOES
    assert node_mark["Check"]["Check"]["CheckID"] == NODE_GOES["CheckID"]
    one = only(node(web()), GOES, NODE_GOES)
    assert one.yields
    assert one.loses == ()
    assert not only(node(web()), {**GOES, "CheckID": "registry-bridge-yields:east:web-1"}).yields


@pytest.mark.promise("law-6")
def test_it_is_taken_away_as_it_stands_or_not_at_all() -> None:
    said = node(web())
    one = instance(said, GOES)
    (operation,) = leaving(said, [GOES], one, "here")
    assert operation["Service"]["Verb"] == "delete-cas"
    assert operation["Service"]["Service"] == {"ID": "web-1", "Service": "web", "ModifyIndex": 7}
    assert leaving(node(), [], one, "here") == []
    for now, checks in ((node(web(Port=81)), [GOES]), (node(web(Address="10.7.0.9")), [GOES]), (said, []), (None, [])):
        with pytest.raises(Conflict):
            leaving(now, checks, one, "here")


def test_it_is_the_same_only_at_the_same_address_and_port() -> None:
    (record,) = fit(FORM, service("shop/web", "[fd00::1]:80"))[0]
    assert stands_for(instance(node(web(Address="fd00:0:0::1"))), record)
    assert not stands_for(instance(node(web(Address="fd00::1", Port=81))), record)
    assert not stands_for(instance(node(web(Address="db7.example"))), record)
    assert not stands_for(instance(node(web(Address="not an address"))), record)


@pytest.mark.promise("law-5")
def test_a_node_goes_when_it_is_left_empty_and_something_of_it_went_for_ours() -> None:
    (operation,) = emptied(node(), [NODE_GOES], "us")
    assert operation["Node"] == {"Verb": "delete-cas", "Node": {"Node": "db-7", "ModifyIndex": 5}}
    assert [(one.place, one.name, one.yields) for one in found(node(), NODE_GOES)] == [("db-7", "", True)]
    assert emptied(node(), [], "us") == []
    assert emptied(node(), [NODE_GOES], "them") == []
    assert emptied(node(web()), [NODE_GOES], "us") == []
    assert emptied(node(), [NODE_GOES, {"CheckID": "serfHealth"}], "us") == []
    assert emptied(None, [], "us") == []
    assert is_empty(node(), [])
    assert not is_empty(node(), [{"CheckID": "serfHealth"}])


def test_where_something_stays_the_nodes_mark_goes_when_nothing_is_left_that_goes() -> None:
    said = node(web())
    assert unmarking(said, [GOES, NODE_GOES], "us") == []
    assert unmarking(said, [], "us") == []
    (operation,) = unmarking(said, [NODE_GOES], "us")
    assert operation["Check"] == {"Verb": "delete", "Check": {"Node": "db-7", "CheckID": NODE_GOES["CheckID"]}}
