"""The configuration: what it accepts, what it says of what it does not, and what it comes to."""

from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from bridge.config import Config, find, installed, load, may_fill, parse, removals, schema, screening
from bridge.errors import ConfigError
from bridge.kit.names import EVERY_NAMESPACE, Namespaces
from bridge.model import ServiceName
from bridge.testing.memory import MemorySettings
from bridge.traffic import OutlierDetection

ADAPTERS = {"memory": lambda: MemorySettings}
REGISTRY = "registries: [{name: vms, kind: memory}]"


def config(text: str = "", path: str = "bridge.yaml") -> Config:
    return parse(f"{REGISTRY}\n{text}", Path(path), ADAPTERS)


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("bridge.yaml"), ADAPTERS)
    return str(caught.value).split("\n")


def test_the_smallest_configuration_has_the_documented_defaults() -> None:
    root = config().root
    assert (str(root.xds.listen), str(root.admin.listen), root.probes) == ("127.0.0.1:18000", "127.0.0.1:8080", None)
    assert (root.settle.interval, root.start.wait, root.snapshot.max_age) == (0.1, 10.0, 3600.0)
    assert (root.log.format, root.log.level, root.xds.insecure, root.xds.tls) == ("json", "info", False, None)
    assert root.xds.names == "{namespace}/{name}:{port}"
    registry = config().registries[0]
    assert registry.required is True
    given = removals(registry)
    assert (given.settled, given.gather, given.confirm, given.last, given.flood_release) == (900, 3, 60, 1800, 1800)
    assert (given.small, given.source, given.probe) == (0.15, 0.10, True)


def test_every_key_of_this_slice_is_accepted() -> None:
    made = config(
        """
services: {"shop/*": {port: grpc, cluster: {connect_timeout: 2s, lb: maglev, outlier_detection: {interval: 5s}}}}
xds: {listen: "[::1]:18001", names: "{name}.{namespace}:{port}", insecure: false}
admin: {listen: "localhost:8081"}
probes: {listen: "0.0.0.0:8082"}
settle: {interval: 50ms}
start: {wait: 1m}
snapshot: {path: state, max_age: 2h}
log: {format: console, level: debug}
""",
        "/srv/bridge/bridge.yaml",
    )
    assert str(made.root.xds.listen) == "[::1]:18001"
    assert made.state_folder() == Path("/srv/bridge/state"), "relative paths are taken from the file's folder"
    assert made.server().listen == ("::1", 18001)
    assert made.engine(None).settle == 0.05


