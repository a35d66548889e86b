"""The whole bridge as a process that writes: what VMs there are, as files for Prometheus and for name look-ups."""

import json
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.test_app import PAYMENTS, Process, command, inventory, started, until, until_async
from tests.chaos.test_static_files import put
from tests.observed import as_written

LEDGER = "shop/ledger"


class Writer(Process):
    """A bridge whose registry `files` is written: a file_sd file and a hosts file."""

    def __init__(self, folder: Path, text: str = "", state: str = "state", owner: str = "prod") -> None:
        super().__init__(folder, text, state)
        self.owner = owner

    @property
    def targets(self) -> Path:
        return self.folder / "targets.json"

    @property
    def hosts(self) -> Path:
        return self.folder / "hosts"

    def configure(self, text: str) -> None:
        super().configure(text)
        before = "registries: [{name: vms, kind: static, files: [vms.yaml]}]\n"
        self.config.write_text(
            self.config.read_text().replace(
                before,
                f"owner: {self.owner}\nregistries:\n- {{name: vms, kind: static, files: [vms.yaml]}}\n"
                "- name: files\n  kind: static\n  export:\n"
                "  - {file: targets.json, format: file_sd, services: ['shop/*'], from: [vms]}\n"
                "  - {file: hosts, format: hosts, services: ['shop/*'], from: [vms]}\n",
            )
        )

    def written(self) -> dict[str, list[str]]:
        """Service to targets, as Prometheus reads them."""
        found: dict[str, list[str]] = {}
        for group in json.loads(self.targets.read_text()) if self.targets.exists() else ():
            if group["targets"]:
                found.setdefault(group["labels"]["job"], []).extend(group["targets"])
        return found

    def addresses(self) -> list[str]:
        """The addresses that a look-up in the hosts file gives."""
        lines = self.hosts.read_text().splitlines() if self.hosts.exists() else []
        return sorted(line.split()[0] for line in lines if line and not line.startswith("#"))

    def holds(self, *numbers: int) -> bool:
        """Whether both files have exactly these endpoints of shop/payments."""
        addresses = [f"10.0.0.{number}" for number in numbers]
        return self.addresses() == addresses and sorted(one for them in self.written().values() for one in them) == [
            f"{address}:8080" for address in addresses
        ]

    async def states(self) -> dict[str, Any]:
        """File name to what the export of it does."""
        return {Path(row["target"]).name: row for row in await self.rows("exports")}

    async def until_state(self, file: str, state: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def there() -> bool:
            found.update((await self.states())[file])
            return bool(found["state"] == state)

        await until_async(there, f"{file} is {state}")
        return found

    async def call(self, *arguments: str) -> tuple[int | None, str, str]:
        return await command(*arguments, "--config", str(self.config))


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Writer]:
    """One that has written three endpoints of shop/payments."""
    process = Writer(tmp_path)
    process.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    async with started(process):
        await process.until_ready()
        await until(lambda: process.holds(1, 2, 3), "all three are written")
        for file in ("targets.json", "hosts"):
            await process.until_state(file, "in step")
        yield process


async def test_what_is_read_is_written_and_follows_every_edit(bridge: Writer) -> None:
    assert "# registry-bridge/1 owner=prod as hosts" in bridge.hosts.read_text().splitlines()[0]
    assert stat.S_IMODE(bridge.targets.stat().st_mode) == 0o644, "others are to read it"
    bridge.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"))
    await until(lambda: bridge.holds(1, 2, 3, 4), "the fourth is written")
    bridge.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    await until(lambda: bridge.holds(1, 2, 3), "it is gone there too")
    for file in ("targets.json", "hosts"):
        await bridge.until_state(file, "in step")
    code, out, err = await bridge.call("plan")
    assert (code, out) == (0, "nothing to do\n"), err
    metrics = (await bridge.get("/metrics"))[1]
    assert 'registry_bridge_export_claimed{registry="files"' in metrics


@pytest.mark.promise("R-17")
@pytest.mark.parametrize(
    "edit", ["", '"10.0.0.2:8080", "10.66.0.1:8080", ', None], ids=["taken out", "added", "deleted"]
)
async def test_a_hand_in_our_file_is_put_right_once_and_the_log_says_why(bridge: Writer, edit: str | None) -> None:
    if edit is None:
        bridge.targets.unlink()
    else:
        put(bridge.targets, bridge.targets.read_text().replace('"10.0.0.2:8080", ', edit))
    await until(lambda: bridge.said("put right"), "somebody's hand is seen")
    await until(lambda: bridge.written() == {PAYMENTS: [f"10.0.0.{n}:8080" for n in (1, 2, 3)]}, "it is as it was")
    await bridge.until_state("targets.json", "in step")
    (line,) = bridge.said("put right")
    assert ("deleted" if edit is None else "edited") in line["why"]


@pytest.mark.promise("law-5", "R-18")
async def test_a_file_of_somebody_else_is_not_touched_and_the_other_one_is_written(tmp_path: Path) -> None:
    process = Writer(tmp_path)
    process.write(inventory("10.0.0.1"))
    theirs = "127.0.0.1 localhost\n"
    process.hosts.write_text(theirs)
    async with started(process):
        await process.until_ready()
        await until(lambda: process.written() == {PAYMENTS: ["10.0.0.1:8080"]}, "the one is written")

        async def shown() -> bool:
            return any("somebody else's and stays as it is" in row["what"] for row in await process.rows("problems"))

        await until_async(shown, "it is shown")
        row = await process.until_state("hosts", "waiting")
        assert "somebody else's and stays as it is; name another file" in row["why"]
        code, _, err = await process.call("plan")
        assert code == 1
        assert str(process.hosts) in err
        assert process.hosts.read_text() == theirs
        assert await process.end() == 0
    assert process.hosts.read_text() == theirs


