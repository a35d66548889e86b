"""Files that a bridge writes, on a real file system, with everything around them going wrong."""

import asyncio
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.adapter import Held, Holding, Put, Record, RecordKey, Remove
from bridge.errors import Conflict, Denied, Rejected, Unavailable
from tests.builders import hosts, name, service
from tests.chaos.test_static_files import put
from tests.observed import as_written
from tests.written import CART, MORE, PAYMENTS, every, writing

pytestmark = pytest.mark.usefixtures("unprivileged")


@every
async def test_a_service_is_written_changed_and_removed(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    async with writing(path, form) as one:
        assert one.held == Held()
        await one.say(PAYMENTS)
        await one.say(CART)
        assert one.said("shop/payments") == ["10.0.0.1:8080", "10.0.0.2:8080"]
        await one.say(MORE)
        assert one.said("shop/payments") == ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"]
        standing = one.record("shop/payments")
        assert standing is not None
        await one.sink.apply(one.target, Remove(standing))
        await one.until(lambda: one.record("shop/payments") is None)
        assert one.said("shop/cart") == ["10.0.1.1:80"]
    assert "10.0.0" not in path.read_text()
    assert not list(tmp_path.glob(".*.new"))


async def test_changes_that_come_together_are_one_rename(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        many = [service(f"shop/s{number}", f"10.0.2.{number + 1}:80") for number in range(100)]
        changes = [one.change(each) for each in many]
        inodes: set[int] = set()

        async def apply(change: Put) -> None:
            await one.sink.apply(one.target, change)
            inodes.add(path.stat().st_ino)
            assert f"name: {change.record.key}\n" in path.read_text()

        await asyncio.gather(*map(apply, changes))
        await one.until(lambda: one.held is not None and len(one.held.holdings) == 100)
        assert len(inodes) == 1


async def test_of_changes_made_together_each_has_its_own_outcome(tmp_path: Path) -> None:
    async with writing(tmp_path / "vms.yaml") as one:
        await one.say(PAYMENTS)
        stale = Put(one.change(MORE).record, one.change(CART).record)
        results = await asyncio.gather(
            one.sink.apply(one.target, stale), one.sink.apply(one.target, one.change(CART)), return_exceptions=True
        )
        assert [type(result) for result in results] == [Conflict, type(None)]
        await one.until(lambda: one.said("shop/cart") == ["10.0.1.1:80"])
        assert one.said("shop/payments") == ["10.0.0.1:8080", "10.0.0.2:8080"]


async def test_a_caller_that_is_cancelled_leaves_a_whole_file_and_holds_up_nobody(tmp_path: Path) -> None:
    async with writing(tmp_path / "vms.yaml") as one:
        gone = asyncio.create_task(one.sink.apply(one.target, one.change(PAYMENTS)))
        waits = asyncio.create_task(one.sink.apply(one.target, one.change(CART)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gone.cancel()
        await waits
        with pytest.raises(asyncio.CancelledError):
            await gone
        await one.until(lambda: one.said("shop/cart") == ["10.0.1.1:80"])


async def test_a_file_is_replaced_only_when_its_content_changes(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
        before = as_written(path)
        standing = one.record("shop/payments")
        assert standing is not None
        await one.sink.apply(one.target, Put(standing, standing))
        assert as_written(path) == before


async def test_a_new_file_may_be_read_by_all_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        path.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(path, 0, 12345)
        await one.say(MORE)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert path.stat().st_gid == (12345 if os.geteuid() == 0 else os.getegid())


@every
async def test_whoever_comes_after_knows_the_blocks_again(tmp_path: Path, file: str, form: str) -> None:
    async with writing(tmp_path / file, form) as one:
        await one.say(PAYMENTS)
    async with writing(tmp_path / file, form) as after:
        assert after.said("shop/payments") == ["10.0.0.1:8080", "10.0.0.2:8080"]
        change = after.change(PAYMENTS)
        assert change.replaces is not None
        assert change.record.content == change.replaces.content


# Whose a file is


@pytest.mark.promise("R-18", "law-5")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1 localhost\n",
        "services:\n  - {name: shop/payments, port: 80, endpoints: [10.0.9.9]}\n",
        '[{"targets": ["10.0.9.9:80"], "labels": {"job": "registry-bridge/1 owner=prod-eu1"}}]\n',
        "# registry-bridge/1 owner=prod-us1 as native\nservices: []\n# end\n",
        "# registry-bridge/2 owner=prod-eu1 as native\nservices: []\n# end\n",
    ],
    ids=["empty", "hosts", "inventory", "targets", "another bridge's", "a newer bridge's"],
)
@every
async def test_a_file_without_our_mark_is_never_touched(tmp_path: Path, text: str, file: str, form: str) -> None:
    path = tmp_path / file
    path.write_text(text)
    before = as_written(path)
    async with writing(path, form) as one:
        assert one.held is None
        (problem,) = one.seen[-1].problems
        assert (problem.kind, problem.where) == ("target", str(path))
        record = one.sink.fit(one.target, PAYMENTS, Holding())[0][0]
        with pytest.raises(Rejected, match=r"somebody else's|belongs to the bridge prod-us1|newer registry-bridge"):
            await one.sink.apply(one.target, Put(record))
        assert as_written(path) == before
        path.unlink()
        await one.until(lambda: one.held == Held())
        await one.say(PAYMENTS)


@pytest.mark.promise("R-18", "law-5", "law-6")
async def test_a_file_that_somebody_put_into_our_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
        change = one.change(MORE)
        put(path, "services: []\n")
        with pytest.raises(Rejected, match="somebody else's"):
            await one.sink.apply(one.target, change)
        await one.until(lambda: one.held is None)
        assert path.read_text() == "services: []\n"


async def strange(tmp_path: Path, path: Path, make: str) -> type[Exception]:
    """Something in the place of the file, and what a write comes to."""
    match make:
        case "folder":
            path.mkdir()
            return Rejected
        case "link":
            (tmp_path / "elsewhere").write_text("services: []\n")
            path.symlink_to(tmp_path / "elsewhere")
            return Rejected
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
            return Rejected
        case "pipe":
            os.mkfifo(path)
            return Rejected
        case "no folder":
            path.parent.rmdir()
            return Unavailable
        case "not ours to read":
            path.write_text("# registry-bridge/1 owner=prod-eu1 as native\nservices: []\n# end\n")
            path.chmod(0)
            return Denied
        case "folder of others":
            path.parent.chmod(0o555)
            return Denied
        case _:
            raise AssertionError(make)


@pytest.mark.promise("R-18")
@pytest.mark.parametrize(
    ("make", "why"),
    [
        ("folder", "is a folder; name a file in it"),
        ("link", "is a link, which a rename would replace; name the file that it leads to"),
        ("dangling link", "is a link, which a rename would replace; name the file that it leads to"),
        ("pipe", "is no plain file; name another"),
        ("no folder", "its folder is not there; make it, and let this user write into it"),
        ("not ours to read", "may not be read by user"),
        ("folder of others", "may not be written by user"),
    ],
)
async def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path, make: str, why: str) -> None:
    path = tmp_path / "out" / "vms.yaml"
    path.parent.mkdir()
    error = await strange(tmp_path, path, make)
    async with writing(path) as one:
        record = one.sink.fit(one.target, PAYMENTS, Holding())[0][0]
        with pytest.raises(error, match=why) as caught:
            await one.sink.apply(one.target, Put(record))
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
        if make == "folder of others":
            assert one.held == Held()  # there is nothing of ours, which can be seen
        else:
            assert one.held is None
            assert why in one.problems
            assert one.problems.count("\n") == 0
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(0o755)
    assert not list(path.parent.glob(".*.new"))


async def test_a_folder_that_is_made_later_is_written_into(tmp_path: Path) -> None:
    path = tmp_path / "out" / "vms.yaml"
    async with writing(path) as one:
        assert one.held is None
        path.parent.mkdir()
        await one.answered()
        await one.until(lambda: one.held == Held())
        await one.say(PAYMENTS)


@pytest.mark.promise("R-31")
async def test_a_disk_that_takes_no_more_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
        before = path.read_text()
        large = one.change(service("shop/large", *hosts(2000)))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        try:
            with pytest.raises(Unavailable, match="the file stays as it was; make room"):
                await one.sink.apply(one.target, large)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_text() == before
        assert not list(tmp_path.glob(".*.new"))
        await one.sink.apply(one.target, large)
        await one.until(lambda: len(one.said("shop/large")) == 2000)


async def test_a_file_that_nobody_could_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
        many = [Put(Record(RecordKey(f"a/s{n}"), name(f"a/s{n}"), b"#" * 3_000_000)) for n in range(6)]
        results = await asyncio.gather(*(one.sink.apply(one.target, each) for each in many), return_exceptions=True)
        assert any(isinstance(result, Rejected) for result in results)
        assert path.stat().st_size <= 16 * 1024 * 1024


# Killed


@pytest.mark.promise("R-34")
@pytest.mark.parametrize(("file", "form", "kills"), [("vms.yaml", "native", 200), ("bridge.json", "file_sd", 50)])
def test_a_writer_killed_at_random_moments_leaves_every_service_as_it_was_made(
    tmp_path: Path, file: str, form: str, kills: int
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    seed = int.from_bytes(os.urandom(4))
    command = [sys.executable, "-m", "tests.chaos.churn", str(folder / file), form, str(kills), str(seed)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    assert ran.returncode == 0, f"seed {seed}: {ran.stdout}{ran.stderr}"
    assert ran.stdout.startswith(f"{kills} kills")