WRONG = {
    "unknown key with a neighbour": (
        f"{REGISTRY}\nxds: {{listne: x}}",
        "2: xds.listne: unknown key; did you mean 'lis",
    ),
    "unknown key at the top": (f"{REGISTRY}\nsnapshots: {{}}", "2: snapshots: unknown key; did you mean 'snapshot'?"),
    "unknown key of nothing near": (f"{REGISTRY}\nquorum: 3", "2: quorum: unknown key; known are admin, leader, log"),
    "a later slice's networks": (f"{REGISTRY}\nnetworks: {{}}", "2: networks: unknown key"),
    "a later slice's shares": (
        f"{REGISTRY}\nservices:\n  a/b: {{shares: {{vms: 1}}}}",
        "3: services['a/b'].shares: unkn",
    ),
    "a later slice's tiers": (f"{REGISTRY}\nservices:\n  a/b:\n    tiers: []", "4: services['a/b'].tiers: unknown key"),
    "an export of nobody's": (
        "registries:\n- name: vms\n  kind: memory\n  export:\n  - services: [shop/*]",
        "5: registries[0].export[0].from: is required; add it",
    ),
    "an export of everything by a slip": (
        "registries:\n- name: vms\n  kind: memory\n  export:\n  - services: []\n    from: [vms]",
        "5: registries[0].export[0].services:",
    ),
    "an export of no name": (
        "registries:\n- name: vms\n  kind: memory\n  export:\n  - services: [payments]\n    from: [vms]",
        "5: registries[0].export[0].services[0]: 'payments' is not a pattern such as shop/payments",
    ),
    "key of an adapter": (
        "registries: [{name: a, kind: memory, requierd: true}]",
        "requierd: unknown key; did you mean 'requ",
    ),
    "no registries": ("xds: {}", "1: registries: is required; add it"),
    "empty registries": ("registries: []", "1: registries: is empty; add one, such as {name: vms"),
    "registries of another shape": ("registries: vms", "1: registries: must be a list"),
    "registry of another shape": ("registries: [vms]", "1: registries[0]: must be a mapping of keys"),
    "registry without a kind": ("registries: [{name: vms}]", "registries[0].kind: names the adapter that reads the"),
    "registry without a name": ("registries: [{kind: memory}]", "1: registries[0].name: is required; add it"),
    "kind unknown": (
        "registries: [{name: vms, kind: memroy}]",
        "'memroy' is no kind of registry that is installed here; did",
    ),
    "kind of an extra": ("registries: [{name: vms, kind: static}]", "pip install 'registry-bridge[static]'"),
    "two of one name": (
        "registries:\n- {name: vms, kind: memory}\n- {name: vms, kind: memory}",
        "3: registries[1].name: 'vms' is the name of another registry too; give each its own",
    ),
    "name that is no label": (
        "registries: [{name: My VMs, kind: memory}]",
        "'My VMs' is not a lower-case DNS label; write",
    ),
    "allow list": ("registries: [{name: a, kind: memory, addresses: [10.0.0.1/8]}]", "registries[0].addresses: "),
    "removals": (
        "registries: [{name: a, kind: memory, removals: {small: 15}}]",
        "removals.small: 15 is not a share; write",
    ),
    "listen without a port": (
        f"{REGISTRY}\nxds: {{listen: 127.0.0.1}}",
        "2: xds.listen: '127.0.0.1' is not of the form",
    ),
    "listen on a number": (
        f"{REGISTRY}\nxds: {{listen: 18000}}",
        "2: xds.listen: 18000 is not of the form address:port",
    ),
    "listen on a name": (
        f"{REGISTRY}\nadmin: {{listen: 'vm7:80'}}",
        "'vm7' is a name; write the IP address to listen on",
    ),
    "port too large": (
        f"{REGISTRY}\nxds: {{listen: '127.0.0.1:70000'}}",
        "2: xds.listen: '127.0.0.1:70000' is not of the",
    ),
    "plain text off loopback": (
        f"{REGISTRY}\nxds: {{listen: '0.0.0.0:18000'}}",
        "2: xds.listen: 0.0.0.0:18000 is not loop",
    ),
    "tls and insecure": (
        f"{REGISTRY}\nxds: {{tls: {{cert: a, key: b}}, insecure: true}}",
        "2: xds.insecure: stands beside xds.tls; remove one of them",
    ),
    "half of tls": (f"{REGISTRY}\nxds: {{tls: {{cert: a}}}}", "2: xds.tls.key: is required; add it"),
    "admin off loopback": (
        f"{REGISTRY}\nadmin: {{listen: '0.0.0.0:8080'}}",
        "reach it by ssh -L or kubectl port-forward",
    ),
    "one port for two": (
        f"{REGISTRY}\nxds: {{listen: '127.0.0.1:8080'}}",
        "admin.listen: 127.0.0.1:8080 is xds.listen too; choose another port",
    ),
    "duration without a unit": (
        f"{REGISTRY}\nsettle: {{interval: 100}}",
        "2: settle.interval: 100 is not a time; write",
    ),
    "duration of words": (f"{REGISTRY}\nstart: {{wait: soon}}", "2: start.wait: 'soon' is not a time; write a number"),
    "template": (f"{REGISTRY}\nxds: {{names: '{{nmae}}'}}", "2: xds.names: "),
    "log level": (f"{REGISTRY}\nlog: {{level: loud}}", "2: log.level: must be 'debug', 'info', 'warning' or 'error'"),
    "pattern": (f"{REGISTRY}\nservices: {{payments: {{}}}}", "'payments' is not a pattern such as shop/payments"),
    "policy's port": (f"{REGISTRY}\nservices: {{a/b: {{port: 99999}}}}", "99999 is neither the name of a port nor"),
    "policy's balancer": (
        f"{REGISTRY}\nservices: {{a/b: {{cluster: {{lb: best}}}}}}",
        "cluster.lb: must be 'round_robin'",
    ),
    "key twice": (f"{REGISTRY}\nxds: {{}}\nxds: {{}}", "bridge.yaml:3: "),
    "no YAML": ("registries: [", "bridge.yaml:"),
    "nothing": ("", "bridge.yaml: must be a mapping of keys; the smallest is registries: [{name: vms"),
    "a list": ("- a", "bridge.yaml: must be a mapping of keys"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line_with_its_place_and_what_to_do(name: str) -> None:
    text, expected = WRONG[name]
    lines = refused(text)
    assert len(lines) == 1, lines
    assert expected in lines[0]
    assert lines[0].startswith("bridge.yaml:")


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_lines() -> None:
    lines = refused("registries:\n- {name: vms, kind: memory, a: 1}\nxds: {b: 2}\nadmin: {listen: '0.0.0.0:1'}\nc: 3")
    assert [line.split(": ")[0] for line in lines] == [f"bridge.yaml:{number}" for number in (2, 3, 4, 5)]


@pytest.mark.promise("S-12")
def test_a_secret_in_a_wrong_place_is_not_repeated() -> None:
    for text in (
        f"{REGISTRY}\npassword: hunter2",
        f"{REGISTRY}\nxds: {{token: hunter2}}",
        f"{REGISTRY}\nadmin: {{listen: 'http://bridge:hunter2@127.0.0.1:80'}}",
        "registries: [{name: vms, kind: memory, url: 'https://u:hunter2@consul:8501'}]",
        f"{REGISTRY}\nxds: {{tls: 'file://u:hunter2@x/y'}}",
        f"{REGISTRY}\nauth: {{digest: hunter2\n",
    ):
        assert "hunter2" not in "\n".join(refused(text))


@pytest.mark.promise("S-09")
def test_a_message_is_one_line_whatever_stands_in_the_file() -> None:
    assert len(refused(f'{REGISTRY}\n"a\\r\\nb\\x1b[31m": 1')) == 1
    (line,) = refused('registries: [{name: "a\\r\\nb", kind: memory}]')
    assert line.isprintable()


@pytest.mark.promise("S-14")
def test_plain_text_off_loopback_needs_the_operators_own_hand() -> None:
    assert "write xds.tls" in refused(f"{REGISTRY}\nxds: {{listen: '10.0.0.1:18000'}}")[0]
    assert config("xds: {listen: '10.0.0.1:18000', insecure: true}").server().insecure


def test_a_missing_adapter_dependency_names_the_extra() -> None:
    def broken() -> type[MemorySettings]:
        raise ImportError("No module named 'watchfiles'")

    with pytest.raises(ConfigError, match=r"'static' cannot be loaded: .*watchfiles.*pip install 'registry-bridge\[st"):
        parse("registries: [{name: vms, kind: static}]", Path("bridge.yaml"), {"static": broken})


def test_the_static_adapter_is_found_by_its_entry_point() -> None:
    assert "static" in installed()
    made = parse("registries: [{name: vms, kind: static, files: [vms.yaml]}]", Path("bridge.yaml"))
    assert made.registries[0].kind == "static"


def test_a_file_that_cannot_be_read_is_a_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file or directory; name another"):
        load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "latin.yaml")


def test_no_configuration_at_all_says_where_one_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"name one with --config, or write bridge\.yaml"):
        find(None)
    Path("bridge.yaml").write_text(REGISTRY)
    assert find(None) == Path("bridge.yaml")