@pytest.mark.promise("R-34", "law-4")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_who_stops_leaves_everything_and_who_comes_after_finds_its_own(
    bridge: Writer, number: signal.Signals
) -> None:
    await bridge.end(number)
    assert bridge.holds(1, 2, 3)
    stood = as_written(bridge.targets)
    bridge.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    again = Writer(bridge.folder)
    async with started(again):
        await again.until_ready()
        row = await again.until_state("targets.json", "in step")
        assert (row["made"], row["withheld"]) == ({}, {})
        assert as_written(again.targets) == stood, "not even written anew"
        again.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"))
        await until(lambda: again.holds(1, 2, 3, 4), "it follows again")


@pytest.mark.promise("law-3", "R-34")
async def test_a_restart_with_another_inventory_removes_nothing_that_it_never_wanted(bridge: Writer) -> None:
    assert await bridge.end() == 0
    for kept in (bridge.folder / "state").glob("*.snapshot"):
        kept.unlink()  # nobody remembers
    bridge.write(inventory("10.0.1.1", name=LEDGER))
    again = Writer(bridge.folder)
    async with started(again):
        await again.until_ready()
        await until(lambda: LEDGER in again.written(), "the new one is written")
        for file in ("hosts", "targets.json"):
            row = await again.until_state(file, "in step")
            assert row["withheld"] == {"orphan": 3}
        assert sorted(again.written()) == [LEDGER, PAYMENTS]
        code, out, err = await again.call("plan", PAYMENTS, "--accept", "--yes")
        assert (code, out) == (0, "accepted: 6 endpoints\n"), err
        await until(lambda: sorted(again.written()) == [LEDGER], "they go by the word")


async def test_a_withdrawal_beside_the_running_bridge_stands_until_it_is_ended(bridge: Writer) -> None:
    code, out, err = await bridge.call("withdraw", "--yes")
    assert code == 0, err
    assert f"files {bridge.targets}: withdrawn: 1 record" in out
    for file in ("targets.json", "hosts"):
        row = await bridge.until_state(file, "withdrawn")
        assert "registry-bridge adopt" in row["why"]
    bridge.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"))

    async def read() -> bool:
        return (await bridge.rows("sources"))[0]["endpoints"] == 4

    await until_async(read, "the edit is read")
    assert bridge.holds()
    code, out, err = await bridge.call("adopt", "--yes")
    assert code == 0, err
    await until(lambda: bridge.holds(1, 2, 3, 4), "it writes again")


async def test_an_owner_that_was_renamed_keeps_its_records_by_adopting_them(bridge: Writer) -> None:
    assert await bridge.end() == 0
    again = Writer(bridge.folder, owner="prod-eu1")
    async with started(again):
        await again.until_ready()

        async def shown() -> bool:
            rows = await again.rows("problems")
            return any("belongs to the bridge prod, and we are prod-eu1" in row["what"] for row in rows)

        await until_async(shown, "the records are another's")
        code, out, err = await again.call("adopt", "--from", "prod", "--yes")
        assert code == 0, err
        assert "1 record with the mark of prod-eu1" in out
        assert again.holds(1, 2, 3)
        await again.until_state("targets.json", "in step")
        assert "owner=prod-eu1" in again.hosts.read_text()
        again.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"))
        await until(lambda: again.holds(1, 2, 3, 4), "it follows")


@pytest.mark.promise("R-19")
async def test_of_two_bridges_with_one_owner_the_second_does_not_write_and_says_so(bridge: Writer) -> None:
    other = Writer(bridge.folder, state="other")
    async with started(other):
        await other.until_ready()
        row = await other.until_state("targets.json", "another")
        assert "writes as owner prod; give each deployment an `owner:` of its own" in row["why"]
        await until(lambda: len(other.said("export stopped")) == 2, "it is said of both files")
        assert [line["level"] for line in other.said("export stopped")] == ["error", "error"]
        assert any("another" in problem["what"] for problem in await other.rows("problems"))
        code, _, err = await other.call("withdraw", "--yes")
        assert code == 1
        assert "stop that bridge, or say --force; nothing was changed" in err
        assert bridge.holds(1, 2, 3)
        bridge.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"))
        await until(lambda: bridge.holds(1, 2, 3, 4), "the first one writes on")
        assert other.said("export writes") == []
        for row in (await bridge.states()).values():
            assert (row["state"] in ("writes", "in step"), row["leading"]) == (True, True)


async def test_apply_once_is_for_where_no_bridge_runs(bridge: Writer) -> None:
    code, _, err = await bridge.call("apply", "--once")
    assert code == 2
    assert str(bridge.folder / "state") in err
    assert await bridge.end() == 0
    bridge.write(inventory("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"))
    code, out, err = await bridge.call("apply", "--once")
    assert code == 0, err
    assert f"files {bridge.targets}: 1 written; 1 record there" in out
    assert bridge.holds(1, 2, 3, 4)
