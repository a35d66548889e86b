"""How consul-esm looks at instances, and what of that a check of ours says."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.consul.probes import probes
from bridge.cli.looked_at import looked_at
from bridge.config import parse
from tests.builders import name, service

WEB = name("shop/web")


def entry(address: str, *definitions: dict[str, Any], port: int = 8080) -> dict[str, Any]:
    """An instance with a check for each definition, and with one that somebody else keeps."""
    checks = [{"CheckID": f"c{number}", "Status": "passing", "Definition": it} for number, it in enumerate(definitions)]
    return {
        "Node": {"Node": f"vm-{address}", "Address": address, "Meta": {"external-node": "true"}},
        "Service": {"ID": "web-1", "Service": "web", "Address": "", "Port": port},
        "Checks": [*checks, {"CheckID": "ttl", "Status": "passing", "Definition": {}}],
    }


def told(*them: dict[str, Any], also: str = "") -> list[str]:
    hosts = [f"{one['Node']['Address']}:8080" for one in them]
    return list(looked_at({WEB: service("shop/web", *hosts, *also.split())}, probes(WEB, list(them))))


def tcp(address: str, **more: Any) -> dict[str, Any]:
    return {"TCP": f"{address}:8080", "Interval": "10s", "Timeout": "2s", **more}


def http(url: str, **more: Any) -> dict[str, Any]:
    return {"HTTP": url, "Interval": "10s", "Timeout": "2s", **more}


@pytest.mark.parametrize(
    ("definition", "check"),
    [
        (tcp("10.0.0.1"), "{services: [shop/web], tcp: {}}"),
        (tcp("10.0.0.1", Interval="1m30s"), "{services: [shop/web], tcp: {interval: 90s}}"),
        ({"TCP": "10.0.0.1:8080"}, "{services: [shop/web], tcp: {interval: 30s, timeout: 10s}}"),
        (tcp("10.0.0.1", TCP="10.0.0.1:22"), "{services: [shop/web], tcp: {port: 22}}"),
        (http("http://10.0.0.1:8080"), "{services: [shop/web], http: {path: /, expect: 200-299}}"),
        (
            http("https://10.0.0.1/ok?deep=1", Timeout="60s"),
            "{services: [shop/web], http: {path: '/ok?deep=1', expect: 200-299, port: 443, timeout: 10s, tls: {}}}",
        ),
    ],
)
def test_one_way_of_looking_is_a_check_that_the_configuration_takes(definition: dict[str, Any], check: str) -> None:
    head, said = told(entry("10.0.0.1", definition))
    assert head.startswith("health:")
    assert said.removeprefix("  - ") == check
    assert (
        parse(f"registries: [{{name: vms, kind: static, files: [vms.yaml], health: [{check}]}}]", Path("b"))
        .registries[0]
        .health
    )
    assert yaml.safe_load("\n".join((head, said)))


@pytest.mark.parametrize(
    ("definition", "looks"),
    [
        (tcp("10.0.0.9"), "TCP 10.0.0.9:8080 every 10 s"),
        (tcp("10.0.0.1", TCP="nowhere"), "TCP nowhere every 10 s"),
        ({"GRPC": "10.0.0.1:8080"}, "GRPC 10.0.0.1:8080 every 30 s"),
        (http("http://web.example:8080/"), "HTTP http://web.example:8080/ every 10 s"),
        (http("http://10.0.0.1:8080/", Method="POST"), "HTTP http://10.0.0.1:8080/ every 10 s"),
        (http("https://10.0.0.1:8080/", TLSSkipVerify=True), "HTTP https://10.0.0.1:8080/ every 10 s"),
        (http("http://10.0.0.1:8080/ü"), "HTTP http://10.0.0.1:8080/ü every 10 s"),
    ],
)
def test_what_no_check_of_ours_says_is_named(definition: dict[str, Any], looks: str) -> None:
    assert told(entry("10.0.0.1", definition)) == [f"not said by a check of ours: shop/web: 10.0.0.1:8080: {looks}"]


def test_hosts_that_are_looked_at_in_two_ways_or_not_all_are_named() -> None:
    two = told(entry("10.0.0.1", tcp("10.0.0.1")), entry("10.0.0.2", http("http://10.0.0.2:8080/")))
    assert [line.partition(": ")[0] for line in two] == ["not said by a check of ours"] * 2
    (one,) = told(entry("10.0.0.1", tcp("10.0.0.1")), also="10.0.0.2:8080")
    assert one.endswith("shop/web: 10.0.0.1:8080: TCP 10.0.0.1:8080 every 10 s")


def test_where_nobody_looks_nothing_is_said() -> None:
    assert told(entry("10.0.0.1")) == []
    assert list(looked_at({}, probes(WEB, [{"garbage": True}, None, 7]))) == []
    assert list(probes(WEB, None)) == []
