"""What a configuration may say of a Consul, and how it is told what is wrong."""

from functools import partial
from pathlib import Path

import pytest

from adapters.consul.registry import Consul
from adapters.consul.settings import Settings
from bridge.config import parse
from bridge.errors import ConfigError
from bridge.kit import Kit
from bridge.testing.clock import FakeClock
from tests.configured import configured

SMALL = "name: consul\nkind: consul\nnamespace: shop\n"
EXPORTS = "export:\n- {{services: ['*'], from: [vms], {}}}\n- {{services: ['*'], from: [vms], {}}}\n"

settings = partial(configured, Settings)


def test_a_grown_configuration_is_understood() -> None:
    made = settings("""
name: consul-dc2
kind: consul
url: https://consul.dc2
token_file: consul-token
tls: {ca: consul-ca.pem, cert: us.pem, key: us.key}
datacenter: dc2
enterprise: {namespace: team, partition: west}
import:
  services: ["web*", api]
  tags: [prod]
  meta: {team: [pay, shop], env: prod}
  namespace: shop
  names: {Old_Web: shop/web}
  tagged_address: wan
  warning: healthy
  places: {zone: az}
  ports: {default: http}
locality: {zone: dc2}
network: dc2
""")
    assert made.url == "https://consul.dc2:8501"
    assert made.token_file == Path("/etc/bridge/consul-token")
    assert made.enterprise.scope() == {"ns": "team", "partition": "west"}
    assert made.imported.selection().meta == (
        ("env", frozenset(["prod"])), ("team", frozenset(["pay", "shop"])),
    )  # fmt: skip
    assert isinstance(made.open(Kit("consul-dc2", FakeClock())), Consul)


def test_the_smallest_one_is_the_agent_of_this_machine() -> None:
    assert settings(SMALL).url == "http://127.0.0.1:8500"


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("http://Consul.Example./", "http://consul.example:8500"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:8501"),
        ("http://10.0.0.1:80/consul/", "http://10.0.0.1:80/consul"),
    ],
)
def test_a_url_is_filled_in(url: str, read: str) -> None:
    assert settings(SMALL + f"url: '{url}'\n").url == read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL.replace("namespace: shop\n", ""), "write `import: {namespace: shop}`"),
        (SMALL + "url: consul:8500\n", "bridge.yaml:4: url: 'consul:8500' is no address of a Consul"),
        (SMALL + "url: http://u:p@consul\n", "bridge.yaml:4: url: holds a user or a password"),
        (SMALL + "url: http://010.1\n", "shortened, octal"),
        (SMALL + "url: http://consul:99999\n", "bridge.yaml:4: url: "),
        (SMALL + "token: abc\n", "bridge.yaml:4: token: unknown key; did you mean 'token_file'?"),
        (SMALL + "import: {services: []}\n", "bridge.yaml:4: import.services: "),
        (SMALL + "import: {warning: fine}\n", "import.warning: must be 'degraded' or 'healthy'"),
        (SMALL + "import: {names: {a: B}}\n", "'B' is not a lower-case DNS label"),
        (SMALL + "import: {ports: {default: '80'}}\n", "does not name a port"),
        (SMALL + "timeout: 100ms\n", "`timeout` is less than 1s"),
        (SMALL + EXPORTS.format("nodes: 0", "node: b"), "bridge.yaml:5: export[0].nodes: "),
        (SMALL + EXPORTS.format("node: a-2", "node: a"), "two exports write the node a-2; name another one"),
        (SMALL + "tls: {}\n", "`tls` is of a `url` with https:"),
        (SMALL + "url: https://consul\ntls: {cert: a.pem}\n", "tls: `cert` and `key` belong together"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_token_that_is_not_there_or_none_is_a_problem_before_the_bridge_runs(tmp_path: Path) -> None:
    made = settings(SMALL + "url: https://consul\ntoken_file: token\ntls: {ca: ca.pem}\n", tmp_path)
    seen = made.check()
    assert seen is not None
    assert [(one.kind, one.where) for one in seen.problems] == [
        ("access", f"{tmp_path}/ca.pem"),
        ("access", f"{tmp_path}/token"),
    ]
    made = settings(SMALL + "token_file: token\n", tmp_path)
    (tmp_path / "token").write_text("two words\n")
    seen = made.check()
    assert seen is not None
    assert "one word of plain letters is" in seen.problems[0].what
    (tmp_path / "token").write_text("11111111-2222-3333-4444-555555555555\n")
    assert made.check() is None


# Several registries in one Consul


def together(*registries: str) -> str:
    """What is wrong with these registries side by side, a line each; "" where nothing is."""
    listed = "".join(f"  - {{kind: consul, namespace: shop, {one}}}\n" for one in registries)
    text = f"owner: prod\nregistries:\n  - {{name: vms, kind: static, files: [vms.yaml]}}\n{listed}"
    try:
        parse(text, Path("bridge.yaml"))
    except ConfigError as error:
        return str(error)
    return ""


def writes(source: str = "vms", more: str = "") -> str:
    return f"export: [{{services: ['shop/*'], from: [{source}]{more}}}]"


WEB, API = "import: {services: ['web*']}", "import: {services: ['api*']}"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            writes(),
            writes(),
            "bridge.yaml:5: registries[2].export[0]: writes on the node of export[0] of 'one', in the same Consul",
        ),
        (writes(more=", nodes: 3"), writes(more=", node: registry-bridge--2"), "writes on the node of export[0]"),
        (API, f"{WEB}, {writes('one')}", "registries[2].export[0]: writes what 'one' reads in the same Consul, under"),
        (f"{API}, {writes('two')}", WEB, "registries[2]: is read where export[0] of 'one' writes it again, under the"),
    ],
)
def test_registries_that_would_take_each_others_for_their_own_in_one_consul_are_told_by_name_and_key(
    first: str, second: str, told: str
) -> None:
    said = together(f"name: one, {first}", f"name: two, url: 'http://127.0.0.1', {second}")
    assert told in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (writes(), f"url: 'http://consul.dc2', {writes()}"),
        (writes(), f"datacenter: dc2, {writes()}"),
        (writes(), f"enterprise: {{namespace: team}}, {writes()}"),
        (writes(), writes(more=", node: another")),
        (writes(), writes(more=", mode: dry-run")),
        (WEB, WEB),
        (API, writes("one")),
        (WEB, f"{WEB}, {writes('one')}"),
        (API, f"import: {{namespace: pay, services: ['web*']}}, {writes('one')}"),
        (API, f"{WEB}, datacenter: dc2, {writes('one')}"),
    ],
)
def test_registries_that_only_share_a_consul_are_let_pass(first: str, second: str) -> None:
    assert together(f"name: one, {first}", f"name: two, {second}") == ""