def test_the_state_folder_is_the_written_one_else_systemds_else_the_desktops_else_below_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/operator")
    assert config().state_folder() == Path("/home/operator/.local/state/registry-bridge")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert config().state_folder() == Path("/state/registry-bridge")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/registry-bridge:/var/lib/other")
    assert config().state_folder() == Path("/var/lib/registry-bridge")
    assert config("snapshot: {path: here}", "/etc/b/bridge.yaml").state_folder() == Path("/etc/b/here")


PAYMENTS, LEDGER, OTHER = ServiceName("shop", "payments"), ServiceName("shop", "ledger"), ServiceName("data", "db")

LAYERED = """
services:
  shop/payments: {port: http, cluster: {lb: random}}
  "*": {cluster: {connect_timeout: 5s, outlier_detection: false}}
  "shop/*": {port: grpc, cluster: {lb: maglev, outlier_detection: {interval: 7s}}}
"""


def test_policy_is_layered_from_the_least_specific_glob_to_the_services_own_name() -> None:
    policies = config(LAYERED).policies()
    payments, ledger, other = policies(PAYMENTS), policies(LEDGER), policies(OTHER)
    assert (payments.port, payments.cluster.lb, payments.cluster.connect_timeout) == ("http", "random", 5.0)
    assert (ledger.port, ledger.cluster.lb, ledger.cluster.connect_timeout) == ("grpc", "maglev", 5.0)
    assert (other.port, other.cluster.lb, other.cluster.outlier_detection) == (None, "round_robin", None)
    assert ledger.cluster.outlier_detection == OutlierDetection(5, 7.0, 30.0, 10), "turned on again, key by key"


