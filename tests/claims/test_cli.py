"""The commands: what they print for people and for programs, and how they end."""

import json
import socket
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bridge.admin.log import configure
from bridge.cli import main
from bridge.cli.client import Client, NotRunningError, RefusedError
from bridge.cli.output import clean, seconds
from bridge.errors import ConfigError
from bridge.model import Health
from bridge.testing.ports import free_port
from tests.builders import endpoint, hosts, service
from tests.running import Threaded, config, log_as_before

H, U = Health.HEALTHY, Health.UNHEALTHY
PAYMENTS = service("shop/payments", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
ONE_LEFT = service("shop/payments", "10.0.0.1:80")

INVENTORY = """
services:
  - name: shop/payments
    ports: {http: 8080, admin: 9090}
    locality: {region: eu, zone: dc1}
    endpoints: [10.20.0.1, {address: 10.20.0.2, health: draining}, vm7.dc1.example]
  - name: shop/a-service-with-a-name-that-is-much-longer-than-a-column-may-be
    ports: {http: 80}
    endpoints: [10.20.0.9, 169.254.169.254]
"""


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """The bridge in the thread must not write into what a command prints."""
    with log_as_before():
        configure("json", "error")
        yield


def call(*arguments: str, given: str | None = None) -> Result:
    result = CliRunner().invoke(main, arguments, input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def printed(*arguments: str) -> Any:
    result = call(*arguments, "--output", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def files(tmp_path: Path) -> str:
    """The path of a configuration with a static inventory, which no bridge runs with."""
    (tmp_path / "vms.yaml").write_text(INVENTORY)
    (tmp_path / "bridge.yaml").write_text(
        f"registries: [{{name: vms, kind: static, files: [vms.yaml]}}]\nstart: {{wait: 5s}}\n"
        f"admin: {{listen: '127.0.0.1:{free_port()}'}}\n"
        "services: {shop/payments: {cluster: {lb: least_request}}}\n"
    )
    return str(tmp_path / "bridge.yaml")


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Threaded]:
    """A running bridge that has seen three endpoints of shop/payments."""
    with Threaded(config(tmp_path, ("vms",))) as threaded:
        threaded.do(
            lambda bridge: bridge.registries["vms"].set(PAYMENTS),
            lambda bridge: len(bridge.state.engine.catalog.value.services) == 1,
            "the catalog has it",
        )
        yield threaded


def hold(live: Threaded) -> None:
    live.do(
        lambda bridge: bridge.registries["vms"].set(ONE_LEFT),
        lambda bridge: any(
            one.held for merged in bridge.state.engine.catalog.value.services.values() for one in merged.endpoints()
        ),
        "they are held",
    )


def at(live: Threaded) -> tuple[str, str]:
    return "--admin", live.bridge.url


# Every command.


@pytest.mark.parametrize(
    "command",
    [
        [],
        *(
            [name]
            for name in ("run", "check", "schema", "show", "explain", "holds", "freeze", "envoy-bootstrap", "adapters")
        ),
        ["holds", "list"],
        ["holds", "accept"],
    ],
    ids=" ".join,
)
def test_every_commands_help_has_an_example(command: list[str]) -> None:
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert "registry-bridge" in result.stdout.split("Example", 1)[1]


def test_the_exit_codes_are_documented() -> None:
    assert "Exit codes: 0 done, 1 an error" in " ".join(call("--help").stdout.split())


def test_a_configuration_error_is_exit_2_and_a_line_each_on_standard_error(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text("registries: []\nowners: x\n")
    for command in (["run"], ["check"], ["show", "services"], ["explain", "a/b"], ["holds"], ["envoy-bootstrap"]):
        result = call(*command, "--config", str(path))
        assert (result.exit_code, result.stdout) == (2, ""), command
        assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
            ["error", f"{path}:1"],
            ["error", f"{path}:2"],
        ]


def test_a_configuration_that_is_not_there_is_exit_2(tmp_path: Path) -> None:
    result = call("check", "--config", str(tmp_path / "none.yaml"))
    assert result.exit_code == 2
    assert "none.yaml: cannot be read: No such file or directory" in result.stderr


def test_the_environment_may_name_the_configuration(files: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_BRIDGE_CONFIG", files)
    assert call("check").exit_code == 0


# check


def test_check_reads_everything_offline_and_counts_it(files: str) -> None:
    result = call("check", "--config", files)
    assert result.exit_code == 0
    assert "vms (static): 2 services, 3 endpoints, 1 names to resolve, problems: 1 address" in result.stdout
    assert "169.254.169.254" in result.stdout
    assert result.stdout.endswith("bridge.yaml: will do\n")
    (vms,) = printed("check", "--config", files)["registries"]
    assert (vms["name"], vms["services"], vms["endpoints"], vms["names"]) == ("vms", 2, 3, 1)


def test_check_strict_fails_for_a_problem(files: str) -> None:
    assert call("check", "--config", files, "--strict").exit_code == 1
    path = Path(files).with_name("vms.yaml")
    path.write_text(INVENTORY.replace(", 169.254.169.254", ""))
    assert call("check", "--config", files, "--strict").exit_code == 0


def test_check_says_which_file_a_running_bridge_will_lack(files: str, tmp_path: Path) -> None:
    path = Path(files).with_name("reached.yaml")
    path.write_text("registries: [{name: c, kind: consul, namespace: shop, token_file: token}]\n")
    result = call("check", "--config", str(path))
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            "c (consul): is read by a running bridge, problems: 1 access",
            f"  {tmp_path}/token: is not there; put it back, or take it out of the configuration",
            f"{path}: will do",
        ],
    )
    assert call("check", "--config", str(path), "--strict").exit_code == 1


ZOOKEEPER = "kind: zookeeper, hosts: zk1, tls: {ca: ca.pem}, auth: {file: zk-auth}"
CONSUL = "kind: consul, url: https://consul, tls: {ca: ca.pem}, token_file: token"


@pytest.mark.parametrize(("leader", "lacks"), [(ZOOKEEPER, "zk-auth"), (CONSUL, "token")], ids=["zookeeper", "consul"])
def test_check_says_which_file_an_election_will_lack(files: str, tmp_path: Path, leader: str, lacks: str) -> None:
    path = Path(files)
    path.write_text(f"{path.read_text()}leader: {{{leader}}}\n")
    result = call("check", "--config", files)
    kind = leader.split()[1].removesuffix(",")
    assert result.exit_code == 0
    assert f"leader ({kind}): is asked by a running bridge, problems: 2 access" in result.stdout
    said = printed("check", "--config", files)["leader"]
    assert said["kind"] == kind
    assert [one["where"] for one in said["problems"]] == [f"{tmp_path}/ca.pem", f"{tmp_path}/{lacks}"]
    assert all("the configuration" in one["what"] or "correct the path" in one["what"] for one in said["problems"])
    inventory = Path(files).with_name("vms.yaml")
    inventory.write_text(INVENTORY.replace(", 169.254.169.254", ""))
    assert call("check", "--config", files, "--strict").exit_code == 1
    path.write_text(path.read_text().replace(leader, f"kind: {kind}{', hosts: zk1' if kind == 'zookeeper' else ''}"))
    assert call("check", "--config", files, "--strict").exit_code == 0


def test_check_says_that_an_election_will_not_do_whose_kubeconfig_is_not_there(files: str, tmp_path: Path) -> None:
    path = Path(files)
    path.write_text(f"{path.read_text()}leader: {{kind: kubernetes, kubeconfig: nowhere}}\n")
    result = call("check", "--config", files)
    assert result.exit_code == 2
    assert f"error: leader: {tmp_path}/nowhere: is not there" in result.stderr


def test_check_with_sample_says_why_nobody_knows_who_leads(files: str) -> None:
    path = Path(files)
    url = f"http://127.0.0.1:{free_port()}"
    path.write_text(f"{path.read_text()}leader: {{kind: consul, url: '{url}'}}\n")
    (seen,) = printed("check", "--sample", "--config", files)["leader"]["sample"]
    assert (seen["where"], seen["fits"]) == ("leader", False)
    assert seen["says"].startswith("kv/registry-bridge/leader/registry-bridge: ")
    assert "see whether the server runs there" in seen["says"]
    assert call("check", "--sample", "--strict", "--config", files).exit_code == 1


def test_check_names_the_line_of_a_broken_inventory(files: str) -> None:
    path = Path(files).with_name("vms.yaml")
    path.write_text(INVENTORY.replace("ports: {http: 80}", "ports: {http: 80"))
    result = call("check", "--config", files)
    assert result.exit_code == 2
    assert f"{path}:" in result.stderr


def test_check_reads_the_certificates(files: str) -> None:
    path = Path(files)
    path.write_text(path.read_text() + "xds: {tls: {cert: no.crt, key: no.key}}\n")
    result = call("check", "--config", files)
    assert result.exit_code == 2
    assert "xds.tls.cert" in result.stderr
    assert "No such file or directory" in result.stderr


def test_check_reads_the_authorities_by_which_hosts_are_checked(files: str) -> None:
    path = Path(files)
    path.write_text(path.read_text().replace("kind: static,", "kind: static, health: {http: {tls: {ca: no.crt}}},"))
    result = call("check", "--config", files)
    assert result.exit_code == 2
    assert "vms: health: " in result.stderr
    assert "`tls.ca` is read from here: No such file or directory" in result.stderr


# show and explain


def test_show_reads_the_files_when_no_bridge_runs_and_says_so(files: str) -> None:
    result = call("show", "endpoints", "--config", files)
    assert result.exit_code == 0
    assert "10.20.0.2:8080" in result.stdout
    assert "draining" in result.stdout
    assert "nobody listens there" in result.stderr
    assert "reading the registries once instead" in result.stderr
    assert call("show", "endpoints", "--config", files, "--offline").stderr == ""


def test_names_are_never_cut_where_the_output_is_no_terminal(files: str) -> None:
    result = call("show", "services", "--config", files, "--offline")
    assert "shop/a-service-with-a-name-that-is-much-longer-than-a-column-may-be" in result.stdout
    assert len(result.stdout.splitlines()) == 4, "a heading, a rule, and a line each"


def test_every_list_can_be_printed_for_programs(live: Threaded) -> None:
    hold(live)
    counts = {"services": 1, "endpoints": 3, "sources": 1, "problems": 0, "holds": 2, "streams": 0}
    for kind, count in counts.items():
        assert len(printed("show", kind, *at(live))[kind]) == count
        assert len(yaml.safe_load(call("show", kind, *at(live), "-o", "yaml").stdout)[kind]) == count
        assert call("show", kind, *at(live)).exit_code == 0


def test_show_alone_shows_how_the_sources_are(live: Threaded) -> None:
    assert call("show", *at(live)).stdout.split()[:3] == ["source", "kind", "state"]


def test_show_selects_by_service_and_source(live: Threaded) -> None:
    assert len(printed("show", "endpoints", "--service", "shop/pay", "--source", "vms", *at(live))["endpoints"]) == 3
    assert printed("show", "endpoints", "--service", "data/", *at(live))["endpoints"] == []
    result = call("show", "endpoints", "--source", "nobody", *at(live))
    assert result.exit_code == 1
    assert "'nobody' is no registry of this bridge; there are vms" in result.stderr


def test_explain_tells_the_whole_story_of_a_held_endpoint(live: Threaded) -> None:
    hold(live)
    result = call("explain", "shop/payments", *at(live))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "vms (synced) says"
    (held,) = [line for line in lines if "10.0.0.2:80" in line and "not listed" in line]
    assert "held for" in held
    assert "waits for" in held
    assert "merged: vms: 3" in lines
    assert "Envoy is told under shop/payments (0 streams)" in lines
    assert printed("explain", "shop/payments", *at(live))["service"] == "shop/payments"


def test_explain_answers_offline_too(files: str) -> None:
    result = call("explain", "shop/payments", "--config", files, "--offline")
    assert result.exit_code == 0
    assert "Envoy is told under shop/payments:admin (0 streams)" in result.stdout
    assert "least_request" in result.stdout


def test_a_service_that_nobody_knows_is_exit_1(live: Threaded, files: str) -> None:
    for arguments in ((*at(live),), ("--config", files, "--offline")):
        result = call("explain", "shop/nobody", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "shop/nobody: no source knows this service" in result.stderr
    assert call("explain", "nobody", *at(live)).exit_code == 2


# holds and freeze


def test_holds_are_listed_and_accepted_after_a_question(live: Threaded) -> None:
    hold(live)
    listed = call("holds", *at(live))
    assert listed.exit_code == 0
    assert "10.0.0.2:80" in listed.stdout
    refused = call("holds", "accept", "shop/payments", *at(live), given="n\n")
    assert refused.exit_code == 1
    assert "vms: shop/payments: 2 endpoints will be deleted" in refused.stderr
    assert len(printed("holds", *at(live))["holds"]) == 2
    accepted = call("holds", "accept", "shop/payments", *at(live), given="y\n")
    assert accepted.exit_code == 0, accepted.output
    live.do(
        lambda _: None,
        lambda bridge: len(list(bridge.state.engine.catalog.value.services[PAYMENTS.name].endpoints())) == 1,
        "they are gone",
    )
    assert printed("holds", *at(live))["holds"] == []
    assert call("holds", *at(live)).stdout == "none: nothing is missing\n"


def test_holds_name_the_registry_whose_bad_health_waits_for_a_word_too(live: Threaded) -> None:
    well, ill = (service("shop/web", *(endpoint(one, health=health) for one in hosts(9))) for health in (H, U))
    live.do(
        lambda bridge: bridge.registries["vms"].set(well),
        lambda bridge: well.name in bridge.state.engine.catalog.value.services,
        "they are there",
    )
    live.do(
        lambda bridge: bridge.registries["vms"].set(ill),
        lambda bridge: any(one.verdict is not None and one.verdict.health_flood for one in bridge.state.readings()),
        "they are doubted",
    )
    result = call("holds", *at(live))
    assert "vms: so much turned unhealthy" in result.stderr
    assert "`registry-bridge holds accept --health --source vms`" in result.stderr
    assert call("holds", "list", "--source", "others", *at(live)).stderr == ""


def test_one_endpoint_can_be_accepted_without_a_question(live: Threaded) -> None:
    hold(live)
    result = call("holds", "accept", "--endpoint", "10.0.0.3:80", "--yes", *at(live), "-o", "json")
    assert json.loads(result.stdout) == {
        "accepted": [{"source": "vms", "service": "shop/payments", "endpoint": "10.0.0.3:80"}]
    }


def test_accepting_nothing_or_everything_must_be_said(live: Threaded) -> None:
    hold(live)
    assert call("holds", "accept", "--yes", *at(live)).exit_code == 2
    nothing = call("holds", "accept", "shop/ledger", "--yes", *at(live))
    assert nothing.exit_code == 1
    assert "nothing like that is held" in nothing.stderr
    assert call("holds", "accept", "--all", "--yes", *at(live)).stdout == "accepted: 2 endpoints\n"


def test_a_source_is_frozen_and_unfrozen(live: Threaded) -> None:
    assert call("freeze", "vms", "--for", "1h", *at(live)).stdout == "vms: frozen for 1h 0m\n"
    assert "frozen for 59m" in call("show", "sources", *at(live)).stdout
    assert call("freeze", "vms", "--off", *at(live)).exit_code == 0
    assert "frozen" not in call("show", "sources", *at(live)).stdout
    for wrong in ([], ["--for", "soon"], ["--for", "0s"], ["--for", "1h", "--off"]):
        assert call("freeze", "vms", *wrong, *at(live)).exit_code == 2
    nobody = call("freeze", "nobody", "--for", "1h", *at(live))
    assert nobody.exit_code == 1
    assert "no registry of this bridge" in nobody.stderr


def test_what_needs_a_running_bridge_says_so(files: str) -> None:
    for command in (["holds"], ["show", "holds"], ["show", "streams"], ["freeze", "vms", "--for", "1h"]):
        result = call(*command, "--config", files)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "error: " in result.stderr


# The rest.


def test_the_schemas_are_json_schemas(files: str) -> None:
    for what in ("config", "inventory"):
        schema = json.loads(call("schema", what).stdout)
        assert schema["$schema"].startswith("https://json-schema.org/")
    assert call("schema", "inventory", "--kind", "zookeeper").exit_code == 2


def test_adapters_name_their_distribution() -> None:
    found = {one["kind"]: one["distribution"] for one in printed("adapters")["adapters"]}
    assert {"kubernetes": "registry-bridge", "static": "registry-bridge"}.items() <= found.items()
    assert "static" in call("adapters").stdout


def test_an_adapter_that_cannot_be_loaded_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = EntryPoint("consul", "no_such_module:Settings", "bridge.adapters")
    monkeypatch.setattr("bridge.cli.describe.entry_points", lambda group: [missing])
    (consul,) = printed("adapters")["adapters"]
    assert consul["why"] == "No module named 'no_such_module'; pip install 'registry-bridge[consul]'"


def test_a_bootstrap_fits_the_configuration(files: str) -> None:
    result = call("envoy-bootstrap", "--config", files, "--listen", "127.0.0.1:10001", "--node", "n1")
    assert result.exit_code == 0
    made = yaml.safe_load(result.stdout)
    assert made["node"]["id"] == "n1"
    (cluster,) = made["static_resources"]["clusters"]
    socket = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    assert socket == {"address": "127.0.0.1", "port_value": 18000}
    eds = yaml.safe_load(
        call("envoy-bootstrap", "--config", files, "--mode", "eds", "--service", "shop/payments").stdout
    )
    assert [one["name"] for one in eds["static_resources"]["clusters"]][1:] == ["shop/payments"]
    assert call("envoy-bootstrap", "--config", files, "--mode", "eds").exit_code == 2
    assert call("envoy-bootstrap", "--config", files, "--service", "a/b").exit_code == 2


def test_a_bootstrap_for_mtls_wants_what_envoy_needs(files: str) -> None:
    path = Path(files)
    path.write_text(path.read_text() + "xds: {tls: {cert: a.crt, key: a.key, client_ca: ca.pem}}\n")
    assert "--ca" in call("envoy-bootstrap", "--config", files).stderr
    assert "--cert and --key" in call("envoy-bootstrap", "--config", files, "--ca", "/ca.pem").stderr
    result = call("envoy-bootstrap", "--config", files, "--ca", "/ca.pem", "--cert", "/e.crt", "--key", "/e.key")
    assert "/e.crt" in result.stdout


@pytest.mark.promise("S-12")
def test_a_password_in_the_admin_url_is_not_repeated() -> None:
    for url in ("http://u:hunter2@127.0.0.1:1", "https://u:hunter2@127.0.0.1:1", "http://u:hunter2@[::1"):
        result = call("holds", "--admin", url)
        assert result.exit_code == 2
        assert "hunter2" not in result.output


@pytest.mark.promise("S-09")
def test_what_is_printed_is_one_line_without_control_characters() -> None:
    assert clean("a\r\nb\x1b[31m") == r"a\r\nb\x1b[31m"
    assert clean(None) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.04, "0.0s"), (9.96, "10.0s"), (59.9, "59s"), (250, "4m 10s"), (7500, "2h 5m"), (90000, "1d 1h")],
)
def test_lengths_of_time_are_written_as_people_say_them(value: float | None, text: str) -> None:
    assert seconds(value) == text


def test_a_bridge_that_is_stopped_where_it_is_is_told_from_one_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.cli.client.TIMEOUT", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as stopped,
        pytest.raises(NotRunningError, match="takes questions and answers none within"),
    ):
        Client(f"http://127.0.0.1:{stopped.getsockname()[1]}").get("/api/v1/status")


def test_the_client_tells_apart_nobody_and_somebody_else(live: Threaded) -> None:
    with pytest.raises(NotRunningError, match="nobody listens there"):
        Client(f"http://127.0.0.1:{free_port()}").get("/api/v1/status")
    with pytest.raises(RefusedError, match="no JSON"):
        Client(live.bridge.url).get("/metrics")
    for url in ("https://127.0.0.1:1", "http://", "http://127.0.0.1:99999", "http://127.0.0.1:1/path"):
        with pytest.raises(ConfigError, match="not an address of the form"):
            Client(url)
