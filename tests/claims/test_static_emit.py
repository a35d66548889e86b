"""Native inventories as people write them."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from adapters.static import blocks, emit
from adapters.static.file_sd import Labels
from adapters.static.inventory import Reader
from adapters.static.records import Scope
from adapters.static.schema import INVENTORY_SCHEMA
from bridge.model import NOWHERE, Endpoint, Health, Locality, Port, Service, ServiceName
from tests.builders import endpoint, service


def read(text: str, where: str = "vms.yaml") -> dict[ServiceName, Service]:
    inventory = Reader(where, "native", Scope("", NOWHERE, ""), Labels("job", "zone", "weight")).read(text)
    assert inventory.problems == ()
    return dict(inventory.services)


def test_what_all_endpoints_share_stands_at_the_service() -> None:
    here = Locality("eu", "dc1")
    payments = service(
        "shop/payments",
        endpoint("10.0.0.1:8080", more=[Port("admin", 90)], locality=here, network="lan"),
        endpoint(
            "10.0.0.2:8080", more=[Port("admin", 90)], locality=here, network="lan", weight=2, health=Health.DRAINING
        ),
        metadata=(("team", "no"), ("year", "2026")),
    )
    legacy = service(
        "legacy/web",
        endpoint("10.0.0.3:80", port="", metadata=(("a b", "x: y"),)),
        endpoint("[2001:db8::1]:81", port="", locality=Locality("", "z")),
    )
    assert (
        emit.text([payments, legacy, service("shop/none")])
        == """\
services:
  - name: legacy/web
    endpoints:
      - {address: 10.0.0.3, port: 80, metadata: {"a b": "x: y"}}
      - {address: "2001:db8::1", port: 81, locality: {zone: z}}
  - name: shop/none
    endpoints: []
  - name: shop/payments
    ports: {http: 8080, admin: 90}
    locality: {region: eu, zone: dc1}
    network: lan
    metadata: {team: "no", year: "2026"}
    endpoints:
      - 10.0.0.1
      - {address: 10.0.0.2, weight: 2, health: draining}
"""
    )


def test_no_services_are_an_inventory_too() -> None:
    assert read(emit.text([])) == {}
    assert emit.document([]) == {"services": []}


labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,5}[a-z0-9])?", fullmatch=True)
words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8) | st.sampled_from(
    [
        "no",
        "null",
        "~",
        "1",
        "1.5",
        "0x1",
        "a: b",
        "- a",
        "#x",
        "&a",
        "*a",
        "!x",
        "a b",
        " a",
        '"',
        "'",
        "{}",
        "yes",
        "=",
        "é",
    ]
)
pairs = st.dictionaries(words, words, max_size=3).map(lambda said: tuple(sorted(said.items())))
numbers = st.integers(1, 65535)
port_names = st.just("") | st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
ports = st.dictionaries(port_names, numbers, min_size=1, max_size=3).map(
    lambda said: tuple(Port(name, number) for name, number in said.items())
)
addresses = st.ip_addresses(v=4).map(str) | st.just("2001:db8::1") | st.just("vm7.example") | st.just("y")
endpoints = st.builds(
    Endpoint,
    addresses,
    ports | st.just((Port("http", 80),)),
    st.none() | st.sampled_from(Health),
    st.just(NOWHERE) | st.builds(Locality, st.just("") | words, st.just("") | words, st.just("") | words),
    st.just("") | words,
    st.just(1) | numbers,
    metadata=st.just(()) | pairs,
)
services = st.builds(
    Service.of,
    st.builds(ServiceName, labels, labels),
    st.lists(endpoints, max_size=4, unique_by=lambda one: one.id),
    st.just(()) | pairs,
)


@given(st.lists(services, max_size=4, unique_by=lambda one: one.name))
def test_what_is_emitted_is_read_as_it_was(them: list[Service]) -> None:
    expected = {one.name: one for one in them}
    text = emit.text(them)
    assert read(text) == expected
    assert emit.text(reversed(them)) == text
    if them and "&" not in text:
        assert blocks.cut(text) is not None, "an edit of it is read service by service"
    document: Any = emit.document(them)
    assert read(json.dumps(document), "vms.json") == expected
    assert Draft202012Validator(INVENTORY_SCHEMA).is_valid(document)
    assert yaml.safe_load(text) == document


@pytest.mark.promise("S-09")
@given(st.text(max_size=20))
def test_no_text_breaks_out_of_its_place(text: str) -> None:
    one = service("shop/a", endpoint("10.0.0.1:80", metadata=(("key", text),)))
    said = emit.text([one])
    assert len(said.splitlines()) == 5
    assert said.isascii() or all(line.isprintable() for line in said.split("\n"))
