"""What operators and programs put into a real Consul, and what becomes of it."""

import asyncio
import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.model import Health, Locality
from bridge.testing.proxy import FaultProxy
from tests.servers.consul.door import Door
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
    assert dict(one.metadata) == {"version": "2", "tags": "v2", "consul-node": "vm-10.3.0.1"}


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
        entry("..", "10.4.0.10"),
    )
    async with observing(settings(standing.url, tmp_path, **chosen("odd", "Odd", "a?b", ".."))) as seen:
        await seen.until(lambda: bool(seen.endpoints("odd")))
        said = {one.address: one.health for one in seen.endpoints("odd")}
        assert said == {
            "10.4.0.1": Health.HEALTHY, "10.4.0.6": Health.UNHEALTHY, "10.4.0.7": Health.HEALTHY,
            "10.4.0.8": Health.HEALTHY,
        }  # fmt: skip
        assert seen.served("a-b") == ["10.4.0.9:80"]
        told = sorted(seen.problems)
        print("\n".join(told))
        assert len(told) == 5
        assert not seen.unread


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
        (None, "sees no service at all"),
        ("", "sees no service at all"),
        ('service_prefix "" { policy = "read" }', "node:read"),
        ('node_prefix "" { policy = "read" }', "sees no service at all"),
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
        await seen.until(lambda: seen.reading.denied)
        print(seen.reading.why)
        assert why in seen.reading.why
        assert seen.reading.observation is None


async def test_a_token_that_is_none_and_a_file_that_is_missing_are_told(standing: Agent, tmp_path: Path) -> None:
    async with observing(settings(standing.url, tmp_path, token="11111111-2222")) as seen:
        await seen.until(lambda: seen.reading.denied)
        assert "ACL not found" in seen.reading.why
    made = settings(standing.url, tmp_path)
    (tmp_path / "bridge-token").unlink()
    async with observing(made) as seen:
        await seen.until(lambda: seen.reading.denied)
        assert "bridge-token: is not there" in seen.reading.why


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"datacenter": "nowhere"}, "correct `datacenter`"),
        ({"enterprise": {"namespace": "team"}}, "correct the registry's configuration"),
        ({"enterprise": {"partition": "west"}}, "correct the registry's configuration"),
    ],
)
async def test_what_this_consul_does_not_have_is_one_clear_line(
    standing: Agent, tmp_path: Path, more: dict[str, object], why: str
) -> None:
    async with observing(settings(standing.url, tmp_path, **more)) as seen:
        await seen.until(lambda: seen.reading.lost is not None)
        print(seen.reading.why)
        assert why in seen.reading.why


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


async def test_a_thousand_services_take_few_connections_and_a_change_arrives(own: Agent, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with own.hand() as hand:
        await many(hand, 1_000)
        async with Door(own.url).opened() as door, observing(settings(door.url, tmp_path)) as seen:
            begun = loop.time()
            await seen.until(lambda: len(seen.served("many-999")) == 2)
            print(f"first view of 1,000 services after {loop.time() - begun:.1f} s")
            assert seen.how == "hints and sweeps over 1,000 services"
            for number in (0, 500, 999):
                begun = loop.time()
                await hand.status(f"many-{number}", "10.9.0.1:80", "critical")
                await seen.until(
                    lambda number=number: Health.UNHEALTHY in {one.health for one in seen.endpoints(f"many-{number}")}
                )
                print(f"a change of number {number} after {loop.time() - begun:.2f} s")
            await hand.forget("many-7")
            await hand.say("new", *TWO)
            await seen.until(lambda: seen.served("new") == TWO)
            await seen.until(lambda: all(one.held for one in seen.endpoints("many-7")))
            print(f"at most {door.most} questions at once")
            assert door.most <= 40


async def test_services_are_followed_by_themselves_while_they_are_few(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    word = f"few{secrets.token_hex(3)}"
    for number in range(3):
        await hand.say(f"{word}-{number}", *TWO)
    async with observing(settings(standing.url, tmp_path, **chosen(f"{word}-*"))) as seen:
        await seen.until(lambda: seen.served(f"{word}-2") == TWO)
        assert seen.how == "long polls of 3 services"


@pytest.mark.parametrize("package", ["python-consul==1.1.0", "py-consul==1.8.0"])
def test_the_same_client_runs_on_both_packages(standing: Agent, tmp_path: Path, package: str) -> None:
    place = tmp_path / "package"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
    had = subprocess.run([*pip, "--target", str(place), package], capture_output=True, text=True, check=False)
    if had.returncode:
        pytest.skip(f"{package} cannot be had here: {had.stderr.strip()[-200:]}")
    command = [sys.executable, "-m", "tests.servers.consul.ask", str(place), standing.url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(said.stdout) == {
        "package": str(place), "services": True, "nodes": True, "critical": True, "instances": True, "waited": True,
        "leader": True,
    }  # fmt: skip


async def many(hand: Hand, number: int) -> None:
    """So many services of two instances each, in transactions of 64."""
    nodes = [{"Node": f"vm-10.9.0.{its}", "Address": f"10.9.0.{its}"} for its in (1, 2)]
    operations: list[dict[str, Any]] = [{"Node": {"Verb": "set", "Node": one}} for one in nodes]
    for each in range(number):
        for its in (1, 2):
            service = {"ID": f"many-{each}-10.9.0.{its}-80", "Service": f"many-{each}"}
            said = {**service, "Address": f"10.9.0.{its}", "Port": 80}
            operations.append({"Service": {"Verb": "set", "Node": f"vm-10.9.0.{its}", "Service": said}})
    for start in range(0, len(operations), 64):
        await hand.put("txn", operations[start : start + 64])


async def test_a_hand_without_rights_is_refused(standing: Agent) -> None:
    async with standing.hand("") as nobody:
        with pytest.raises(HandError):
            await nobody.register(entry("x", "10.0.0.1"))
