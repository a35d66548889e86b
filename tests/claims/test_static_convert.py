"""Other programs' files as native inventories."""

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from adapters.static import emit
from adapters.static.convert import endpointslice, envoy, haproxy, istio, nginx
from adapters.static.convert.converted import Converted
from adapters.static.file_sd import Labels
from adapters.static.inventory import Reader
from adapters.static.records import Scope
from bridge.cli import main
from bridge.errors import ConfigError
from bridge.model import NOWHERE, ServiceName

SECRET = "hunter2-is-a-secret"
Convert = Callable[[str, str, str], Converted]


def told(convert: Convert, text: str) -> tuple[str, list[str]]:
    """The inventory, which everybody can read, and what was left out."""
    services, problems = convert(text, "f", "shop")
    written = emit.text(services.values())
    read = Reader("v.yaml", "native", Scope("", NOWHERE, ""), Labels("job", "zone", "weight")).read(written)
    assert read.services == services
    return written, [str(problem) for problem in problems]


def refused(convert: Convert, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        convert(text, "f", "shop")
    return str(caught.value)


# HAProxy


HAPROXY = r"""
global
    stats socket /run/haproxy.sock
defaults first
    default-server inter 3s weight 2
userlist admins
    user bob insecure-password hunter2-is-a-secret
frontend www
    bind :80
    default_backend shop/payments
backend shop/payments
    http-request set-header X-Note "one # two"   # said in passing
    default-server check maxconn 100
    server p1 10.0.0.1:8080 weight 10 cookie backup
    server p2 ipv4@10.0.0.2:8080 backup
    server p3 2001:db8::3:8080 weight 0
    server p4 [2001:db8::4]:8080 disabled
    server p5 unix@/run/p5
    server p6 ${HOST}:8080
    server p7 10.0.0.7
    server p8 10.0.0.8:+10
    server p9 10.0.0.9:8080 weight 300
    server-template web 1-5 app.example:80
defaults second
listen Legacy_Web
    bind :81
    server a 10.1.0.1:80
peers them
    server me 10.9.9.9:1024
backend none
    server a unix@/x
"""


@pytest.mark.promise("S-12")
def test_servers_of_haproxy() -> None:
    written, left_out = told(haproxy.convert, HAPROXY)
    assert (
        written
        == """\
services:
  - name: shop/legacy-web
    port: 80
    endpoints:
      - 10.1.0.1
  - name: shop/payments
    endpoints:
      - {address: 10.0.0.1, port: 8080, weight: 10}
      - {address: 10.0.0.2, port: 8080, weight: 2, health: degraded}
      - {address: "2001:db8::3", port: 8080, health: draining}
      - {address: app.example, port: 80, weight: 2}
"""
    )
    assert [line.split(";")[0] for line in left_out] == [
        "f:17: shop/payments: server 'p4' is disabled",
        "f:18: shop/payments: server 'p5': 'unix@/run/p5' is no address of the network",
        "f:19: shop/payments: server 'p6': '${HOST}:8080' is taken from the environment",
        "f:20: shop/payments: server 'p7': '10.0.0.7' has no port of its own",
        "f:21: shop/payments: server 'p8': '10.0.0.8:+10' has no port of its own",
        "f:22: shop/payments: weight 300 is not between 0 and 256",
        "f:31: none: server 'a': 'unix@/x' is no address of the network",
        "f: settings of servers that an inventory does not have: check, cookie, inter, maxconn",
    ]
    assert SECRET not in "".join(left_out)


def test_a_condition_and_a_line_that_breaks_off_are_named() -> None:
    _, left_out = told(
        haproxy.convert, 'backend a\n.if x\n server a 10.0.0.1:80\n.endif\n server "b 10.0.0.2:80\n server c\n'
    )
    assert [line[:3] for line in left_out] == ["f:2", "f:4", "f:5", "f:6"]


# nginx


NGINX = r"""
user www;
http {
    include mime.types;
    log_format main '$remote_addr "{};" $request';
    upstream shop/payments {   # of the shop
        least_conn;
        zone pay 64k;
        server 10.0.0.1:8080 weight=5 max_fails=3;
        server 10.0.0.2;
        server [2001:db8::1]:81 backup;
        server [2001:db8::2];
        server vm7.example:80 resolve;
        server 10.0.0.3 down;
        server unix:/run/x.sock;
        server $backend;
        server ${host}:80;
        server 10.0.0.4:99999;
        server;
    }
    upstream "a_b" { server 10.0.0.5; }
    upstream ../x { server 10.0.0.6; }
    server { listen 80; location / { proxy_pass http://payments; if ($x = "}") { return 1; } } }
}
"""


@pytest.mark.promise("S-08")
def test_servers_of_nginx() -> None:
    written, left_out = told(nginx.convert, NGINX)
    assert (
        written
        == """\
services:
  - name: shop/a-b
    port: 80
    endpoints:
      - 10.0.0.5
  - name: shop/payments
    endpoints:
      - {address: 10.0.0.1, port: 8080, weight: 5}
      - {address: 10.0.0.2, port: 80}
      - {address: "2001:db8::1", port: 81, health: degraded}
      - {address: "2001:db8::2", port: 80}
      - {address: vm7.example, port: 80}
"""
    )
    assert [line.split(";")[0] for line in left_out] == [
        "f:4: another file is included",
        "f:14: shop/payments: '10.0.0.3' is marked as down",
        "f:15: shop/payments: 'unix:/run/x.sock' is no address of the network",
        "f:16: shop/payments: '$backend' is a variable",
        "f:17: shop/payments: '${host}:80' is a variable",
        "f:18: shop/payments: '10.0.0.4:99999': port '99999' is not between 1 and 65535",
        "f:19: shop/payments: a server without an address",
        "f:22: '../x' is a path, and not a name of the form namespace/name",
        "f: settings of upstreams that an inventory does not have: least_conn, max_fails, resolve, zone",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("upstream a {\n server x;\n", "f:3: a block is not closed"),
        ("}\n", "f:1: a `}` that closes nothing"),
        ("a {\n b }\n", "f:2: a `;` is missing"),
        ("a;\nb", "f:2: the last statement is not closed"),
        ("a;\n'b", "f:2: a quote is not closed"),
    ],
)
def test_half_a_file_of_nginx_is_refused_with_its_line(text: str, message: str) -> None:
    assert refused(nginx.convert, text).startswith(message)


