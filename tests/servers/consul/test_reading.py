"""What operators and programs put into a real Consul, and what becomes of it."""

import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.kit.names import digested
from bridge.model import Health, Locality
from bridge.testing.proxy import FaultProxy
from tests.servers.consul.hand import Hand, HandError, entry
from tests.servers.consul.observing import settings
from tests.servers.consul.server import Agent
from tests.servers.observing import observing

TWO = ["10.0.0.1:80", "10.0.0.2:80"]


def chosen(*globs: str, **more: object) -> dict[str, object]:
    """An import of these names."""
    return {"import": {"services": list(globs), **more}}


async def test_health_follows_the_checks_and_removes_nothing(standing: Agent, hand: Hand, tmp_path: Path) -> None:
    await hand.say("states", *TWO)
    async with observing(settings(standing.url, tmp_path, **chosen("states"))) as seen:

        def health() -> list[Health | None]:
            return [one.health for one in seen.endpoints("states")]

        await seen.until(lambda: health() == [Health.HEALTHY, Health.HEALTHY])
        for status, said in (("warning", Health.DEGRADED), ("critical", Health.UNHEALTHY), ("passing", Health.HEALTHY)):
            await hand.status("states", TWO[0], status)
            await seen.until(lambda said=said: health() == [said, Health.HEALTHY])


async def test_maintenance_of_an_instance_and_of_a_node_drains(standing: Agent, hand: Hand, tmp_path: Path) -> None:
    """As the agent itself says it, for a service that it runs."""
    local = {
        "Name": "local",
        "ID": "local-1",
        "Address": "10.2.0.1",
        "Port": 80,
        "Weights": {"Passing": 3, "Warning": 1},
    }
    await hand.put("agent/service/register", local)
    async with observing(settings(standing.url, tmp_path, **chosen("local"))) as seen:

        def said() -> list[tuple[Health | None, int]]:
            return [(one.health, one.weight) for one in seen.endpoints("local")]

        await seen.until(lambda: said() == [(Health.HEALTHY, 3)])
        for what in ("agent/service/maintenance/local-1", "agent/maintenance"):
            await hand.put(f"{what}?enable=true&reason=kernel")
            await seen.until(lambda: said() == [(Health.DRAINING, 3)])
            await hand.put(f"{what}?enable=false")
            await seen.until(lambda: said() == [(Health.HEALTHY, 3)])
    await hand.put("agent/service/deregister/local-1")


async def test_each_state_has_its_weight_and_none_at_all_drains(standing: Agent, hand: Hand, tmp_path: Path) -> None:
    """Of an instance that passes, Consul itself takes a weight of 0 for 1."""
    said = {
        ("passing", 5, 0): (Health.HEALTHY, 5),
        ("passing", 0, 5): (Health.HEALTHY, 1),
        ("warning", 5, 2): (Health.DEGRADED, 2),
        ("warning", 5, 0): (Health.DRAINING, 1),
        ("critical", 5, 0): (Health.UNHEALTHY, 5),
    }
    for number, (status, passing, warning) in enumerate(said, 1):
        weights = {"Passing": passing, "Warning": warning}
        await hand.register(entry("weighed", f"10.2.2.{number}", status=status, Weights=weights))
    async with observing(settings(standing.url, tmp_path, **chosen("weighed"))) as seen:
        await seen.until(lambda: [(one.health, one.weight) for one in seen.endpoints("weighed")] == [*said.values()])


