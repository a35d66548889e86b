"""What is written into files says the same when it is read again, whoever edited it meanwhile."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from adapters.static.layouts.formats import layout, read
from adapters.static.layouts.header import find
from bridge.model import NOWHERE, Endpoint, Health, Locality, Port, Service, ServiceName
from tests.builders import endpoint, name, service
from tests.layouts import LABELS, LAYOUTS, STAMP, every, said, text_of, view_of

PAYMENTS = service(
    "shop/payments",
    endpoint("10.0.0.1:8080", health=Health.HEALTHY, locality=Locality("eu", "dc1"), metadata=(("team", "pay"),)),
    endpoint("10.0.0.2:8080", health=Health.DRAINING, weight=3, network="lan", more=[Port("admin", 9090)]),
    endpoint("[2001:db8::1]:8080", via="prod-us1 prod-us2"),
    metadata=(("tier", "1"),),
)
CART = service("shop/cart", "10.0.1.1:80", "10.0.1.2:80")
AUTH = service("base/auth", "10.0.2.1:443")


# Whose a file is


@every
def test_a_file_says_whose_it_is(form: str) -> None:
    for them in ((), (PAYMENTS, CART)):
        header = find(text_of(form, *them))
        assert header is not None
        assert (header.stamp, header.layout) == (STAMP, form.partition(".")[0])


@pytest.mark.promise("law-5")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1 localhost\n",
        "[]",
        "services: []\n",
        "\n# registry-bridge/1 owner=prod-eu1 as native\nservices: []\n",
        "services:\n# registry-bridge/1 owner=prod-eu1 as native\n",
        '[{"labels": {"job": "registry-bridge/1 owner=prod-eu1"}, "targets": []}]',
        '[{"labels": {"__meta_registry_bridge": "registry-bridge/1 owner=prod-eu1"}, "targets": ["10.0.0.1:80"]}]',
        '{"services": [], "mark": "registry-bridge/1 owner=prod-eu1"}',
        "# registry-bridge/1 owner= as native\n",
        "# registry-bridge/1 owner=prod-eu1 as ansible\n",
    ],
)
def test_nothing_but_the_very_beginning_of_a_file_is_a_header(text: str) -> None:
    assert find(text) is None
    assert read(text) is None


# What other programs read


def test_prometheus_finds_the_labels_it_allows_and_every_endpoint() -> None:
    groups = json.loads(text_of("file_sd.json", PAYMENTS, CART))
    assert groups[0] == {"labels": {"__meta_registry_bridge": "registry-bridge/1 owner=prod-eu1"}, "targets": []}
    assert {target for group in groups for target in group["targets"]} == {
        "10.0.0.1:8080",
        "10.0.0.2:8080",
        "[2001:db8::1]:8080",
        "10.0.1.1:80",
        "10.0.1.2:80",
    }
    for group in groups:
        assert group.keys() == {"labels", "targets"}
        assert all(isinstance(said, str) for said in group["labels"].values())
        assert all(label.isascii() and label.replace("_", "a").isalnum() for label in group["labels"])
    shown = [{key: said for key, said in group["labels"].items() if key[:2] != "__"} for group in groups[1:]]
    assert shown == [
        {"job": "shop/cart"},
        {"job": "shop/payments", "zone": "dc1"},
        {"job": "shop/payments"},
        {"job": "shop/payments"},
    ]
    assert yaml.safe_load(text_of("file_sd.yaml", PAYMENTS, CART)) == groups[1:]


def test_endpoints_that_are_alike_are_one_group() -> None:
    assert len(LAYOUTS["file_sd.json"].fit(CART)[0]) == 1


def test_a_table_has_a_row_an_endpoint_behind_its_comments() -> None:
    rows = list(csv.DictReader(line for line in text_of("csv", PAYMENTS).splitlines() if line[0] != "#"))
    assert [(row["service"], row["address"], row["port"], row["health"], row["metadata"]) for row in rows] == [
        ("shop/payments", "10.0.0.1", "8080", "healthy", "team=pay"),
        ("shop/payments", "10.0.0.2", "8080", "draining", ""),
        ("shop/payments", "2001:db8::1", "8080", "", ""),
    ]


def test_no_cell_of_a_table_begins_as_a_formula_does() -> None:
    bad = endpoint("10.0.0.1:80", locality=Locality("=1+1", "@x", "+1"), network="-1", metadata=(("=a", "b"),))
    (row,) = LAYOUTS["csv"].fit(service("a/b", bad))[0]
    assert not [cell for cell in next(csv.reader([row])) if cell[:1] in ("=", "+", "-", "@")]


def lookup(text: str, host: str) -> list[str]:
    """As `getent ahosts` reads a hosts file: addresses and names up to the `#`."""
    found = []
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if host in names:
            found.append(address)
    return found


def test_a_lookup_in_a_hosts_file_finds_what_is_usable() -> None:
    text = text_of("hosts", PAYMENTS, CART)
    assert lookup(text, "payments.shop") == ["10.0.0.1", "2001:db8::1"]
    assert lookup(text, "cart.shop") == ["10.0.1.1", "10.0.1.2"]
    assert not lookup(text, "end")


def test_a_service_of_which_nothing_is_usable_is_listed_whole() -> None:
    ill = service(
        "a/b", endpoint("10.0.0.1:80", health=Health.UNHEALTHY), endpoint("10.0.0.2:80", health=Health.DRAINING)
    )
    assert lookup(text_of("hosts", ill), "b.a") == ["10.0.0.1", "10.0.0.2"]


def test_an_address_with_two_ports_is_one_line_of_a_hosts_file() -> None:
    both = service("a/b", endpoint("10.0.0.1:80"), endpoint("10.0.0.1:81"))
    assert LAYOUTS["hosts"].fit(both)[0] == ("10.0.0.1 b.a # a/b http:80 http:81",)


# What cannot be said


@pytest.mark.promise("S-08")
@every
@pytest.mark.parametrize("bad", ["..", ".", "", "a/../b", "a%2fb", "a\n10.0.0.1 bank.example", "A", "ä", "a b", "-a"])
def test_a_name_that_leads_elsewhere_is_never_written(form: str, bad: str) -> None:
    for named in (ServiceName("shop", bad), ServiceName(bad, "payments")):
        lines, lacks = LAYOUTS[form].fit(Service(named, CART.endpoints))
        assert lines == ()
        assert [lack.kind for lack in lacks] == ["name"]


@pytest.mark.promise("S-08")
@pytest.mark.parametrize("template", ["{name}", "{name}.localhost", "{name}.1"])
def test_a_hosts_file_gives_no_service_the_name_of_this_machine(template: str) -> None:
    lines, lacks = layout("hosts", as_json=False, labels=LABELS, host=template).fit(
        service("a/localhost", "10.0.0.1:80")
    )
    assert lines == ()
    assert [lack.kind for lack in lacks] == ["name"]


@every
def test_what_cannot_be_said_costs_only_itself(form: str) -> None:
    bad = (
        Endpoint("vm7.example", (Port("http", 80),)),
        Endpoint("10.0.0.1", (Port("a b", 80), Port("http", 81))),
        Endpoint("10.0.0.2", (Port("http", 80),), weight=100_000),
        Endpoint("10.0.0.3", (Port("http", 80),), metadata=(("a", "x\ny"), ("b", "c"))),
        Endpoint("10.0.0.4", (Port("http", 80),), locality=Locality("eu\n", "dc1")),
        Endpoint("10.0.0.5", (Port("dns", 53, "DCCP"),)),
    )
    lines, lacks = LAYOUTS[form].fit(Service.of(name("a/b"), bad))
    assert [lack.kind for lack in lacks] == ["port", "weight", "metadata", "locality", "port", "port", "address"]
    found = LAYOUTS[form].read(lines)
    assert [str(one.id) for one in found.endpoints] == ["10.0.0.1:81", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"]
    if form != "hosts":
        assert [one.weight for one in found.endpoints] == [1, 65535, 1, 1]
        assert [one.metadata for one in found.endpoints] == [(), (), (("b", "c"),), ()]
        assert found.endpoints[3].locality == Locality("", "dc1")


def test_protocols_are_kept_where_there_is_a_place_for_them() -> None:
    dns = service("a/dns", Endpoint("10.0.0.1", (Port("dns", 53, "UDP"), Port("rpc", 80, "TCP", "kubernetes.io/h2c"))))
    for form in ("file_sd.json", "csv"):
        assert said(text_of(form, dns)) == {"a/dns": dns}
    lines, lacks = LAYOUTS["native.yaml"].fit(dns)
    assert LAYOUTS["native.yaml"].read(lines).endpoints[0].ports == (Port("rpc", 80),)
    assert [(lack.endpoint, lack.what) for lack in lacks] == [
        ("10.0.0.1:53", "port 53 is of 'UDP', which has no place here; it is left out"),
        ("10.0.0.1:53", "what its ports speak has no place here; it is left out"),
    ]


@every
def test_a_service_without_endpoints_has_no_block(form: str) -> None:
    assert LAYOUTS[form].fit(service("a/b")) == ((), ())


# What was edited


@every
def test_an_edit_touches_the_block_that_it_is_in(form: str) -> None:
    text = text_of(form, AUTH, CART, PAYMENTS)
    before = view_of(text)
    after = view_of(text.replace("10.0.1.1", "10.0.9.9"))
    assert after.blocks["base/auth"] == before.blocks["base/auth"]
    assert after.blocks["shop/payments"] == before.blocks["shop/payments"]
    edited = after.blocks["shop/cart"]
    assert edited.content != before.blocks["shop/cart"].content
    assert edited.service is not None
    assert {one.address for one in edited.service.endpoints} == {"10.0.1.2", "10.0.9.9"}


@every
def test_a_line_that_is_broken_breaks_no_neighbour(form: str) -> None:
    text = text_of(form, AUTH, CART, PAYMENTS)
    before, after = view_of(text), view_of(text.replace("10.0.1.2", '"\x00{'))
    assert after.blocks.keys() == before.blocks.keys()
    assert after.blocks["base/auth"] == before.blocks["base/auth"]
    assert after.blocks["shop/payments"] == before.blocks["shop/payments"]
    assert after.blocks["shop/cart"].service is None
    assert after.blocks["shop/cart"].why


@every
def test_what_is_written_beside_the_blocks_is_seen_as_an_edit(form: str) -> None:
    text = text_of(form, AUTH, CART, PAYMENTS)
    first = view_of(text)
    lines = text.splitlines()
    for at in range(2 if form == "file_sd.json" else 1, len(lines) + 1):  # before it ends, a header is none
        view = view_of("\n".join([*lines[:at], "garbage", *lines[at:]]) + "\n")
        assert {key for key in first.blocks if view.blocks[key].content != first.blocks[key].content}, at


@every
def test_a_file_without_its_end_is_seen_as_an_edit(form: str) -> None:
    text = text_of(form, AUTH, CART)
    view = view_of(text.rpartition("\n")[0].rpartition("\n")[0] + "\n")
    assert not view.complete
    assert view.blocks["base/auth"] == view_of(text).blocks["base/auth"]
    assert view.blocks["shop/cart"].content != view_of(text).blocks["shop/cart"].content


@pytest.mark.parametrize("form", ["file_sd.json", "native.json", "native.yaml", "file_sd.yaml"])
def test_a_file_that_was_only_laid_out_anew_says_the_same(form: str) -> None:
    text = text_of(form, AUTH, CART, PAYMENTS)
    if form.endswith("json"):
        anew = json.dumps(json.loads(text), indent=2, sort_keys=True)
        if form == "native.json":
            anew = json.dumps(json.loads(text), indent=2)
    else:
        anew = text.splitlines()[0] + "\n" + yaml.safe_dump(yaml.safe_load(text), sort_keys=False)
    assert view_of(anew).blocks == view_of(text).blocks


@every
def test_blocks_that_are_as_before_are_the_same_objects(form: str) -> None:
    text = text_of(form, AUTH, CART)
    before = view_of(text)
    after = read(text.replace("10.0.1.1", "10.0.9.9"), before)
    assert after is not None
    assert after.blocks["base/auth"] is before.blocks["base/auth"]
    assert after.blocks["shop/cart"] is not before.blocks["shop/cart"]


@every
def test_a_large_file_is_read_and_laid_out_line_by_line(form: str) -> None:
    many = [service(f"a/s{number}", f"10.0.{number // 250}.{number % 250}:80") for number in range(1000)]
    assert said(text_of(form, *many)) == {str(one.name): one for one in many}


def test_a_native_inventory_is_read_by_everybody_who_reads_one(tmp_path: Path) -> None:
    from adapters.static.inventory import Reader
    from adapters.static.records import Scope

    for form in ("native.yaml", "native.json"):
        reader = Reader(f"x.{form[-4:]}", "native", Scope("", NOWHERE, ""), LABELS)
        assert reader._whole(*reader._document(text_of(form, CART), "native")).services == {CART.name: CART}
