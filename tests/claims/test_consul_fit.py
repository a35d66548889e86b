"""Services as instances of a Consul, and read back as they were meant."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.consul import claims, extras, owned
from adapters.consul.fit import Form, fit, of_key, spell
from adapters.consul.objects import EXTRAS, FORMAT, KEY, OWNER, PREFIX, Broken, Instance, instances_of
from adapters.consul.translate import endpoint as translated
from bridge.adapter import Claim, Holding, Put, Record, Remove
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Health, Locality, Port, Service, ServiceName
from bridge.plan import plan
from tests.builders import endpoint, service

FORM = Form("shop", {ServiceName("shop", "old"): "Old_Web"}, ("k8s",))
US = Mark("us", "one", ("before",))
NODE = "registry-bridge-us"


def read(one: Instance) -> Endpoint:
    """As it is read where nothing is configured."""
    return translated(one, owned._PLAIN)


def stored(record: Record, owner: str = "us", index: int = 7) -> tuple[dict[str, Any], dict[str, Any]]:
    """The instance and the check that a Consul has of it."""
    said = json.loads(record.content)
    meta = {**said["Service"]["Meta"], OWNER: owner, KEY: record.key, FORMAT: "1"}
    stands = {**said["Service"], "ID": record.key, "Meta": meta, "ModifyIndex": index}
    check = {"CheckID": f"{owned.CHECK}{record.key}", "Status": said["Status"], "ModifyIndex": index + 1}
    return stands, check


def standing(*records: Record, owner: str = "us", meta: dict[str, str] | None = None) -> tuple[Any, Any]:
    """A node with these."""
    them = [stored(one, owner) for one in records]
    node = {"Node": NODE, "ID": "", "Meta": {OWNER: owner} if meta is None else meta, "ModifyIndex": 5}
    return {"Node": node, "Services": {one["ID"]: one for one, _ in them}}, [check for _, check in them]


def fitted(it: Service) -> tuple[Record, ...]:
    records, problems = fit(FORM, it)
    assert problems == ()
    return records


def held(
    *homes: owned.Owned, beyond: Sequence[owned.Owned] = (), former: Sequence[owned.Owned] = ()
) -> dict[ServiceName, Holding]:
    """What all nodes together hold."""
    names = {name for one in (*homes, *beyond, *former) for name in owned.differing(owned.NOTHING, one)}
    return {name: one for name in sorted(names) if (one := owned.holding(homes, beyond, former, name)) is not None}


WHOLE = Endpoint(
    "10.1.0.1", (Port("http", 8080), Port("dns", 53, "UDP"), Port("grpc", 9090, app_protocol="h2c")), Health.DRAINING,
    Locality("eu", "eu-1a", "rack-7"), "dc1", 7, "first", metadata=(("version", "2"),),
)  # fmt: skip


def test_tags_that_stand_in_the_metadata_are_the_instances() -> None:
    (record,) = fitted(
        Service.of(ServiceName("shop", "web"), [endpoint("10.1.0.1:80", metadata=(("tags", "v2, db"),))])
    )
    said = json.loads(record.content)["Service"]
    assert said["Tags"] == ["db", "k8s", "v2"]
    assert "tags" not in said["Meta"]


TAGS = ["a,b", "urlprefix-/x strip=/x", "back\\slash", "\\", " spaced ", "rule=Host(`a`,`b`)", "k8s"]


def test_what_one_consul_has_as_tags_another_one_has_as_tags_and_a_third_one_too() -> None:
    (first,) = instances_of([{"Node": {"Node": "vm-7"}, "Service": {"Address": "10.1.0.1", "Port": 80, "Tags": TAGS}}])
    assert isinstance(first, Instance)
    metadata = read(first).metadata
    web = Service.of(ServiceName("shop", "web"), [endpoint("10.1.0.1:80", metadata=metadata)])
    for common in (("k8s",), ("bridge", "x,y"), ()):
        (record,), problems = fit(FORM._replace(tags=common), web)
        assert problems == ()
        stands, check = stored(record)
        assert stands["Tags"] == sorted({*TAGS, *common})
        (again,) = instances_of([{"Node": {"Node": NODE}, "Service": stands, "Checks": [check]}])
        assert isinstance(again, Instance)
        assert read(again).metadata == metadata


def test_tags_that_are_more_than_a_value_of_meta_takes_are_tags_all_the_same() -> None:
    many = [f"tag-{number:03}" for number in range(100)]
    (record,) = fitted(
        Service.of(ServiceName("shop", "web"), [endpoint("10.1.0.1:80", metadata=(("tags", ",".join(many)),))])
    )
    assert json.loads(record.content)["Service"]["Tags"] == ["k8s", *many]


def test_what_is_written_is_read_back_as_it_was_meant() -> None:
    web = Service.of(ServiceName("shop", "web"), [WHOLE, endpoint("10.1.0.2:80", health=Health.UNHEALTHY)])
    records = fitted(web)
    found = owned.owned(NODE, *standing(*records), US, owned.Known())
    (holding,) = held(found).values()
    assert [(one.key, one.content) for one in holding.records] == [(one.key, one.content) for one in records]
    assert holding.endpoints == web.endpoints
    assert holding.records[0].revision == (owned.Place(NODE, 7, 8),)


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("shop/web", "web"),
        ("data/db", "db-data"),
        ("shop/old", "Old_Web"),
        (f"{'x' * 63}/{'y' * 63}", f"{'y' * 54}-"),
    ],
)
def test_a_service_is_called_there_as_it_would_be_read(name: str, spelled: str) -> None:
    said = spell(FORM, ServiceName.parse(name))
    assert said.startswith(spelled)
    assert len(said) <= 63


def test_what_has_no_place_is_told_and_the_rest_is_written() -> None:
    odd = Endpoint("10.1.0.1", (Port("http", 80), Port("x", 0)), weight=99_999, metadata=(("no key", "x"), ("a", "\n")))
    records, problems = fit(FORM, Service.of(ServiceName("shop", "odd"), [odd, endpoint("10.1.0.2:70000")]))
    assert len(records) == 1
    assert {one.kind for one in problems} == {"endpoint", "metadata", "port", "weight"}


@pytest.mark.parametrize("pair", [("consul-node", "x"), ("k", "ü" * 257), ("a.b", "x"), ("k" * 129, "x"), ("k", "\n")])
def test_a_pair_that_no_consul_takes_is_left_out_and_the_endpoint_is_written(pair: tuple[str, str]) -> None:
    kept = (("Consul-x", "y"), ("version", "ü" * 256))
    one = Endpoint("10.1.0.1", (Port("http", 80),), metadata=(*kept, pair))
    ((record,), (problem,)) = fit(FORM, Service.of(ServiceName("shop", "odd"), [one]))
    meta = json.loads(record.content)["Service"]["Meta"]
    assert {key: meta[key] for key in meta if not key.startswith(PREFIX)} == dict(kept)
    assert problem.kind == "metadata"


@pytest.mark.parametrize(("letter", "lacks"), [("x", set()), ("ü", {"locality"})])
def test_what_is_said_beside_the_mark_has_room_in_a_value(letter: str, lacks: set[str]) -> None:
    """As bytes, of which Consul takes 512."""
    ports = tuple(Port(f"port-{number}", 8000 + number) for number in range(60))
    for few, more in ((ports[:1], set()), (ports, {"port"})):
        one = Endpoint(
            "10.1.0.1", few, locality=Locality(letter * 100, letter * 100, letter * 100), network=letter * 90
        )
        (record,), problems = fit(FORM, Service.of(ServiceName("shop", "odd"), [one]))
        assert len(json.loads(record.content)["Service"]["Meta"][EXTRAS].encode()) <= 512
        assert {problem.kind for problem in problems} == lacks | more


def test_a_service_takes_the_name_that_it_has_there_as_consul_does() -> None:
    (one,), (other,) = fitted(service("data/db", "10.1.0.1:80")), fitted(service("shop/db-data", "10.1.0.2:80"))
    assert one.names == other.names == ("db-data",)
    assert fitted(service("shop/old", "10.1.0.1:80"))[0].names == ("old_web",)
    (holding,) = held(owned.owned(NODE, *standing(one), US, owned.Known())).values()
    assert holding.records[0].names == one.names


@pytest.mark.promise("S-08")
@pytest.mark.parametrize("text", ["", "a", "a~b", "~b~c", "../a~b~c", "a~b/c~d", "A~b~c"])
def test_an_id_that_is_no_key_of_ours_is_none(text: str) -> None:
    assert of_key(text) is None


def test_an_edit_by_hand_is_another_content() -> None:
    (record,) = fitted(service("shop/web", "10.1.0.1:80"))
    said, checks = standing(record)
    for change in ({"Port": 81}, {"Tags": ["more"]}, {"Weights": {"Passing": 9, "Warning": 1}}, {"Meta": {}}):
        its = {**said["Services"][record.key], **change}
        edited = {**said, "Services": {record.key: its}}
        for one in held(owned.owned(NODE, edited, checks, US, owned.Known())).values():
            assert [each.content for each in one.records] != [record.content]
    (one,) = held(owned.owned(NODE, said, [{**checks[0], "Status": "critical"}], US, owned.Known())).values()
    assert one.records[0].content != record.content


def test_what_is_known_changes_no_answer() -> None:
    (record,) = fitted(service("shop/web", "10.1.0.1:80"))
    said, checks = standing(record)
    known = owned.Known()
    first = owned.owned(NODE, said, checks, US, known)
    again = owned.owned(NODE, *standing(record), US, known)
    assert again == first
    assert again.records[record.service][record.key] is first.records[record.service][record.key]
    failing = [{**checks[0], "Status": "critical"}]
    assert owned.owned(NODE, said, failing, US, known) == owned.owned(NODE, said, failing, US, owned.Known())
    assert owned.owned(NODE, None, [], US, known).records == {}


def test_what_others_have_under_our_keys_is_taken() -> None:
    (record,) = fitted(service("shop/web", "10.1.0.1:80"))
    (holding,) = held(owned.owned(NODE, *standing(record, owner="other"), US, owned.Known())).values()
    assert holding.records == ()
    assert holding.taken == ((record.key, "the owner other"),)


def test_what_a_former_owner_has_on_its_node_is_ours_where_we_have_none() -> None:
    (record,) = fitted(service("shop/web", "10.1.0.1:80"))
    before = owned.owned("registry-bridge-before", *standing(record, owner="before"), US, owned.Known())
    nothing = owned.owned(NODE, None, [], US, owned.Known())
    (holding,) = held(nothing, former=[before]).values()
    assert holding.records == (replace(record, revision=(owned.Place("registry-bridge-before", 7, 8),)),)


def test_what_stands_twice_or_beyond_the_nodes_that_are_written_is_told_from_what_is_wanted_and_where_it_is() -> None:
    (record,) = fitted(service("shop/web", "10.1.0.1:80"))
    first, other = (owned.owned(node, *standing(record), US, owned.Known()) for node in (NODE, f"{NODE}-1"))
    for holdings, nodes in (
        (held(first, other), [NODE, f"{NODE}-1"]),
        (held(first, beyond=[other]), [NODE, f"{NODE}-1"]),
        (held(beyond=[other]), [f"{NODE}-1"]),
        (held(first, former=[other]), [NODE, f"{NODE}-1"]),
    ):
        (holding,) = holdings.values()
        (one,) = holding.records
        assert json.loads(one.content) == {**json.loads(record.content), "Nodes": nodes}
        assert one.revision == owned.places(one) == tuple(owned.Place(node, 7, 8) for node in nodes)
        assert plan([record], holding).changes == (Put(record, one),)
        assert plan([], holding).changes == (Remove(one),)
        assert len(holding.endpoints) == 1
    assert owned.places(record) == ()


def test_a_node_is_ours_by_its_mark_or_by_those_of_its_instances() -> None:
    (record,) = fitted(service("shop/web", "10.1.0.1:80"))
    assert owned.stands(None, [], US) == owned.NOT_THERE
    ids = frozenset({str(record.key)})
    assert owned.stands(*standing(record), US) == owned.Stands(5, True, "", ids)
    assert owned.stands(*standing(record, meta={}), US) == owned.Stands(5, False, "", ids)
    assert owned.stands(*standing(meta={}), US).foreign == "somebody without a mark"
    assert owned.stands(*standing(record, owner="other"), US).foreign == "the owner other"
    said, _ = standing(record)
    assert owned.stands(said, [{"CheckID": "serfHealth"}], US).foreign == "an agent of Consul"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@pytest.mark.promise("S-17")
@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_what_a_bridge_says_beside_its_mark_is_read_or_refused(text: str) -> None:
    why = ""
    try:
        extras.read(text)
    except ValueError as error:
        why = str(error)
    assert why.isprintable()


@pytest.mark.promise("S-17")
@given(JSON)
def test_whatever_is_answered_for_a_service_is_understood_or_told(said: Any) -> None:
    why = ""
    try:
        found = list(instances_of(said))
    except ValueError as error:
        found, why = [], str(error)
    assert all((one.why + one.where).isprintable() for one in found if isinstance(one, Broken))
    assert why.isprintable()


@pytest.mark.promise("S-17")
@given(JSON, JSON)
def test_whatever_stands_on_a_node_is_understood_or_left_out(said: Any, checks: Any) -> None:
    owned.stands(said, checks, US)
    held(owned.owned(NODE, said, checks, US, owned.Known()))
    list(claims.standing(said))


def test_a_claim_is_read_back_and_garbage_counts_as_far_as_it_can_be_read() -> None:
    claim = Claim("us", "one", 3, 17.5, True, 9)
    entries = [
        {"Key": claims.key("us", NODE), "Value": claims.written(claim), "ModifyIndex": 9},
        {"Key": claims.key("them", "x"), "Value": "!!", "ModifyIndex": 4},
        {"Key": f"{claims.ROOT}no owner/x", "Value": None},
        {"Key": f"{claims.ROOT}lonely", "Value": None},
    ]
    found = list(claims.standing(entries))
    assert found == [claims.Standing(NODE, claim), claims.Standing("x", Claim("them", "", 0, 0.0, False, 4))]
    assert [one.owner for one in claims.of_node(found, US, NODE)] == ["them", "us"]
    assert [one.owner for one in claims.of_node(found, US, "another")] == ["them"]


def test_the_bell_of_an_owner_is_another_whenever_it_is_rung_and_nobodys_claim() -> None:
    once, again = (claims.ring("us")["KV"] for _ in range(2))
    assert once["Value"] != again["Value"]
    assert list(claims.standing([once])) == []
    assert claims.bell([once], "us") == once["Value"]
    assert claims.bell([once], "them") is None
    assert claims.bell(None, "us") is None