def test_the_order_in_the_file_decides_nothing() -> None:
    lines = LAYERED.strip().split("\n")
    turned = "\n".join([lines[0], *reversed(lines[1:])])
    for name in (PAYMENTS, LEDGER, OTHER):
        assert config(LAYERED).policies()(name) == config(turned).policies()(name)


def test_equal_policies_are_one_object_over_a_reload_too() -> None:
    old = config(LAYERED).policies()
    payments, ledger, other = old(PAYMENTS), old(LEDGER), old(OTHER)
    assert old(PAYMENTS) is payments
    new = config(LAYERED.replace("7s", "8s")).policies(old)
    assert new(PAYMENTS) is not payments, "its outlier detection changed with the glob"
    assert new(LEDGER) is not ledger
    assert new(OTHER) is other


def test_a_reload_can_take_over_services_alone() -> None:
    old = config("settle: {interval: 100ms}")
    assert old.differs(config("services: {a/b: {port: 80}}")) == []
    assert old.differs(config("settle: {interval: 200ms}\nlog: {level: debug}")) == ["log", "settle"]
    other = parse("registries: [{name: vms, kind: memory, required: false}]", Path("bridge.yaml"), ADAPTERS)
    assert old.differs(other) == ["registries"]


def test_what_a_registry_may_say_comes_from_its_settings() -> None:
    made = parse(
        "registries: [{name: vms, kind: memory, addresses: [10.0.0.0/8], namespaces: [shop, kube-system]}]",
        Path("bridge.yaml"),
        ADAPTERS,
    ).registries[0]
    policy = screening(made)
    assert (policy.namespaces, policy.allow_loopback) == (Namespaces.of(["shop", "kube-system"]), False)
    assert policy.addresses is not None
    assert [may_fill(made)(one) for one in ("shop", "data", "kube-system")] == [True, False, True]
    free = config().registries[0]
    assert [may_fill(free)(one) for one in ("shop", "kube-system")] == [True, False], "kube-* must be named"
    assert replace(screening(free), namespaces=EVERY_NAMESPACE) == screening(free)


def test_the_schema_accepts_what_the_reader_accepts_and_refuses_unknown_keys() -> None:
    made = schema(ADAPTERS)
    validator = jsonschema.Draft202012Validator(made)
    validator.check_schema(made)
    good = yaml.safe_load(f"{REGISTRY}\n{LAYERED}\nxds: {{tls: {{cert: a, key: b}}}}\nprobes: {{listen: '[::1]:1'}}")
    assert list(validator.iter_errors(good)) == []
    for bad in ({**good, "peers": "x"}, {**good, "registries": []}, {**good, "settle": {"interval": 5}}):
        assert list(validator.iter_errors(bad)) != []
    assert "static" in str(schema()["properties"]["registries"]["items"])


ELECTIONS = (
    {"kind": "none"},
    {"kind": "kubernetes", "lease": "15s"},
    {"kind": "consul", "url": "https://consul:8501", "tls": {"ca": "ca.pem"}},
    {"kind": "zookeeper", "hosts": "zk:2181", "tls": {"ca": "ca.pem"}, "auth": {"file": "zk-auth"}},
)


@pytest.mark.parametrize("leader", ELECTIONS, ids=lambda one: str(one["kind"]))
def test_the_schema_accepts_every_kind_of_election(leader: dict[str, object]) -> None:
    validator = jsonschema.Draft202012Validator(schema())
    good = {"registries": [{"name": "vms", "kind": "static", "files": ["vms.yaml"]}], "leader": leader}
    assert list(validator.iter_errors(good)) == []
    assert list(validator.iter_errors({**good, "leader": {**leader, "tls": {"key": 5}}})) != []
    assert list(validator.iter_errors({**good, "leader": {**leader, "peers": "x"}})) != []
