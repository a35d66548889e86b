"""The whole bridge as a process, on a real inventory file, with an xDS client beside it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.testing.ports import free_port
from bridge.testing.xds import CDS, EDS, XdsClient

COMMAND = str(Path(sys.executable).with_name("registry-bridge"))
PAYMENTS = "shop/payments"


def inventory(*addresses: str, name: str = PAYMENTS) -> str:
    listed = "".join(f"\n      - {one}" for one in addresses) or " []"
    return f"services:\n  - name: {name}\n    ports: {{http: 8080}}\n    endpoints:{listed}\n"


def served(client: XdsClient) -> int:
    """How many endpoints of shop/payments a client has."""
    return len(client.hosts(PAYMENTS)) if PAYMENTS in client.have(EDS) else 0


class Process:
    """One bridge on its own files and ports."""

    def __init__(self, folder: Path, text: str = "", state: str = "state", more: str = "") -> None:
        """`more` is what the configuration says of the registry besides."""
        self.folder = folder
        self.more = more
        self.admin, self.xds = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self.text, self.state = text, state
        self.process: asyncio.subprocess.Process | None = None
        self.lines: list[dict[str, Any]] = []
        self._reading: asyncio.Task[None] | None = None

    @property
    def config(self) -> Path:
        return self.folder / f"{self.state}.yaml"

    def configure(self, text: str) -> None:
        """Write the configuration with `text` beside what every test has; by rename, as an editor does."""
        self.text = text
        fresh = self.config.with_suffix(".new")
        fresh.write_text(
            f"registries: [{{name: vms, kind: static, files: [vms.yaml]{self.more}}}]\n"
            f"xds: {{listen: '{self.xds}'}}\nadmin: {{listen: '{self.admin}'}}\n"
            f"snapshot: {{path: {self.state}}}\nstart: {{wait: 2s}}\n{text}\n"
        )
        fresh.replace(self.config)

    def write(self, text: str) -> None:
        fresh = self.folder / ".vms.yaml.new"
        fresh.write_text(text)
        fresh.replace(self.folder / "vms.yaml")

    async def start(self) -> None:
        self.configure(self.text)
        self.process = await asyncio.create_subprocess_exec(
            COMMAND,
            "run",
            "--config",
            str(self.config),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.DEVNULL,
        )
        self._reading = asyncio.create_task(self._read(self.process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.lines.append({"event": line.decode("utf-8", "replace").rstrip("\n")})

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if event in line["event"]]

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it at once: SIGTERM twice, or as told; its exit code."""
        assert self.process is not None
        assert self._reading is not None
        if self.process.returncode is None:
            self.send(number)
            if number == signal.SIGTERM:
                await until(lambda: bool(self.said("stopping")), "it stops")
                self.send(number)
        code = await asyncio.wait_for(self.process.wait(), 120)
        await self._reading
        return code

    async def ended(self) -> int:
        """Its exit code, when it ends by itself."""
        assert self.process is not None
        assert self._reading is not None
        code = await asyncio.wait_for(self.process.wait(), 120)
        await self._reading
        return code

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and body, 0 when nobody listens."""
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://{self.admin}{path}") as response:
                text = await response.text()
                return response.status, json.loads(text) if response.content_type == "application/json" else text
        except aiohttp.ClientError:
            return 0, ""

    async def rows(self, kind: str) -> list[dict[str, Any]]:
        status, body = await self.get(f"/api/v1/{kind}")
        assert status == 200
        rows: list[dict[str, Any]] = body[kind]
        return rows

    async def until_ready(self) -> None:
        async def ready() -> bool:
            assert self.process is not None
            assert self.process.returncode is None, self.lines
            return (await self.get("/readyz"))[0] == 200 and bool(self.said("registry-bridge serves"))

        await until_async(ready, "it is ready")

    def client(self, delta: bool = True) -> XdsClient:
        return XdsClient(self.xds, delta=delta)


async def until(holds: Callable[[], bool], what: str) -> None:
    async def holding() -> bool:
        return holds()

    await until_async(holding, what)


async def until_async(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + 120
    while not await holds():
        assert asyncio.get_running_loop().time() < deadline, f"waited for: {what}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def started(process: Process) -> AsyncIterator[Process]:
    await process.start()
    try:
        yield process
    finally:
        if process.process is not None and process.process.returncode is None:
            process.send(signal.SIGKILL)
            await process.end(signal.SIGKILL)


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Process]:
    process = Process(tmp_path)
    process.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"))
    async with started(process):
        await process.until_ready()
        yield process


async def test_it_says_where_it_listens_and_what_to_do_next(bridge: Process) -> None:
    (hello,) = bridge.said("registry-bridge serves")
    assert (hello["xds"], hello["admin"]) == (bridge.xds, f"http://{bridge.admin}")
    assert "envoy-bootstrap" in hello["next"]
    assert (await bridge.get("/healthz"))[0] == 200


@pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])
async def test_an_edit_of_the_file_reaches_whoever_asks(bridge: Process, delta: bool) -> None:
    async with bridge.client(delta) as client:
        await client.ask(CDS)
        await client.ask(EDS, PAYMENTS)
        await client.until(lambda: served(client) == 4, "all four")
        bridge.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"))
        await client.until(lambda: served(client) == 5, "the fifth")
        bridge.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.5"))
        await client.until(lambda: served(client) == 4, "one less, when it is believed")


@pytest.mark.promise("law-1", "law-4", "R-22")
async def test_an_emptied_file_takes_nothing_away_and_one_line_says_why(bridge: Process) -> None:
    async with bridge.client() as client:
        await client.ask(EDS, PAYMENTS)
        await client.until(lambda: served(client) == 4, "all four")
        (bridge.folder / "vms.yaml").write_bytes(b"")
        await until(lambda: any("vms.yaml" in str(line) for line in bridge.lines), "it is said")
        (source,) = await bridge.rows("sources")
        assert (source["state"], source["endpoints"]) == ("lost", 4)
        assert "is empty" in source["why"]
        bridge.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"))
        await client.until(lambda: served(client) == 5, "it follows again")
    about = [line for line in bridge.lines if "vms.yaml" in str(line) and line["level"] != "info"]
    assert len(about) == 1, about
    assert "is empty" in str(about)


@pytest.mark.promise("law-2")
async def test_what_disappears_is_held_and_goes_by_an_operators_word(bridge: Process) -> None:
    async with bridge.client() as client:
        await client.ask(EDS, PAYMENTS)
        await client.until(lambda: served(client) == 4, "all four")
        bridge.write(inventory("10.0.0.1"))
        await until(lambda: bool(bridge.said("endpoints held")), "it is said")
        assert served(client) == 4
        held = await bridge.rows("holds")
        assert [row["endpoint"] for row in held] == ["10.0.0.2:8080", "10.0.0.3:8080", "10.0.0.4:8080"]
        code, out, err = await command("holds", "accept", PAYMENTS, "--yes", "--config", str(bridge.config))
        assert (code, out) == (0, "accepted: 3 endpoints\n"), err
        await client.until(lambda: served(client) == 1, "they are gone")


@pytest.mark.promise("R-27")
async def test_what_a_client_refuses_is_shown(bridge: Process) -> None:
    async with bridge.client() as client:
        client.refuse = lambda seen: "no thanks\r\nnot me" if seen.type_url == EDS else None
        await client.ask(EDS, PAYMENTS)

        async def shown() -> bool:
            return bool(await bridge.rows("problems"))

        await until_async(shown, "it is shown")
        (problem,) = await bridge.rows("problems")
        assert (problem["kind"], problem["where"]) == ("parked", f"ClusterLoadAssignment {PAYMENTS}")
        assert "no thanks" in problem["what"]
        code, out, _ = await command("show", "streams", "--admin", f"http://{bridge.admin}")
        assert code == 0
        assert f"refused {PAYMENTS}" in out
        assert "registry_bridge_parked 1.0" in (await bridge.get("/metrics"))[1]
    await until(lambda: bool(bridge.said("refused by a client")), "it is said")
    (line,) = bridge.said("refused by a client")
    assert "no thanks" in line["why"]


@pytest.mark.promise("R-34")
async def test_sigterm_says_not_ready_first_and_a_second_one_does_not_wait(bridge: Process) -> None:
    async with bridge.client() as client:
        await client.ask(EDS, PAYMENTS)
        await client.until(lambda: served(client) == 4, "all four")
        bridge.send(signal.SIGTERM)

        async def not_ready() -> bool:
            return await bridge.get("/readyz") == (503, "stopping\n")

        await until_async(not_ready, "it is not ready")
        bridge.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"))
        await client.until(lambda: served(client) == 5, "streams are served meanwhile")
        bridge.send(signal.SIGTERM)
        assert await bridge.ended() == 0
        await client.until(lambda: client.ended is not None, "the stream ends")
    assert bridge.said("stopped")


@pytest.mark.promise("R-34", "law-4")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_a_restart_without_the_inventory_serves_the_last_good_view(
    bridge: Process, number: signal.Signals
) -> None:
    kept = bridge.folder / "state"
    await until(lambda: number == signal.SIGTERM or any(kept.glob("*.snapshot")), "the snapshot is written")
    await bridge.end(number)
    (bridge.folder / "vms.yaml").unlink()
    again = Process(bridge.folder)
    async with started(again):
        await again.until_ready()
        async with again.client() as client:
            await client.ask(EDS, PAYMENTS)
            await client.until(lambda: served(client) == 4, "all four stand")
        (source,) = await again.rows("sources")
        assert source["state"] == "stand-in"
        assert await again.end() == 0


@pytest.mark.promise("law-2", "R-34")
async def test_what_went_missing_while_the_bridge_was_down_is_doubted_too(bridge: Process) -> None:
    assert await bridge.end() == 0
    bridge.write(inventory("10.0.0.1"))
    again = Process(bridge.folder)
    async with started(again):
        await again.until_ready()
        async with again.client() as client:
            await client.ask(EDS, PAYMENTS)
            await client.until(lambda: served(client) == 4, "all four stand")
        assert len(await again.rows("holds")) == 3


async def test_a_port_in_use_is_one_clear_line_and_exit_2(bridge: Process) -> None:
    for key in ("xds", "admin"):
        other = Process(bridge.folder, state=f"other-{key}")
        setattr(other, key, getattr(bridge, key))
        async with started(other):
            assert await other.ended() == 2
        (line,) = [one for one in other.lines if "error:" in one["event"]]
        assert f"{key}.listen: {getattr(bridge, key)} is in use" in line["event"]
        assert "choose another port" in line["event"]
    assert (await bridge.get("/readyz"))[0] == 200, "the first one serves on"


async def test_a_second_bridge_on_the_same_folder_is_one_clear_line_and_exit_2(bridge: Process) -> None:
    other = Process(bridge.folder, state="state")
    other.state = "other"
    other.configure("")
    other.config.write_text(other.config.read_text().replace("path: other", "path: state"))
    process = await asyncio.create_subprocess_exec(
        COMMAND, "run", "--config", str(other.config), stderr=asyncio.subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 2
    lines = err.decode().strip().split("\n")
    assert len(lines) == 1
    assert str(bridge.folder / "state") in lines[0]
    assert (await bridge.get("/readyz"))[0] == 200, "the first one serves on"


@pytest.mark.parametrize("by_signal", [True, False], ids=["SIGHUP", "the file"])
async def test_traffic_policy_reloads_while_running(bridge: Process, by_signal: bool) -> None:
    async with bridge.client(delta=False) as client:
        await client.ask(CDS)
        await client.until(lambda: PAYMENTS in client.have(CDS), "the cluster")
        bridge.configure("services: {'shop/*': {cluster: {connect_timeout: 7s}}}")
        if by_signal:
            bridge.send(signal.SIGHUP)
        await client.until(lambda: client.have(CDS)[PAYMENTS].connect_timeout.seconds == 7, "the new time-out")
    await until(lambda: bool(bridge.said("configuration read again")), "it is said")


async def test_a_bad_configuration_leaves_the_old_one_in_force_and_says_so(bridge: Process) -> None:
    bridge.configure("services: {'shop/*': {clutser: {}}}")
    bridge.send(signal.SIGHUP)
    await until(lambda: bool(bridge.said("new configuration refused")), "it is said")
    (line,) = bridge.said("new configuration refused")
    assert "clutser: unknown key; did you mean 'cluster'?" in line["what"]
    (problem,) = await bridge.rows("problems")
    assert (problem["source"], problem["kind"]) == (None, "config")
    assert "clutser" in problem["where"] + problem["what"]
    assert (await bridge.get("/readyz"))[0] == 200
    bridge.configure("")

    async def over() -> bool:
        return await bridge.rows("problems") == []

    await until_async(over, "a good one ends it")


async def test_what_cannot_reload_says_that_it_needs_a_restart(bridge: Process) -> None:
    bridge.configure("settle: {interval: 200ms}")
    await until(lambda: bool(bridge.said("restart to take over")), "it is said")
    assert bridge.said("restart to take over")[0]["keys"] == ["settle"]
    (problem,) = await bridge.rows("problems")
    assert "`settle:` differs from what runs; restart" in problem["what"]


@pytest.mark.promise("R-31")
async def test_a_folder_that_cannot_be_used_is_said_and_survived(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    process = Process(tmp_path)
    process.write(inventory("10.0.0.1"))
    async with started(process):
        await process.until_ready()
        async with process.client() as client:
            await client.ask(EDS, PAYMENTS)
            await client.until(lambda: served(client) == 1, "it is served")
        problems = await process.rows("problems")
        assert {row["source"] for row in problems} == {None}
        assert any("nothing will survive a restart" in row["what"] for row in problems)
        assert await process.end() == 0


@pytest.mark.promise("S-12")
async def test_a_secret_in_the_environment_or_a_wrong_line_is_in_no_log(tmp_path: Path) -> None:
    process = Process(tmp_path, text="password: hunter2\n")
    async with started(process):
        assert await process.ended() == 2
    assert "hunter2" not in str(process.lines)
    assert "unknown key" in str(process.lines)


async def command(*arguments: str) -> tuple[int | None, str, str]:
    """Run `registry-bridge`; its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode(), err.decode()
