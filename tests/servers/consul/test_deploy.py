"""The bridge runs as `deploy/consul` has it, under exactly the rights that it grants, and says which one is missing."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.cli import main
from tests.envoy.harness import until
from tests.servers.consul import shipped
from tests.servers.consul.hand import Hand, HandError, entry
from tests.servers.consul.observing import settings
from tests.servers.consul.server import Agent
from tests.servers.observing import observing
from tests.whole import Whole

TWO = ["10.7.0.1:80", "10.7.0.2:80"]
THREE = [*TWO, "10.7.0.3:80"]


async def state(bridge: Whole) -> dict[str, Any]:
    """How it is with its only source."""
    _, said = await bridge.get("/api/v1/sources")
    (source,) = said["sources"]
    return dict(source)


async def served(bridge: Whole) -> list[str]:
    """The endpoints of shop/web, with a `?` behind what is held."""
    _, said = await bridge.get("/api/v1/endpoints?service=shop/web")
    return sorted(f"{one['endpoint']}{'?' if one['held'] else ''}" for one in said["endpoints"])


async def test_it_reads_with_the_shipped_configuration_under_exactly_the_shipped_policy(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand:
        await hand.say("web", *TWO)
        await hand.policy("read", shipped.rules("read"))
        token, _ = await hand.token("read")
        folder = tmp_path / "bridge"
        folder.mkdir()
        async with Whole(folder, shipped.install(folder, token, own.url)) as bridge:
            await until(lambda: arrived(bridge, TWO), "what is there")
            said = await state(bridge)
            assert (said["state"], said["problems"], said["unread"]) == ("synced", 0, [])
            await hand.say("web", THREE[-1])
            await until(lambda: arrived(bridge, THREE), "the third instance")
            assert "warning" not in bridge.log()
            assert token not in bridge.log()


async def arrived(bridge: Whole, wanted: list[str]) -> bool:
    return await served(bridge) == wanted


@pytest.mark.promise("S-16")
async def test_the_policy_for_reading_lets_nobody_write(standing: Agent, hand: Hand) -> None:
    await hand.policy("reading-alone", shipped.rules("read"))
    token, _ = await hand.token("reading-alone")
    await hand.put("connect/intentions/exact?source=api&destination=web", {"Action": "allow"})
    async with standing.hand(token) as reader:
        for path, body in (
            ("catalog/register", entry("intruder", "10.7.0.9")),
            ("kv/intruder", {}),
            ("session/create", {}),
            ("acl/policy", {"Name": "intruder"}),
            ("connect/intentions/exact?source=intruder&destination=web", {"Action": "allow"}),
        ):
            with pytest.raises(HandError, match="Permission denied"):
                await reader.put(path, body)
        with pytest.raises(HandError, match="Permission denied"):
            await reader.get("kv/registry-bridge/leader/registry-bridge")
        assert await reader.get("connect/intentions") == []


@pytest.mark.promise("R-11", "S-16")
@pytest.mark.parametrize("right", shipped.READ)
async def test_a_policy_that_lacks_one_right_from_the_start_is_no_empty_registry(
    standing: Agent, hand: Hand, tmp_path: Path, right: str
) -> None:
    await hand.say("lacking", *TWO)
    await hand.policy("lacking", shipped.rules("read", right))
    token, _ = await hand.token("lacking")
    async with observing(settings(standing.url, tmp_path, token=token)) as seen:
        await seen.until(lambda: seen.reading.denied and "`service:read` and `node:read`" in seen.reading.why)
        assert seen.reading.observation is None
        await hand.policy("lacking", shipped.rules("read"))
        await seen.until(lambda: seen.served("lacking") == TWO)


@pytest.mark.promise("R-11", "S-16", "law-1")
@pytest.mark.parametrize("right", shipped.READ)
async def test_a_right_that_is_taken_while_it_runs_is_one_line_and_removes_nothing(
    standing: Agent, hand: Hand, tmp_path: Path, right: str
) -> None:
    name = f"taken-{right.partition('_')[0]}"
    await hand.say(name, *TWO)
    await hand.policy(name, shipped.rules("read"))
    token, _ = await hand.token(name)
    made = settings(standing.url, tmp_path, token=token, **{"import": {"services": [name]}})
    async with observing(made) as seen:
        await seen.until(lambda: seen.served(name) == TWO)
        await hand.policy(name, shipped.rules("read", right))
        seen.refresh()
        await seen.until(lambda: seen.reading.denied and "`service:read` and `node:read`" in seen.reading.why)
        assert seen.served(name) == TWO
        await hand.policy(name, shipped.rules("read"))
        await hand.say(name, THREE[-1])
        await seen.until(lambda: seen.served(name) == THREE and seen.reading.lost is None)


@pytest.mark.promise("S-16")
async def test_who_only_reads_leaves_out_what_a_bridge_left_that_is_no_more_and_without_the_right_to_know_reads_on(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    mark = {"registry-bridge-owner": "left", "registry-bridge-format": "1"}
    await hand.say("abandoned", *TWO)
    await hand.register(entry("abandoned", "10.7.0.3", node="registry-bridge-left", meta=mark))
    await hand.put("kv/registry-bridge/claims/left/registry-bridge-left", {"deployment": "x", "term": 1, "beat": 1})
    await hand.policy("abandoned", shipped.rules("read", shipped.CLAIMS))
    token, _ = await hand.token("abandoned")
    made = settings(standing.url, tmp_path, token=token, **{"import": {"services": ["abandoned"]}})
    async with observing(made) as seen:
        await seen.until(lambda: seen.served("abandoned") == THREE)
        await seen.until(lambda: any("claims: may not be read whole by the token" in one for one in seen.problems))
        assert seen.reading.lost is None
        await hand.policy("abandoned", shipped.rules("read"))
        seen.refresh()
        await seen.until(lambda: seen.served("abandoned") == TWO)
        await seen.until(lambda: [one.kind for one in seen.reading.problems] == ["abandoned"])
        beat = {"deployment": "x", "term": 2, "beat": 1}
        await hand.put("kv/registry-bridge/claims/left/registry-bridge-left", beat)  # it lives
        await seen.until(lambda: seen.served("abandoned") == THREE)


@pytest.mark.parametrize("which", ["", "both-ways"])
def test_the_configuration_will_do_and_has_no_problems(tmp_path: Path, which: str) -> None:
    folder = shutil.copytree(shipped.HOME / which, tmp_path / "installed")
    shipped.install(folder, "secret", "", which)
    command = ["check", "--strict", "--output", "json", "--config", str(folder / "bridge.yaml")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["registries"][0]["kind"] == "consul"


async def test_the_unit_with_its_addition_is_sound(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze on the PATH")
    unit = shipped.HOME.parent / "systemd" / "registry-bridge.service"
    text = unit.read_text("utf-8").replace("/opt/registry-bridge/bin/registry-bridge", "/bin/true")
    (tmp_path / unit.name).write_text(text)
    shutil.copytree(shipped.HOME / f"{unit.name}.d", tmp_path / f"{unit.name}.d")
    run = await asyncio.create_subprocess_exec(
        analyze, "verify", "--man=no", unit.name, env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await run.communicate()
    assert (run.returncode, said.decode()) == (0, "")
