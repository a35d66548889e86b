"""Files that a bridge writes, on a real file system, with everything around them going wrong."""

import asyncio
import contextlib
import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from adapters.static.registry import Static
from adapters.static.settings import Settings
from bridge.adapter import Claim, Held, Holding, Observation, Put, Record, RecordKey, Remove, Sink, Target
from bridge.errors import Conflict, Denied, Rejected, Unavailable
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Service
from bridge.runtime.clock import SystemClock
from tests.builders import endpoint, hosts, name, service
from tests.capabilities import CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, without
from tests.chaos.test_static_files import put

PATIENCE = 20.0

MARK = Mark("prod-eu1", "cluster-a")
OTHER = Mark("prod-us1", "cluster-b")

PAYMENTS = service("shop/payments", "10.0.0.1:8080", "10.0.0.2:8080")
MORE = service("shop/payments", "10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080")
CART = service("shop/cart", "10.0.1.1:80")


@pytest.fixture(autouse=True)
def may_not_write_everything() -> Iterator[None]:
    """Root writes where permissions forbid it, by two capabilities that its tests here do without."""
    with without(CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        yield


def opened(path: Path | None, form: str = "native", *, mark: Mark = MARK, files: list[str] | None = None) -> Static:
    said: dict[str, object] = {"name": "vms", "kind": "static"}
    if path is not None:
        said["export"] = [{"file": str(path), "format": form, "services": ["*"], "from": ["k8s"]}]
    if files:
        said["files"] = files
    source = Settings.model_validate(said).open(Kit("vms", SystemClock(), mark))
    assert isinstance(source, Static)
    assert isinstance(source, Sink)
    return source


class Written:
    """A sink that is observed, with one target."""

    def __init__(self, path: Path | None, form: str = "native", *, mark: Mark = MARK, files: list[str] | None = None):
        self.sink = opened(path, form, mark=mark, files=files)
        self.target = Target(str(path))
        self.seen: list[Observation] = []
        self._news = asyncio.Event()

    async def run(self) -> None:
        async with contextlib.aclosing(self.sink.observe()) as observations:  # type: ignore[type-var]
            async for observation in observations:
                self.seen.append(observation)
                self._news.set()

    @property
    def held(self) -> Held | None:
        held: Held | None = self.seen[-1].held.get(self.target)
        return held

    @property
    def problems(self) -> str:
        return "\n".join(map(str, self.seen[-1].problems))

    def record(self, key: str) -> Record | None:
        holding = self.held.holdings.get(name(key)) if self.held is not None else None
        return holding.records[0] if holding is not None else None

    def said(self, key: str) -> list[str]:
        holding = self.held.holdings.get(name(key)) if self.held is not None else None
        return [str(one.id) for one in holding.endpoints] if holding is not None else []

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not (self.seen and true()):
                self._news.clear()
                await self._news.wait()

    async def answered(self) -> None:
        """Until everything was read again."""
        before = self.seen[-1].read
        self.sink.refresh()
        await self.until(lambda: self.seen[-1].read > before)

    def change(self, one: Service) -> Put:
        assert self.held is not None
        holding = self.held.holdings.get(one.name)
        (record,), problems = self.sink.fit(self.target, one, holding)
        assert problems == []
        return Put(record, self.record(str(one.name)))

    async def say(self, one: Service) -> None:
        """Write a service, and see it written."""
        change = self.change(one)
        await self.sink.apply(self.target, change)
        await self.until(lambda: self.seems(change.record))

    def seems(self, record: Record) -> bool:
        there = self.record(record.key)
        return there is not None and there.content == record.content


@contextlib.asynccontextmanager
async def writing(
    path: Path | None, form: str = "native", *, mark: Mark = MARK, files: list[str] | None = None
) -> AsyncIterator[Written]:
    written = Written(path, form, mark=mark, files=files)
    task = asyncio.create_task(written.run())
    try:
        await written.until(lambda: True)
        yield written
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


FILES = {
    "bridge.json": "file_sd",
    "bridge.yaml": "file_sd",
    "vms.yaml": "native",
    "vms.json": "native",
    "vms.csv": "csv",
    "hosts": "hosts",
}
every = pytest.mark.parametrize(("file", "form"), FILES.items())


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
        before = path.stat()
        standing = one.record("shop/payments")
        assert standing is not None
        await one.sink.apply(one.target, Put(standing, standing))
        assert path.stat() == before


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
    before = path.stat()
    async with writing(path, form) as one:
        assert one.held is None
        (problem,) = one.seen[-1].problems
        assert (problem.kind, problem.where) == ("target", str(path))
        record = one.sink.fit(one.target, PAYMENTS, Holding())[0][0]
        with pytest.raises(Rejected, match=r"somebody else's|belongs to the bridge prod-us1|newer registry-bridge"):
            await one.sink.apply(one.target, Put(record))
        assert path.stat() == before
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


# Edits, and others who write


@pytest.mark.promise("R-17", "law-6")
@every
async def test_an_edit_inside_our_block_is_seen_and_put_right(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    async with writing(path, form) as one:
        await one.say(PAYMENTS)
        await one.say(CART)
        unseen = one.change(MORE)
        put(path, path.read_text().replace("10.0.0.2", "10.0.9.9"))
        with pytest.raises(Conflict, match="another block stands there"):
            await one.sink.apply(one.target, unseen)
        await one.until(lambda: "10.0.9.9:8080" in one.said("shop/payments"))
        assert one.said("shop/cart") == ["10.0.1.1:80"]
        await one.say(PAYMENTS)
    assert "10.0.9.9" not in path.read_text()


@pytest.mark.promise("R-17", "law-9")
@every
async def test_an_edit_that_breaks_the_file_is_put_right(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    async with writing(path, form) as one:
        await one.say(CART)
        await one.say(PAYMENTS)
        right = path.read_text()
        put(path, right.replace("10.0.0.2", '"{ \xff \n - ]'))
        await one.until(lambda: not one.said("shop/payments"))
        assert "drift" in {problem.kind for problem in one.seen[-1].problems}
        assert one.said("shop/cart") == ["10.0.1.1:80"]
        await one.say(PAYMENTS)
        assert "drift" not in {problem.kind for problem in one.seen[-1].problems}
    assert path.read_text() == right


@pytest.mark.promise("R-17")
async def test_a_file_that_is_deleted_by_hand_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
        path.unlink()
        await one.until(lambda: one.held is not None and not one.held.holdings)
        await one.say(PAYMENTS)


@every
async def test_a_file_whose_format_was_changed_is_written_anew(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    async with writing(path, "csv" if form != "csv" else "hosts") as before:
        await before.say(PAYMENTS)
        await before.say(CART)
    async with writing(path, form) as one:
        assert one.said("shop/payments") == ["10.0.0.1:8080", "10.0.0.2:8080"]
        await one.say(MORE)
        await one.until(lambda: one.said("shop/cart") == ["10.0.1.1:80"])
        assert len(one.said("shop/payments")) == 3
        standing = one.change(CART)
        assert standing.replaces is not None
        assert standing.replaces.content == standing.record.content


@pytest.mark.promise("law-6")
async def test_of_two_who_write_one_service_at_once_one_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one, writing(path) as other:
        for _ in range(20):
            results = await asyncio.gather(
                *(
                    each.sink.apply(each.target, Put(each.change(said).record))
                    for each, said in ((one, PAYMENTS), (other, MORE))
                ),
                return_exceptions=True,
            )
            assert sum(result is None for result in results) == 1, results
            assert {type(result) for result in results} <= {type(None), Conflict, Unavailable}
            await one.until(lambda: bool(one.said("shop/payments")))
            await other.until(lambda: other.record("shop/payments") == one.record("shop/payments"))
            there = one.record("shop/payments")
            assert there is not None
            await one.sink.apply(one.target, Remove(there))
            await one.until(lambda: not one.said("shop/payments"))
            await other.until(lambda: not other.said("shop/payments"))


async def test_two_services_that_come_to_one_host_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    said = {
        "name": "vms",
        "kind": "static",
        "export": [{"file": str(path), "format": "hosts", "services": ["*"], "from": ["k8s"], "host": "{name}"}],
    }
    sink = Settings.model_validate(said).open(Kit("vms", SystemClock(), MARK))
    assert isinstance(sink, Static)
    target = Target(str(path))
    puts = [
        Put(sink.fit(target, service(key, "10.0.0.1:80"), Holding())[0][0])
        for key in ("shop/payments", "data/payments")
    ]
    first, second = await asyncio.gather(*(sink.apply(target, each) for each in puts), return_exceptions=True)
    assert second is None
    assert isinstance(first, Rejected)
    assert str(first) == (
        f"{path}: shop/payments: 'payments' stands there for data/payments already; "
        "write {namespace} into `host:`, or leave one of them out of `services:`"
    )


# Who reads


@every
async def test_our_own_file_never_comes_back_as_services(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    put(tmp_path / "other", "services: []\n")
    async with writing(path, form, files=[str(path), str(tmp_path / "*")]) as one:
        await one.say(PAYMENTS)
        assert len(one.seen[-1].services) == 0
    async with writing(None, files=[str(path)]) as reader:
        assert len(reader.seen[-1].services) == 0


@every
async def test_another_bridges_file_comes_via_that_bridge(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    put(tmp_path / "other", "services: []\n")
    async with writing(path, form) as one, writing(None, mark=OTHER, files=[str(tmp_path / "*")]) as reader:
        await one.say(PAYMENTS)
        await reader.until(lambda: name("shop/payments") in reader.seen[-1].services)
        said = reader.seen[-1].services[name("shop/payments")]
        assert [(str(each.id), each.via) for each in said.endpoints] == [
            ("10.0.0.1:8080", "prod-eu1"),
            ("10.0.0.2:8080", "prod-eu1"),
        ]
        await one.say(MORE)
        await reader.until(lambda: len(reader.seen[-1].services[name("shop/payments")].endpoints) == 3)


@every
async def test_what_came_through_us_once_ends_here(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    relayed = Service.of(
        PAYMENTS.name, [endpoint("10.0.0.1:80", via="prod-us1 far"), endpoint("10.0.0.2:80", via="far")]
    )
    async with writing(path, form) as one:
        await one.say(relayed)
    async with writing(None, mark=OTHER, files=[str(path)]) as reader:
        said = reader.seen[-1].services[PAYMENTS.name]
        assert [(str(each.id), each.via) for each in said.endpoints] == [("10.0.0.2:80", "far prod-eu1")]


async def test_half_of_another_bridges_file_is_no_view(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
    text = path.read_text()
    async with writing(None, mark=OTHER, files=[str(path)]) as reader:
        put(path, text.partition("# end")[0])
        await reader.until(lambda: "is the file half written?" in reader.problems)
        assert len(reader.seen[-1].services[PAYMENTS.name].endpoints) == 2


async def test_prometheus_has_targets_and_labels_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "bridge.json"
    async with writing(path, "file_sd") as one:
        await one.say(PAYMENTS)
    groups = json.loads(path.read_text())
    assert [group["targets"] for group in groups] == [[], ["10.0.0.1:8080", "10.0.0.2:8080"]]
    assert all(group.keys() == {"targets", "labels"} for group in groups)


# A lookup in files needs /etc/hosts; the namespace of mounts that it is changed in ends with the command.
LOOKUP = 'mount --bind "$1" /etc/hosts && getent ahostsv4 "$2"'


def may_mount() -> bool:
    try:
        return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not may_mount(), reason="the kernel lets this user bind no file over /etc/hosts")
async def test_getent_finds_the_names_of_a_hosts_file(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    async with writing(path, "hosts") as one:
        await one.say(PAYMENTS)
    command = ["unshare", "-m", "sh", "-c", LOOKUP, "sh", str(path), "payments.shop"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in found.stdout.splitlines()} == {"10.0.0.1", "10.0.0.2"}


# Claims


@pytest.mark.promise("law-6")
async def test_a_claim_is_written_beside_the_file_which_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
        before = path.stat()
        await one.sink.claim(one.target, Claim("prod-eu1", "cluster-a", 1, 1000.0))
        await one.until(lambda: one.held is not None and bool(one.held.claims))
        assert one.held is not None
        (standing,) = one.held.claims
        assert (standing.owner, standing.deployment, standing.term, standing.beat) == (
            "prod-eu1",
            "cluster-a",
            1,
            1000.0,
        )
        with pytest.raises(Conflict):
            await one.sink.claim(one.target, Claim("prod-eu1", "cluster-a", 2, 1030.0))
        await one.sink.claim(one.target, Claim("prod-eu1", "cluster-a", 2, 1030.0, True, standing.revision))
        await one.until(lambda: one.held is not None and one.held.claims[0].tombstone)
        assert path.stat() == before


async def test_claims_of_several_owners_stand_side_by_side(tmp_path: Path) -> None:
    async with writing(tmp_path / "vms.yaml") as one:
        await one.sink.claim(one.target, Claim("prod-us1", "b", 7, 1000.0))
        await one.sink.claim(one.target, Claim("prod-eu1", "a", 1, 1000.0))
        await one.until(lambda: one.held is not None and len(one.held.claims) == 2)
        assert one.held is not None
        assert [(each.owner, each.term) for each in one.held.claims] == [("prod-eu1", 1), ("prod-us1", 7)]


@pytest.mark.promise("law-6")
async def test_who_was_succeeded_writes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as old, writing(path) as new:
        await old.sink.claim(old.target, Claim("prod-eu1", "a", 1, 1000.0))
        await new.until(lambda: new.held is not None and bool(new.held.claims))
        assert new.held is not None
        await new.sink.claim(new.target, Claim("prod-eu1", "a", 2, 1001.0, False, new.held.claims[0].revision))
        with pytest.raises(Conflict, match="is claimed by deployment a in term 2"):
            await old.sink.apply(old.target, Put(old.change(PAYMENTS).record))
        await new.say(PAYMENTS)


async def test_claims_that_cannot_be_read_are_told_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    (tmp_path / ".vms.yaml.claim").write_text("{]")
    async with writing(path) as one:
        assert "holds no claims of bridges" in one.problems
        await one.say(PAYMENTS)
        await one.sink.claim(one.target, Claim("prod-eu1", "a", 1, 1000.0))
        await one.until(lambda: not one.problems)


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
    ran = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, f"seed {seed}: {ran.stdout}{ran.stderr}"
    assert ran.stdout.startswith(f"{kills} kills")