# Envoy


def load_assignment(name: str, *hosts: Any, **more: Any) -> dict[str, Any]:
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [*hosts], **more}]}


def host(address: str, port: int, **more: Any) -> dict[str, Any]:
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}, **more}


HEALTH = ("UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED")


def test_assignments_of_envoy() -> None:
    payments = load_assignment(
        "shop/payments:http",
        host("10.0.0.1", 8080, load_balancing_weight=3, health_status="DRAINING"),
        host("10.0.0.2", 8080),
        {"endpoint": {"address": {"pipe": {"path": "/x"}}}},
        host("10.0.0.3", 0),
        host("10.0.0.4", 80, health_status="FINE"),
        locality={"zone": "dc1"},
    )
    admin = load_assignment(
        "shop/payments:admin", host("10.0.0.1", 9090), host("10.0.0.2", 9091), host("10.0.0.9", 9090)
    )
    spare = load_assignment("outbound|80||web.shop", host("vm7.example", 80), priority=1)
    written, left_out = told(envoy.convert, yaml.safe_dump([payments, admin, spare]))
    assert (
        written
        == """\
services:
  - name: shop/outbound-80-web-shop
    port: 80
    endpoints:
      - {address: vm7.example, health: degraded}
  - name: shop/payments
    endpoints:
      - {address: 10.0.0.1, ports: {http: 8080, admin: 9090}, weight: 3, health: draining, locality: {zone: dc1}}
      - {address: 10.0.0.2, ports: {http: 8080, admin: 9091}, locality: {zone: dc1}}
      - {address: 10.0.0.9, ports: {admin: 9090}}
"""
    )
    assert [line.partition(": ")[2].split(";")[0] for line in left_out] == [
        "[0].endpoints[0].lb_endpoints[2]: has no `socket_address`: nothing else is an address of the network",
        "[0].endpoints[0].lb_endpoints[3]: port 0 is not between 1 and 65535",
        f"[0].endpoints[0].lb_endpoints[4]: health_status 'FINE' is none of {', '.join(HEALTH)}",
        "[2].endpoints[0]: priority 1: an inventory has none",
    ]


def camel(value: Any) -> Any:
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join(word if index == 0 else word.capitalize() for index, word in enumerate(key.split("_"))): camel(inner)
        for key, inner in value.items()
    }


