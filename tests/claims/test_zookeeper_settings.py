"""What a configuration may say of a ZooKeeper, and how it is told what is wrong."""

from functools import partial
from pathlib import Path

import pytest

from adapters.zookeeper.registry import ZooKeeper
from adapters.zookeeper.settings import Settings
from bridge.config import parse
from bridge.errors import ConfigError
from bridge.kit import Kit
from bridge.testing.clock import FakeClock
from tests.configured import configured

SMALL = "name: zk\nkind: zookeeper\nhosts: zk1\nnamespace: shop\n"
EXPORT = "export:\n  - {{path: '/s/{{name}}', services: ['shop/*'], from: [vms], {}}}\n"
TREES = "trees: [{path: '/services/{name}', dialect: curator}]\n"

settings = partial(configured, Settings)


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
    ("tree", "folder"),
    [
        ("path: '/dubbo/{name}', dialect: dubbo", "/dubbo/config/dubbo"),
        ("path: '/dubbo/com.ex.Foo', name: foo, dialect: dubbo", "/dubbo/config/dubbo"),
        ("path: '/test/{name}', dialect: dubbo", "/test/config/dubbo"),
        ("path: '/test/{name}', dialect: dubbo, dubbo: {root: /dubbo}", "/dubbo/config/dubbo"),
        ("path: '/{env}/{name}', labels: [env], dialect: dubbo", None),
        ("path: '/{env}/{name}', labels: [env], dialect: dubbo, dubbo: {root: /dubbo}", "/dubbo/config/dubbo"),
        ("path: '/services/{name}', dialect: dubbo-app", "/dubbo/config/dubbo"),
        ("path: '/services/{name}', dialect: dubbo-app, dubbo: {root: /test}", "/test/config/dubbo"),
        ("path: '/services/{name}', dialect: spring", None),
    ],
)
def test_documents_stand_below_dubbos_own_root(tree: str, folder: str | None) -> None:
    assert settings(SMALL + f"trees: [{{{tree}}}]\n").trees[0].documents == folder


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
            SMALL.replace("zk1", "zk1:2181/app,zk2:2181/app") + TREES,
            "bridge.yaml:3: hosts: has a host behind '/app'; write such as zk1:2181,zk2:2181/app, the chroot once",
        ),
        (
            SMALL.replace("zk1", "[zk1, zk2]") + TREES,
            "bridge.yaml:3: hosts: is a list; write one text with commas, such as",
        ),
        (SMALL.replace("zk1", "zk1 zk2") + TREES, "host name; write such as zk1:2181,zk2:2181/app"),
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
            SMALL + "trees: [{path: '/s/{name}', dialect: dubbo, dubbo: {root: dubbo}}]\n",
            "trees[0].dubbo.root: 'dubbo' is not a path",
        ),
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
            "export[0] and export[1] write into one tree, /s/{name}; one tree has one export: join them, or write else",
        ),
        (
            SMALL
            + EXPORT.format("dialect: nerve")
            + EXPORT.format("dialect: plain, name: '{b}', where: {a: x}")
            .removeprefix("export:\n")
            .replace("/s/{name}", "/s/{a}/{b}"),
            "export[0] and export[1] write into one tree, /s/{name} and /s/{a}/{b}; one tree has one export",
        ),
        (
            SMALL + TREES + EXPORT.format("dialect: nerve").replace("/s/", "/services/"),
            "export[0]: writes nerve into what is read as curator, trees[0] of 'zk', /services/{name}; name one",
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


def test_a_file_by_which_it_is_reached_and_that_is_not_there_is_a_problem_before_the_bridge_runs(
    tmp_path: Path,
) -> None:
    text = SMALL + TREES + "tls: {ca: zk-ca.pem}\nauth: {file: zk-auth}\n"
    seen = settings(text, tmp_path).check()
    assert seen is not None
    assert seen.read == 0
    assert [(one.kind, one.where) for one in seen.problems] == [
        ("access", f"{tmp_path}/zk-ca.pem"),
        ("access", f"{tmp_path}/zk-auth"),
    ]
    assert all("put it there, or correct the path" in one.what for one in seen.problems)
    (tmp_path / "zk-auth").write_text("bridge\n")
    halved = settings(SMALL + TREES + "auth: {file: zk-auth}\n", tmp_path).check()
    assert halved is not None
    assert [str(one) for one in halved.problems] == [
        "auth: what is read is no user:password; write both, with a colon between them"
    ]
    assert settings(SMALL + TREES, tmp_path).check() is None


# Several registries in one ZooKeeper


def together(*registries: str) -> str:
    """What is wrong with these registries side by side, a line each; "" where nothing is."""
    listed = "".join(f"  - {{kind: zookeeper, namespace: shop, {one}}}\n" for one in registries)
    text = f"owner: prod\nregistries:\n  - {{name: vms, kind: static, files: [vms.yaml]}}\n{listed}"
    try:
        parse(text, Path("bridge.yaml"))
    except ConfigError as error:
        return str(error)
    return ""


def reads(path: str = "/s/{name}", dialect: str = "nerve", **more: str) -> str:
    said = "".join(f", {key}: {value}" for key, value in more.items())
    return f"trees: [{{path: '{path}', dialect: {dialect}{said}}}]"


def writes(path: str = "/s/{name}", dialect: str = "nerve", to: str = "vms") -> str:
    return f"export: [{{path: '{path}', dialect: {dialect}, services: ['shop/*'], from: [{to}]}}]"


ONE = "name: one, hosts: 'zk1,zk2'"
TWO = "name: two, hosts: 'zk2,zk3'"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            writes(),
            writes(),
            "5: registries[2].export[0]: writes into the tree of export[0] of 'one', /s/{name}, on",
        ),
        (writes(), writes(dialect="curator"), "5: registries[2].export[0]: writes into the tree of export[0] of 'one'"),
        (
            writes(),
            writes("/s/web/{name}", "plain"),
            "writes into the tree of export[0] of 'one', /s/{name}, on the same servers; one tree has one export: join",
        ),
        (
            reads(),
            writes(to="one"),
            "registries[2].export[0]: writes what 'one' knows into where that is read, trees[0] of 'one', /s/{name}; ",
        ),
        (
            writes(to="two"),
            reads(),
            "trees[0]: is read from where what is known of it is written, export[0] of 'one', /s/{name}; ",
        ),
        (reads(), writes(dialect="curator"), "export[0]: writes curator into what is read as nerve, trees[0] of 'one'"),
        (writes(dialect="curator"), reads(), "trees[0]: reads nerve where curator is written, export[0] of 'one'"),
        (reads(), reads(), "registries[2].trees[0]: reads what is read in trees[0] of 'one', /s/{name}, on"),
        (reads("/*/{name}"), reads(), "reads what is read in trees[0] of 'one', /*/{name}"),
    ],
)
def test_registries_that_do_the_same_in_one_zookeeper_are_told_by_name_and_key(
    first: str, second: str, told: str
) -> None:
    said = together(f"{ONE}, {first}", f"{TWO}, {second}")
    assert told in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"{ONE}, {writes()}", f"name: two, hosts: zk9, {writes()}"),
        (f"{ONE}, {writes()}", f"name: two, hosts: zk2/app, {writes()}"),
        (f"{ONE}, {writes()}", f"{TWO}, {writes('/t/{name}')}"),
        (f"{ONE}, {writes()}", f"{TWO}, {reads()}"),
        (f"{ONE}, {reads(dialect='spring')}", f"{TWO}, {reads(dialect='dubbo-app')}"),
        (f"{ONE}, {reads(dialect='spring')}, {writes(dialect='curator')}", f"{TWO}, {reads('/t/{name}')}"),
        (f"{ONE}, {reads()}", f"{TWO}, {reads(namespace='pay')}"),
        (
            f"{ONE}, {reads('/s/{env}/{name}', where='{env: prod}')}",
            f"{TWO}, {reads('/s/{env}/{name}', where='{env: test}')}",
        ),
    ],
)
def test_registries_that_only_share_a_zookeeper_are_let_pass(first: str, second: str) -> None:
    assert together(first, second) == ""


def test_a_chroot_hides_no_tree_that_is_written_twice() -> None:
    inside, outside = f"name: one, hosts: zk1/app, {writes()}", f"name: two, hosts: zk1, {writes('/app/s/{name}')}"
    assert "registries[2].export[0]: writes into the tree of export[0] of 'one'" in together(inside, outside)