async def test_after_a_restart_nobody_inherits_a_name_that_was_anothers(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    made, state = settings(standing.url, tmp_path, **chosen("twin-web", "Twin_Web")), tmp_path / "state"
    await hand.say("twin-web", "10.0.0.1:80")
    await hand.say("Twin_Web", "10.0.0.2:80")
    its = digested("Twin_Web")
    async with observing(made, folder=state) as seen:
        await seen.until(lambda: (seen.served("twin-web"), seen.served(its)) == (["10.0.0.1:80"], ["10.0.0.2:80"]))
    await hand.forget("twin-web")
    async with observing(made, folder=state) as seen:
        held = ["10.0.0.1:80?"]  # and nobody else's
        await seen.until(lambda: (seen.served("twin-web"), seen.served(its)) == (held, ["10.0.0.2:80"]))


async def test_instances_are_chosen_by_tag_and_meta_and_names_are_looked_up(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    await hand.register(
        entry("picked", "10.2.1.1", tags=["live", "v2"], meta={"env": "prod"}),
        entry("picked", "10.2.1.2", tags=["live"], meta={"env": "stage"}),
        entry("picked", "10.2.1.3", tags=["live"], meta={"env": "test"}),
        entry("picked", "10.2.1.4", tags=["v2"], meta={"env": "prod"}),
        entry("picked", "localhost", 8080, tags=["live"], meta={"env": "prod"}),
        entry("picked", "db.invalid", tags=["live"], meta={"env": "prod"}),
        entry("unpicked", "10.2.1.9", tags=["live"], meta={"env": "prod"}),
    )
    what = chosen("pick*", tags=["live"], meta={"env": ["prod", "stage"]})
    async with observing(settings(standing.url, tmp_path, allow_loopback=True, **what)) as seen:
        await seen.until(lambda: "127.0.0.1:8080" in seen.served("picked"))
        assert {one.address for one in seen.endpoints("picked")} - {"::1"} == {"10.2.1.1", "10.2.1.2", "127.0.0.1"}
        assert seen.served("unpicked") == []
        await seen.until(lambda: any("db.invalid" in one for one in seen.problems))
        print([one for one in seen.problems if "db.invalid" in one])


async def test_an_instance_says_where_it_is_and_what_it_weighs(standing: Agent, hand: Hand, tmp_path: Path) -> None:
    whole = entry(
        "placed", "10.3.0.1", 443, tags=["v2"], meta={"version": "2"}, Weights={"Passing": 7, "Warning": 1},
        Locality={"Region": "eu", "Zone": "eu-1a"}, TaggedAddresses={"wan": {"Address": "203.0.113.9", "Port": 8443}},
    )  # fmt: skip
    await hand.register(whole)
    async with observing(settings(standing.url, tmp_path, **chosen("placed", tagged_address="wan"))) as seen:
        await seen.until(lambda: bool(seen.endpoints("placed")))
        (one,) = seen.endpoints("placed")
    assert (str(one.id), one.weight, one.locality) == ("203.0.113.9:8443", 7, Locality("eu", "eu-1a"))
    assert dict(one.metadata) == {"version": "2", "tags": "v2", "registered-on": "vm-10.3.0.1"}


async def test_static_hosts_of_consul_are_read_with_what_their_nodes_say(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    """As consul-esm's users register them: a node without an agent, whose monitor writes `externalNodeHealth`."""
    host = {
        "Node": "db-7", "Address": "10.8.0.7",
        "NodeMeta": {"external-node": "true", "external-probe": "true", "zone": "dc1-b", "rack": "r4"},
    }  # fmt: skip
    health = {"CheckID": "externalNodeHealth", "Name": "External Node Status", "Status": "passing"}
    service = {"ID": "ledger-db", "Service": "ledger-db", "Port": 5432, "Meta": {"role": "primary"}, "Tags": ["pg"]}
    await hand.register({**host, "Service": service, "Check": health})
    made = settings(standing.url, tmp_path, locality={"region": "eu"}, **chosen("ledger-db"))
    async with observing(made) as seen:
        await seen.until(lambda: bool(seen.endpoints("ledger-db")))
        (one,) = seen.endpoints("ledger-db")
        assert (str(one.id), one.health, one.locality) == ("10.8.0.7:5432", Health.HEALTHY, Locality("eu", "dc1-b"))
        assert dict(one.metadata) == {
            "role": "primary", "tags": "pg", "registered-on": "db-7", "zone": "dc1-b", "rack": "r4",
        }  # fmt: skip
        await hand.register({**host, "Check": {**health, "Status": "critical"}})
        await seen.until(lambda: [one.health for one in seen.endpoints("ledger-db")] == [Health.UNHEALTHY])
        await hand.register({**host, "Address": "10.8.0.8", "Check": health})
        await seen.until(lambda: "10.8.0.8:5432" in seen.served("ledger-db"))


async def test_what_a_catalog_takes_and_no_bridge_can_use_is_one_line_each(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    await hand.register(
        entry("odd", "10.4.0.1"),
        entry("odd", "10.4.0.2", None),
        entry("odd", "10.4.0.3", 70_000),
        entry("odd", "not an address"),
        entry("odd", "10.4.0.6", status="bogus"),
        entry("odd", "10.4.0.7", tags=None, meta=None),
        entry("Odd", "10.4.0.8"),
        entry("a_b", "10.4.0.11"),
        entry("a/b", "10.4.0.9"),
        entry("über", "10.4.0.12"),
        entry("..", "10.4.0.10"),
    )
    async with observing(settings(standing.url, tmp_path, **chosen("odd", "Odd", "a?b", "über", ".."))) as seen:
        await seen.until(lambda: bool(seen.endpoints("odd")))
        said = {one.address: one.health for one in seen.endpoints("odd")}
        assert said == {
            "10.4.0.1": Health.HEALTHY, "10.4.0.6": Health.UNHEALTHY, "10.4.0.7": Health.HEALTHY,
            "10.4.0.8": Health.HEALTHY,
        }  # fmt: skip
        assert seen.served("a-b") == ["10.4.0.9:80"]
        assert seen.served("a-b-c311a49b") == ["10.4.0.11:80"]
        assert seen.served("ber-53750aa6") == ["10.4.0.12:80"]
        assert seen.served("ber") == []
        await seen.until(lambda: len(seen.problems) == 6)
        print("\n".join(sorted(seen.problems)))
        assert not seen.unread


async def test_when_one_of_two_that_come_to_one_name_is_gone_its_clients_do_not_get_the_other(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    await hand.say("pay-api", TWO[0])
    await hand.say("pay_api", TWO[1])
    async with observing(settings(standing.url, tmp_path, **chosen("pay?api"))) as seen:
        await seen.until(lambda: len(seen.problems) == 1)
        other = seen.problems[0].partition("it is shop/")[2].partition(" here")[0]
        await seen.until(lambda: (seen.served("pay-api"), seen.served(other)) == ([TWO[0]], [TWO[1]]))
        await hand.forget("pay-api")
        await seen.until(lambda: any("that is gone" in one for one in seen.problems))
        await hand.say("pay_api", "10.0.0.3:80")
        await seen.until(lambda: seen.served(other) == [TWO[1], "10.0.0.3:80"])
        assert seen.served("pay-api") == [f"{TWO[0]}?"]


@pytest.mark.promise("S-02")
async def test_loopback_and_unspecified_addresses_are_refused(standing: Agent, hand: Hand, tmp_path: Path) -> None:
    for address in ("127.0.0.1", "169.254.169.254", "10.5.0.1"):
        await hand.register(entry("local", address, node="vm-local"))
    async with observing(settings(standing.url, tmp_path, **chosen("local"))) as seen:
        await seen.until(lambda: seen.served("local") == ["10.5.0.1:80"])
        assert sum("loopback" in one or "metadata" in one for one in seen.problems) == 2


async def test_an_instance_that_moves_to_another_name_leaves_the_first(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    await hand.register(*(entry("first", f"10.6.0.{n}", its=f"it-{n}", node="vm-moves") for n in range(1, 8)))
    async with observing(settings(standing.url, tmp_path, **chosen("first", "second"))) as seen:
        await seen.until(lambda: len(seen.endpoints("first")) == 7)
        await hand.register(entry("second", "10.6.0.7", its="it-7", node="vm-moves"))
        await seen.until(lambda: seen.served("second") == ["10.6.0.7:80"])
        await seen.until(lambda: len(seen.endpoints("first")) == 6)


@pytest.mark.promise("S-16")
@pytest.mark.parametrize(
    ("rules", "why"),
    [
        (None, "no service at all may be seen"),
        ("", "no service at all may be seen"),
        ('service_prefix "" { policy = "read" }', "node:read"),
        ('node_prefix "" { policy = "read" }', "no service at all may be seen"),
    ],
)
async def test_no_token_and_half_a_token_are_denied_and_no_empty_registry(
    standing: Agent, hand: Hand, tmp_path: Path, rules: str | None, why: str
) -> None:
    await hand.say("guarded", *TWO)
    token = ""
    if rules is not None:
        await hand.policy("some", rules)
        token, _ = await hand.token("some")
    async with observing(settings(standing.url, tmp_path, token=token)) as seen:
        await seen.until(lambda: seen.reading.denied and why in seen.reading.why)
        assert seen.reading.observation is None


async def test_a_token_that_is_none_and_a_file_that_is_missing_are_told(standing: Agent, tmp_path: Path) -> None:
    async with observing(settings(standing.url, tmp_path, token="11111111-2222")) as seen:
        await seen.until(lambda: "nobody has this token there ('ACL not found')" in seen.reading.why)
        assert seen.reading.denied
    made = settings(standing.url, tmp_path)
    (tmp_path / "bridge-token").unlink()
    async with observing(made) as seen:
        await seen.until(lambda: seen.reading.denied and "bridge-token: is not there" in seen.reading.why)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"datacenter": "nowhere"}, "correct `datacenter`"),
        ({"enterprise": {"namespace": "team"}}, "remove `enterprise`"),
        ({"enterprise": {"partition": "west"}}, "remove `enterprise`"),
    ],
)
async def test_what_this_consul_does_not_have_is_one_clear_line(
    standing: Agent, tmp_path: Path, more: dict[str, object], why: str
) -> None:
    async with observing(settings(standing.url, tmp_path, **more)) as seen:
        await seen.until(lambda: why in seen.reading.why)


@pytest.mark.parametrize("fault", ["truncate", "html"])
async def test_an_answer_that_is_cut_or_none_of_a_consul_is_no_view(
    standing: Agent, hand: Hand, proxy: FaultProxy, tmp_path: Path, fault: str
) -> None:
    await hand.say("cut", *TWO)
    if fault == "html":
        url = f"{standing.url}/ui"
    else:
        proxy.set(truncate=300)
        url = f"http://127.0.0.1:{proxy.port}"
    async with observing(settings(url, tmp_path, **chosen("cut"))) as seen:
        await seen.until(lambda: seen.reading.lost is not None)
        print(seen.reading.why)
        assert seen.reading.observation is None
        if fault == "truncate":
            proxy.set()
            await seen.until(lambda: seen.served("cut") == TWO)


async def test_services_are_followed_by_themselves_while_they_are_few(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    word = f"few{secrets.token_hex(3)}"
    for number in range(3):
        await hand.say(f"{word}-{number}", *TWO)
    async with observing(settings(standing.url, tmp_path, **chosen(f"{word}-*"))) as seen:
        await seen.until(lambda: seen.served(f"{word}-2") == TWO)
        assert seen.how == "long polls of 3 services"


async def test_as_they_become_many_and_few_again_they_are_followed_otherwise_and_no_change_is_missed(
    standing: Agent, hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.consul.plan.MOST", 4)
    monkeypatch.setattr("adapters.consul.plan.FEWER", 2)
    word = f"grows{secrets.token_hex(3)}"
    for number in range(4):
        await hand.say(f"{word}-{number}", TWO[0])
    async with observing(settings(standing.url, tmp_path, **chosen(f"{word}-*"))) as seen:
        await seen.until(lambda: seen.served(f"{word}-3") == TWO[:1])
        assert seen.how == "long polls of 4 services"
        await hand.say(f"{word}-4", TWO[0])
        await seen.until(lambda: seen.how == "hints and sweeps over 5 services")
        await hand.say(f"{word}-0", TWO[1])
        await seen.until(lambda: (seen.served(f"{word}-0"), seen.served(f"{word}-4")) == (TWO, TWO[:1]))
        for number in (4, 3):
            await hand.forget(f"{word}-{number}")
        await seen.until(lambda: seen.how == "hints and sweeps over 3 services")
        await hand.forget(f"{word}-2")
        await seen.until(lambda: seen.how == "long polls of 2 services")
        await hand.say(f"{word}-1", TWO[1])
        await seen.until(lambda: seen.served(f"{word}-1") == TWO)
        assert seen.served(f"{word}-0") == TWO
        assert all(one.held for one in seen.endpoints(f"{word}-2"))


@pytest.mark.parametrize("package", ["python-consul==1.1.0", "py-consul==1.8.0"])
def test_the_same_client_runs_on_both_packages(standing: Agent, tmp_path: Path, package: str) -> None:
    place = tmp_path / "package"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--retries", "10"]
    had = subprocess.run([*pip, "--target", str(place), package], capture_output=True, text=True, check=False)
    if had.returncode:
        pytest.skip(f"{package} cannot be had here: {had.stderr.strip()[-200:]}")
    command = [sys.executable, "-m", "tests.servers.consul.ask", str(place), standing.url]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout.splitlines()[-1]) == {
        "package": str(place), "services": True, "nodes": True, "checks": True, "summary": True, "instances": True,
        "waited": True, "leader": True,
    }  # fmt: skip


async def test_a_hand_without_rights_is_refused(standing: Agent) -> None:
    async with standing.hand("") as nobody:
        with pytest.raises(HandError):
            await nobody.register(entry("x", "10.0.0.1"))