@pytest.mark.parametrize("spelled", [lambda value: value, camel], ids=["snake", "camel"])
@pytest.mark.parametrize(
    "around",
    [
        lambda one: one,
        lambda one: [one],
        lambda one: {"version_info": "1", "resources": [{"@type": "x", **one}]},
        lambda one: {"static_resources": {"clusters": [{"name": one["cluster_name"], "load_assignment": one}]}},
        lambda one: {"name": "a", "load_assignment": {key: one[key] for key in one if key != "cluster_name"}},
        lambda one: {"configs": [{"dynamic_endpoint_configs": [{"endpoint_config": one}]}]},
    ],
)
def test_assignments_are_found_wherever_envoy_has_them(around: Any, spelled: Any) -> None:
    one = load_assignment("a", host("10.0.0.1", 80), host("10.0.0.2", 80))
    services, problems = envoy.convert(json.dumps(spelled(around(one))), "f.json", "shop")
    assert [str(endpoint.id) for endpoint in services[ServiceName("shop", "a")].endpoints] == [
        "10.0.0.1:80",
        "10.0.0.2:80",
    ]
    assert problems == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "f:1: has no ClusterLoadAssignment"),
        ([5, {"clusters": 5}], "f:1: has no ClusterLoadAssignment"),
        ({"cluster_name": "a", "endpoints": 5}, "f:1: endpoints: must be a list"),
        ({"cluster_name": "a", "clusterName": "b"}, "f:1: has a key in two spellings"),
    ],
)
def test_a_text_without_assignments_is_refused(value: Any, message: str) -> None:
    assert refused(envoy.convert, json.dumps(value)).startswith(message)


@pytest.mark.promise("S-08")
@pytest.mark.parametrize(
    ("value", "what"),
    [
        (load_assignment("../x", host("10.0.0.1", 80)), "is a path"),
        (load_assignment("", host("10.0.0.1", 80)), "cannot be made into a DNS label"),
        ({"cluster_name": 5}, "is not text"),
        (load_assignment("a", host("10.0.0.1", 80), host("10.0.0.1", 80)), "10.0.0.1:80 stands twice"),
        (load_assignment("a", host("10.0.0.1", 80), priority="x"), "priority 'x' is not a whole number"),
        (load_assignment("a", 5), "5 is not a mapping"),
        ([load_assignment("a:http", host("10.0.0.1", port)) for port in (80, 81)], "two ports named 'http'"),
    ],
)
def test_a_bad_part_of_an_assignment_is_named(value: Any, what: str) -> None:
    _, left_out = told(envoy.convert, json.dumps(value))
    assert len(left_out) == 1
    assert what in left_out[0]


# Istio


ISTIO = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: payments, namespace: pay}
spec:
  hosts: [payments.shop.svc.cluster.local, pay.corp.example, "*.corp.example"]
  resolution: STATIC
  ports:
    - {number: 80, name: http, protocol: HTTP, targetPort: 8080}
    - {number: 90, name: grpc, protocol: GRPC}
    - {number: 53, name: dns, protocol: UDP}
  workloadSelector: {labels: {app: payments}}
  endpoints:
    - {address: 10.0.0.1, ports: {http: 8081}, locality: /dc1, network: lan, weight: 3}
    - {address: "unix:///x"}
    - {address: 10.0.0.3, weight: 0}
