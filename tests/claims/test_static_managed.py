"""Inventories that are kept by command."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from adapters.static.file_sd import Labels
from adapters.static.inventory import Reader
from adapters.static.managed import MANAGED, deregister, register
from adapters.static.records import Scope
from bridge.cli import main
from bridge.errors import BridgeError, ConfigError, Rejected
from bridge.model import NOWHERE
from tests.observed import as_written

HTTP = [("http", 8080)]


def said(path: Path) -> dict[str, list[str]]:
    reader = Reader(str(path), "auto", Scope("", NOWHERE, ""), Labels("job", "zone", "weight"))
    services = reader.read(path.read_text()).services
    return {str(one.name): [str(each.id) for each in one.endpoints] for one in services.values()}


def test_what_is_registered_is_in_the_inventory(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    done = register(path, "shop/payments", "10.0.0.1", [("http", 8080), ("admin", 9090)], {"team": "pay"}, zone="dc1")
    assert done == f"{path}: shop/payments: 10.0.0.1:8080 is registered"
    register(path, "shop/cart", "vm7.example", HTTP, {})
    assert path.read_text() == (
        f"{MANAGED}\n"
        "services:\n"
        "  - name: shop/cart\n"
        "    ports: {http: 8080}\n"
        "    endpoints:\n"
        "      - vm7.example\n"
        "  - name: shop/payments\n"
        "    ports: {http: 8080, admin: 9090}\n"
        "    locality: {zone: dc1}\n"
        "    endpoints:\n"
        "      - {address: 10.0.0.1, metadata: {team: pay}}\n"
    )
    assert [one.name for one in tmp_path.iterdir()] == ["vms.yaml"]


def test_registering_twice_writes_once(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    register(path, "shop/payments", "10.0.0.1", HTTP, {})
    before = as_written(path)
    assert register(path, "shop/payments", "10.0.0.1", HTTP, {}).endswith("already; nothing is written")
    assert as_written(path) == before


def test_an_endpoint_under_the_same_address_and_port_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    register(path, "shop/payments", "10.0.0.1", HTTP, {})
    assert register(path, "shop/payments", "10.0.0.1", HTTP, {"a": "b"}).endswith("10.0.0.1:8080 is changed")
    register(path, "shop/payments", "10.0.0.1", [("http", 8081)], {})
    assert said(path) == {"shop/payments": ["10.0.0.1:8080", "10.0.0.1:8081"]}


def test_what_is_deregistered_is_gone_and_an_inventory_of_nothing_says_so(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    register(path, "shop/payments", "10.0.0.1", HTTP, {})
    register(path, "shop/payments", "10.0.0.1", [("http", 8081)], {})
    assert deregister(path, "shop/payments", "10.0.0.1", 8081).endswith("1 endpoint is deregistered, 1 left")
    assert deregister(path, "shop/payments", "10.0.0.1").endswith("1 endpoint is deregistered, 0 left")
    assert path.read_text() == f"{MANAGED}\nservices: []\n"
    assert said(path) == {}


def test_what_is_not_there_cannot_be_deregistered(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    register(path, "shop/payments", "10.0.0.1", HTTP, {})
    before = as_written(path)
    for name, address, port in (
        ("shop/cart", "10.0.0.1", None),
        ("shop/payments", "10.0.0.2", None),
        ("shop/payments", "10.0.0.1", 81),
    ):
        with pytest.raises(BridgeError, match=r"has no endpoint at 10\.0\.0\..*; nothing is written"):
            deregister(path, name, address, port)
    assert as_written(path) == before


@pytest.mark.promise("law-5")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("services: []\n", "was not made by `register`"),
        ("", "was not made by `register`"),
        ("# registry-bridge/1 owner=prod-eu1 as native\nservices: []\n# end\n", "is written by the bridge prod-eu1"),
        ('[{"targets": []}]', "was not made by `register`"),
    ],
)
def test_a_file_that_was_not_made_so_is_left_alone(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "vms.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=why):
        register(path, "shop/payments", "10.0.0.1", HTTP, {})
    with pytest.raises(ConfigError, match=why):
        deregister(path, "shop/payments", "10.0.0.1")
    assert path.read_text() == text


def test_an_inventory_written_by_hand_is_taken_over_when_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    path.write_text("services: [{name: shop/cart, port: 80, endpoints: [10.0.1.1, {address: 10.0.1.2, port: 81}]}]\n")
    register(path, "shop/payments", "10.0.0.1", HTTP, {}, adopt=True)
    assert said(path) == {"shop/cart": ["10.0.1.1:80", "10.0.1.2:81"], "shop/payments": ["10.0.0.1:8080"]}
    register(path, "shop/payments", "10.0.0.2", HTTP, {})
    assert len(said(path)["shop/payments"]) == 2


@pytest.mark.parametrize("adopt", [False, True])
def test_a_file_that_is_not_understood_whole_is_not_written(tmp_path: Path, adopt: bool) -> None:
    path = tmp_path / "vms.yaml"
    rest = "".join(f"      - 10.0.1.{last}\n" for last in range(1, 20))
    text = f"{MANAGED}\nservices:\n  - name: shop/cart\n    port: 80\n    endpoints:\n{rest}      - 10.0.0.300\n"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"vms.yaml:25: .*10\.0\.0\.300.*; correct it first"):
        register(path, "shop/payments", "10.0.0.1", HTTP, {}, adopt=adopt)
    assert path.read_text() == text


def test_blocks_of_other_services_stay_as_somebody_wrote_them(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    block = "  - name: shop/cart\n    port: 80  # as ever\n    endpoints: [10.0.1.1]\n"
    path.write_text(f"{MANAGED}\nservices:\n{block}")
    register(path, "shop/payments", "10.0.0.1", HTTP, {})
    assert block in path.read_text()
    deregister(path, "shop/payments", "10.0.0.1")
    assert path.read_text() == f"{MANAGED}\nservices:\n{block}"


def test_a_layout_in_which_no_service_can_be_changed_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    text = (
        f"{MANAGED}\nservices:\n"
        '  - name: "shop/cart"\n    port: 80\n    endpoints: [10.0.1.1]\n'
        "  - name: shop/payments\n    port: 80\n    endpoints: [10.0.0.2]\n"
    )
    path.write_text(text)
    with pytest.raises(ConfigError, match="is laid out so that a service cannot be changed alone"):
        register(path, "shop/payments", "10.0.0.1", HTTP, {})
    assert path.read_text() == text
    register(path, "shop/payments", "10.0.0.1", HTTP, {}, adopt=True)
    assert said(path) == {"shop/cart": ["10.0.1.1:80"], "shop/payments": ["10.0.0.1:8080", "10.0.0.2:80"]}


def test_an_inventory_on_one_line_is_laid_out_anew(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    path.write_text(f"{MANAGED}\nservices: [{{name: shop/cart, port: 80, endpoints: [10.0.1.1]}}]\n")
    register(path, "shop/payments", "10.0.0.1", HTTP, {})
    assert said(path) == {"shop/cart": ["10.0.1.1:80"], "shop/payments": ["10.0.0.1:8080"]}


@pytest.mark.parametrize(
    ("name", "address", "ports", "why"),
    [
        ("payments", "10.0.0.1", HTTP, "has no namespace"),
        ("../etc/passwd", "10.0.0.1", HTTP, "is not a lower-case DNS label"),
        ("shop/payments", "10.0.0.1\n- 10.0.0.2", HTTP, "is not an IP address"),
        ("shop/payments", "127.1", HTTP, "is not an IP address"),
        ("shop/payments", "10.0.0.1", [("http", 0)], "is not between 1 and 65535"),
        ("shop/payments", "10.0.0.1", [("http", 80), ("http", 81)], "two ports have one name"),
        ("shop/payments", "10.0.0.1", [], "has no port"),
    ],
)
@pytest.mark.promise("S-08")
def test_what_is_no_endpoint_makes_no_file(
    tmp_path: Path, name: str, address: str, ports: list[tuple[str, int]], why: str
) -> None:
    path = tmp_path / "vms.yaml"
    with pytest.raises(ConfigError, match=why):
        register(path, name, address, ports, {})
    assert not list(tmp_path.iterdir())


def test_a_managed_inventory_is_yaml_and_a_plain_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not named \.yaml"):
        register(tmp_path / "vms.json", "shop/payments", "10.0.0.1", HTTP, {})
    (tmp_path / "link.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(Rejected, match="is a link"):
        register(tmp_path / "link.yaml", "shop/payments", "10.0.0.1", HTTP, {})
    with pytest.raises(BridgeError, match="its folder is not there"):
        register(tmp_path / "no" / "vms.yaml", "shop/payments", "10.0.0.1", HTTP, {})


steps = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["a/x", "a/y", "b/x"]), st.integers(1, 3), st.integers(80, 81)),
    max_size=12,
)


@given(steps=steps)
def test_an_inventory_says_what_was_registered_and_not_deregistered(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, str, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("kept") / "vms.yaml"
    model: dict[str, set[str]] = {}
    for puts, name, last, port in steps:
        key = f"10.0.0.{last}:{port}"
        if puts:
            register(path, name, f"10.0.0.{last}", [("http", port)], {})
            model.setdefault(name, set()).add(key)
        elif key in model.get(name, set()):
            deregister(path, name, f"10.0.0.{last}", port)
            model[name].discard(key)
        else:
            with pytest.raises(BridgeError):
                deregister(path, name, f"10.0.0.{last}", port)
    there = {name: set(ids) for name, ids in said(path).items()} if path.exists() else {}
    assert there == {name: ids for name, ids in model.items() if ids}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    path = str(tmp_path / "vms.yaml")
    machine = ("shop/payments", "10.20.0.7", "-i", path)
    done = run("register", *machine, "--port", "http=8080", "--port", "9090", "--labels", "team=pay", "--weight", "2")
    assert (done.exit_code, done.output) == (0, f"{path}: shop/payments: 10.20.0.7:8080 is registered\n")
    again = run("register", *machine, "--port", "http=8080", "--port", "9090", "--labels", "team=pay", "--weight", "2")
    assert (again.exit_code, "already" in again.output) == (0, True)
    gone = run("deregister", *machine)
    assert (gone.exit_code, gone.output) == (0, f"{path}: shop/payments: 1 endpoint is deregistered, 0 left\n")
    assert run("deregister", *machine).exit_code == 1


def test_labels_are_separated_as_istioctl_separates_them(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    run("register", "shop/a", "10.0.0.1", "--port", "80", "-l", "team=pay,tier=1", "-l", "x=", "-i", str(path))
    assert 'metadata: {team: pay, tier: "1", x: ""}' in path.read_text()


@pytest.mark.promise("S-01")
@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "224.0.0.1"])
def test_an_address_that_no_bridge_would_serve_is_not_written(tmp_path: Path, address: str) -> None:
    path = tmp_path / "vms.yaml"
    with pytest.raises(ConfigError, match="no bridge would serve it; nothing is written"):
        register(path, "shop/a", address, HTTP, {})
    assert not path.exists()


@pytest.mark.parametrize("wrong", [("--port", "http"), ("--port", "0"), ("--port", "80", "--labels", "team"), ()])
def test_the_command_refuses_what_is_no_port_or_label(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    path = tmp_path / "vms.yaml"
    assert run("register", "shop/payments", "10.20.0.7", "-i", str(path), *wrong).exit_code == 2
    assert not path.exists()
