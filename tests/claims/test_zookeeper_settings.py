"""What a configuration may say of a ZooKeeper, and how it is told what is wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from adapters.zookeeper.registry import ZooKeeper
from adapters.zookeeper.settings import Settings
from bridge.errors import ConfigError
from bridge.kit import Kit
from bridge.kit.document import load
from bridge.kit.settings import explain_errors
from bridge.testing.clock import FakeClock

SMALL = "name: zk\nkind: zookeeper\nhosts: zk1\nnamespace: shop\n"
EXPORT = "export:\n  - {{path: '/s/{{name}}', services: ['shop/*'], from: [vms], {}}}\n"
TREES = "trees: [{path: '/services/{name}', dialect: curator}]\n"


def settings(text: str, folder: Path = Path("/etc/bridge")) -> Settings:
    document = load(text, "bridge.yaml")
    try:
        return Settings.model_validate(document.value, context={"folder": folder})
    except ValidationError as error:
        raise explain_errors(error, document, Settings) from None


def test_a_grown_configuration_is_understood() -> None:
    made = settings("""
name: zk-dc1
kind: zookeeper
hosts: zk1.dc1:2181,zk2.dc1:2182, zk3.dc1/app/
session: 20s
tls: {ca: zk-ca.pem, cert: us.pem, key: us.key}
auth: {scheme: digest, file: zk-auth}
trees:
  - path: /smartstack/services/{name}
    dialect: nerve
    namespace: shop
  - path: /twitter/service/{role}/{env}/{name}
    dialect: serverset
    namespace: "{role}"
    namespaces: [shop, payments]
    where: {env: prod}
    ports: {default: http, additional: keep}
  - {path: "/dubbo/{name}", dialect: dubbo, namespace: shop, dubbo: {version: 1.0.0}, names: {com.ex.Foo: shop/foo}}
  - {path: /brokers/ids, dialect: kafka, namespace: data, name: kafka, listener: INTERNAL}
export:
  - {path: "/smartstack/services/{name}", dialect: nerve, services: ["shop/*"], from: [k8s], ephemeral: false}
  - {path: "/{namespace}/{name}", dialect: curator, namespace: "{namespace}", services: ["a/*", "b/x"], from: [k8s]}
locality: {region: eu, zone: dc1}
network: dc1
addresses: [10.20.0.0/16]
""")
    assert made.hosts == "zk1.dc1:2181,zk2.dc1:2182,zk3.dc1:2181/app"
    assert made.tls is not None
    assert made.tls.ca == Path("/etc/bridge/zk-ca.pem")
    assert made.session_timeout == 40
    assert isinstance(made.open(Kit("zk-dc1", FakeClock())), ZooKeeper)


@pytest.mark.parametrize(
    ("hosts", "read"),
    [
        ("zk1", "zk1:2181"),
        ("ZK1.example.:2182", "zk1.example:2182"),
        ("[2001:db8::1],[2001:db8::2]:99", "[2001:db8::1]:2181,[2001:db8::2]:99"),
        ("10.0.0.1/a/b", "10.0.0.1:2181/a/b"),
    ],
)
def test_hosts_are_read_as_zookeeper_writes_them(hosts: str, read: str) -> None:
    assert settings(SMALL.replace("zk1", f"'{hosts}'") + TREES).hosts == read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL, "bridge.yaml:1: says not what is read; write `trees:`"),
        (SMALL + "trees: []\n", "says not what is read"),
        (SMALL.replace("zk1", "zk1:99999") + TREES, "bridge.yaml:3: hosts: 'zk1:99999': port '99999' is not between"),
        (SMALL.replace("zk1", "zk1:2181//") + TREES, "bridge.yaml:3: hosts: '//' is no chroot"),
        (SMALL.replace("zk1", "2001:db8::1") + TREES, "an IPv6 address with a port stands in brackets"),
        (SMALL.replace("zk1", "zk1,,zk2") + TREES, "bridge.yaml:3: hosts: "),
        (
            SMALL + "trees: [{path: '/s/{name}', dialect: eureka}]\n",
            "bridge.yaml:5: trees[0].dialect: must be 'curator'",
        ),
        (SMALL + "trees: [{path: '/s/{name}'}]\n", "trees[0].dialect: is required"),
        (SMALL + "trees: [{path: 's/{name}', dialect: nerve}]\n", "trees[0]: 's/{name}' is not a path such as"),
        (SMALL + "trees: [{path: '/s/{role}/{name}', dialect: nerve}]\n", "trees[0]: {role} of the path says nothing"),
        (SMALL.replace("namespace: shop\n", "") + TREES, "trees[0]: a tree needs `namespace:`"),
        (SMALL + TREES + "session: 100ms\n", "`session` is not between 1s and 60s"),
        (SMALL + TREES + "tls: {cert: a.pem}\n", "bridge.yaml:6: tls: `cert` and `key` belong together"),
        (SMALL + TREES + "auth: {scheme: digest}\n", "bridge.yaml:6: auth: say where user:password is"),
        (
            SMALL + TREES + "auth: {scheme: kerberos, file: a}\n",
            "bridge.yaml:6: auth.scheme: must be 'digest' or 'sasl'",
        ),
        (
            SMALL + "trees: [{path: '/s/{name}', dialect: nerve, listener: X}]\n",
            "`listener` is one of Kafka's; remove it",
        ),
        (SMALL + "trees: [{path: '/s/{name}', dialect: nerve, dubbo: {}}]\n", "`dubbo` is about dialects of Dubbo's"),
        (SMALL + "trees: [{path: '/s/{name}', dialect: nerve, names: {a: B}}]\n", "'B' is not a lower-case DNS label"),
        (SMALL + EXPORT.format("dialect: kafka"), "export[0].dialect: must be 'curator'"),
        (SMALL + EXPORT.format("dialect: curator, encoded: true"), "`encoded` is about Nerve's names; remove it"),
        (SMALL + EXPORT.format("dialect: dubbo-app"), "says what it serves; write `dubbo: {interfaces: [...]}`"),
        (SMALL + EXPORT.format("dialect: nerve, dubbo: {}"), "`dubbo` is about dialects of Dubbo's"),
        (
            SMALL + EXPORT.format("dialect: nerve").replace("/s/{name}", "/s/{zone}/{name}"),
            "export[0]: {zone} of the path says nothing",
        ),
        (
            SMALL + EXPORT.format("dialect: nerve, where: {zone: [a, b]}").replace("/s/{name}", "/s/{zone}/{name}"),
            "export[0]: a service does not say what {zone} is; say it under `where:`, with one value",
        ),
        (
            SMALL.replace("namespace: shop\n", "") + EXPORT.format("dialect: nerve").replace("shop/*", "*/*"),
            "export[0]: a tree needs `namespace:`",
        ),
        (
            SMALL + EXPORT.format("dialect: nerve") + EXPORT.format("dialect: plain").removeprefix("export:\n"),
            "export[0] and export[1] write the same tree, /s/{name}; join them",
        ),
        (SMALL + TREES + "tree: 1\n", "bridge.yaml:6: tree: unknown key; did you mean 'trees'?"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.promise("S-12")
def test_a_secret_is_never_written_into_the_configuration() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(SMALL + TREES + "auth: {scheme: digest, password: canary}\n")
    assert "canary" not in str(caught.value)