---
apiVersion: networking.istio.io/v1beta1
kind: WorkloadEntry
metadata: {namespace: pay, labels: {app: payments}}
spec: {address: vm7.example, serviceAccount: pay, locality: eu/dc2/r1, labels: {v: one}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {namespace: other, labels: {app: payments}}
spec: {address: 10.0.0.8}
---
apiVersion: v1
kind: List
items:
  - apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    spec: {hosts: [db.example], resolution: DNS, ports: [{number: 5432, name: tcp}]}
  - apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    spec: {hosts: [any.example], ports: [{number: 80, name: http}]}
  - {apiVersion: v1, kind: Secret, data: {x: hunter2-is-a-secret}}
"""


@pytest.mark.promise("S-12")
def test_service_entries_of_istio() -> None:
    written, left_out = told(istio.convert, ISTIO)
    more = "ports: {http: 8080, grpc: 90}, locality: {region: eu, zone: dc2, sub_zone: r1}, metadata: {v: one}"
    assert (
        written.replace(f"{{address: vm7.example, {more}}}", "address: vm7.example")
        == """\
services:
  - name: pay/pay-corp-example
    endpoints:
      - {address: 10.0.0.1, ports: {http: 8081, grpc: 90}, weight: 3, locality: {zone: dc1}, network: lan}
      - address: vm7.example
  - name: shop/db-example
    ports: {tcp: 5432}
    endpoints:
      - db.example
  - name: shop/payments
    endpoints:
      - {address: 10.0.0.1, ports: {http: 8081, grpc: 90}, weight: 3, locality: {zone: dc1}, network: lan}
      - address: vm7.example
"""
    )
    assert [line.split(";")[0] for line in left_out] == [
        "f:1: 'Secret' is neither ServiceEntry nor WorkloadEntry",
        "f:10: [0].spec.ports[2]: a port of UDP",
        "f:14: [0].spec.endpoints[1]: 'unix:///x' is not an IP address",
        "f:15: [0].spec.endpoints[2]: weight 0 is not between 1 and 65535",
        "f:5: [0].spec.hosts[2]: '*.corp.example' stands for many hosts",
        "f:35: [3].items[1].spec: resolution 'NONE': it has no endpoints of its own",
        "f:22: [2]: no ServiceEntry here selects it",
        "f:1: settings of endpoints that an inventory does not have: serviceAccount",
    ]
    assert SECRET not in "".join(left_out)


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ({"ports": [{"number": 80, "name": "a"}, {"number": 81, "name": "a"}]}, "two ports are named 'a'"),
        ({"ports": [{"number": 53, "name": "dns", "protocol": "UDP"}]}, "has no port of TCP"),
        ({"ports": [{"number": 80}]}, "port name None is not text"),
        ({"hosts": [5]}, "host 5 is not text"),
        ({"hosts": ["a/b"]}, "'a/b' is no host name"),
        ({"hosts": "x"}, "hosts must be a list"),
        ({"endpoints": [{"address": "10.0.0.1", "locality": "a/b/c/d"}]}, "is not of the form region/zone/sub_zone"),
        ({"workloadSelector": {"labels": 5}}, "5 is not a mapping"),
    ],
)
def test_a_bad_part_of_a_service_entry_is_named(spec: Any, what: str) -> None:
    good = {"hosts": ["x.example"], "resolution": "STATIC", "ports": [{"number": 80, "name": "http"}]}
    entry = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "spec": {**good, **spec}}
    bad = {"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "spec": 5}
    _, left_out = told(istio.convert, yaml.safe_dump_all([entry, bad]))
    assert any(what in one for one in left_out)
    assert any("the WorkloadEntry is left out" in one for one in left_out)


def test_workload_entries_alone_say_no_service() -> None:
    text = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nspec: {address: 10.0.0.1}\n"
    assert "say no service by themselves" in refused(istio.convert, text)
    assert "is not an object of Kubernetes" in refused(istio.convert, "5")


# EndpointSlices


def test_endpointslices_lose_the_protocol_of_their_ports_and_say_so() -> None:
    text = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {labels: {kubernetes.io/service-name: a}}
addressType: IPv4
ports: [{name: http, port: 80, appProtocol: http}]
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}, {addresses: [x]}]
"""
    written, left_out = told(endpointslice.convert, text)
    assert "ports: {http: 80}" in written
    assert "{address: 10.0.0.1, health: healthy}" in written
    assert len(left_out) == 2
    assert "appProtocol" in left_out[1]


# the command


def call(*arguments: str, given: str | None = None) -> Result:
    result = CliRunner().invoke(main, ("convert", *arguments), input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_command_prints_the_inventory_and_says_what_it_left_out(tmp_path: Any) -> None:
    (tmp_path / "n.conf").write_text("upstream a { server 10.0.0.1; server 10.0.0.2 down; }")
    result = call("nginx", str(tmp_path / "n.conf"), "--namespace", "shop")
    assert result.exit_code == 0
    assert result.stdout == "services:\n  - name: shop/a\n    port: 80\n    endpoints:\n      - 10.0.0.1\n"
    assert result.stderr == f"left out: {tmp_path}/n.conf:1: a: '10.0.0.2' is marked as down; the server is left out\n"
    result = call("nginx", "-", "--output", "json", given="upstream a { server 10.0.0.1; }")
    assert json.loads(result.stdout) == {"services": [{"name": "default/a", "port": 80, "endpoints": ["10.0.0.1"]}]}


@pytest.mark.parametrize(
    ("arguments", "given", "code", "said"),
    [
        (("nginx", "-"), "upstream a {", 2, "error: standard input:1: a block is not closed"),
        (("nginx", "-"), "", 2, "error: standard input: is empty"),
        (("nginx", "-"), "user x;", 1, "error: standard input: no service was found"),
        (("nginx", "no-such-file"), "", 2, "error: no-such-file: is not there"),
        (("ngin", "-"), "x", 2, "error: 'ngin' is no format that is installed here; known are endpointslice, envoy,"),
        (("nginx", "-", "--namespace", "A b"), "x", 2, "'A b' is not a lower-case DNS label"),
    ],
)
def test_the_command_ends_with_a_clear_line(arguments: tuple[str, ...], given: str, code: int, said: str) -> None:
    result = call(*arguments, given=given)
    assert result.exit_code == code
    assert said in result.stderr


def test_every_converter_is_found_by_its_name() -> None:
    found = {entry.name: entry.load() for entry in entry_points(group="bridge.converters")}
    expected = {
        module.__name__.rpartition(".")[2]: module.convert for module in (endpointslice, envoy, haproxy, istio, nginx)
    }
    assert {name: found.get(name) for name in expected} == expected
