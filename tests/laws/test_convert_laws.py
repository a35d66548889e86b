"""Any text at all is converted into services or refused in one clear line."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapters.static import emit
from adapters.static.convert import endpointslice, envoy, haproxy, istio, nginx
from bridge.errors import ConfigError
from tests.claims.test_static_convert import HAPROXY, ISTIO, NGINX, Convert, host, load_assignment
from tests.damage import JUNK, damaged


def survives(convert: Convert, text: str) -> None:
    try:
        services, problems = convert(text, "f", "shop")
    except ConfigError as error:
        said = [str(error)]
    else:
        said = [str(problem) for problem in problems]
        assert emit.text(services.values())
    for one in said:
        assert one.startswith("f")
        assert one.isprintable()
        assert len(one) < 2000


lines = st.sampled_from([line for text in (HAPROXY, NGINX) for line in text.splitlines() if line.strip()])


@pytest.mark.promise("S-17")
@pytest.mark.parametrize("convert", [haproxy.convert, nginx.convert])
@given(st.lists(lines | st.text("backend server{};'\"\\$:0.1 \n", max_size=20), max_size=8).map("\n".join))
def test_any_lines_are_services_or_a_clear_error(convert: Convert, text: str) -> None:
    survives(convert, text)


junk = st.sampled_from(JUNK)
keys = st.sampled_from(
    [
        *(
            "cluster_name",
            "endpoints",
            "lb_endpoints",
            "endpoint",
            "address",
            "socket_address",
            "port_value",
            "priority",
        ),
        *("load_assignment", "clusters", "resources", "health_status", "locality", "spec", "hosts", "ports", "name"),
        *("resolution", "weight", "labels", "metadata", "workloadSelector", "kind", "items", "network", "protocol"),
    ]
)
values = st.recursive(junk, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


CLA = load_assignment("shop/a:http", host("10.0.0.1", 80, health_status="HEALTHY"), locality={"zone": "z"}, priority=0)
ENTRIES = [one for one in yaml.safe_load_all(ISTIO) if one]


@pytest.mark.promise("S-17")
@given(
    damaged([CLA, {"clusters": [{"name": "b", "load_assignment": CLA}]}], values, keys),
    damaged(ENTRIES, values, keys),
    values,
)
def test_any_document_is_services_or_a_clear_error(assignments: Any, entries: Any, any_value: Any) -> None:
    survives(envoy.convert, json.dumps(assignments))
    survives(envoy.convert, json.dumps(any_value))
    survives(istio.convert, yaml.safe_dump_all(entries))
    survives(istio.convert, json.dumps({"kind": "List", "items": any_value}))
    survives(endpointslice.convert, json.dumps(any_value))
