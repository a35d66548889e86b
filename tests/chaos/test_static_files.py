"""Inventories on a real file system, changed in every way in which operators and their tools change files."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from adapters.static.settings import Settings
from adapters.static.watch import Watch
from bridge.errors import Unavailable
from bridge.kit import Kit
from bridge.model import ServiceName
from bridge.runtime.clock import SystemClock
from tests.observed import PATIENCE, Observed, observing

pytestmark = pytest.mark.usefixtures("unprivileged")


def inventory(*addresses: str, service: str = "a") -> str:
    lines = "".join(f"      - {address}\n" for address in addresses)
    return f"services:\n  - name: shop/{service}\n    port: 80\n    endpoints:\n{lines or '      []'}"


def opened(*files: Path | str) -> Settings:
    return Settings.model_validate({"name": "vms", "kind": "static", "files": [str(file) for file in files]})


class Watched(Observed):
    """An inventory that is watched."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.open(Kit("vms", SystemClock())))

    def addresses(self, service: str = "a") -> list[str]:
        said = self.now.services.get(ServiceName("shop", service))
        return [] if said is None else [endpoint.address for endpoint in said.endpoints]


def watching(*files: Path | str) -> AbstractAsyncContextManager[Watched]:
    return observing(Watched(opened(*files)))


def put(path: Path, text: str | bytes) -> None:
    """As careful tools do it: write aside, rename."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(text.encode() if isinstance(text, str) else text)
    aside.replace(path)


@pytest.fixture
def vms(tmp_path: Path) -> Path:
    path = tmp_path / "vms.yaml"
    put(path, inventory("10.0.0.1", "10.0.0.2"))
    return path


def by_rename(path: Path, text: str) -> None:
    put(path, text)


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def in_two_writes(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        file.write(text[len(text) // 2 :])


def like_vim(path: Path, text: str) -> None:
    """Move the old one aside, write a new one under the name, remove the old one."""
    backup = path.with_name(f"{path.name}~")
    path.rename(backup)
    path.write_text(text)
    backup.unlink()


def by_unlink(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def by_cp(path: Path, text: str) -> None:
    other = path.with_name("other")
    other.write_text(text)
    subprocess.run(["cp", other, path], check=True)


def by_link(path: Path, text: str) -> None:
    target = path.with_name(f"target-{len(list(path.parent.iterdir()))}")
    target.write_text(text)
    link = path.with_name(".link")
    link.symlink_to(target.name)
    link.replace(path)


@pytest.mark.promise("R-22")
@pytest.mark.parametrize("write", [by_rename, in_place, in_two_writes, like_vim, by_unlink, by_cp, by_link])
async def test_every_way_of_writing_is_followed_again_and_again(write: Callable[[Path, str], None], vms: Path) -> None:
    async with watching(vms) as source:
        for number in range(3, 6):
            write(vms, inventory("10.0.0.1", f"10.0.0.{number}"))
            await source.until(lambda number=number: source.addresses() == ["10.0.0.1", f"10.0.0.{number}"])
        await source.answered()
        assert not source.now.problems
        assert all(len(seen.services[ServiceName("shop", "a")].endpoints) == 2 for seen in source.seen)


@pytest.mark.promise("R-22")
@pytest.mark.parametrize("at", ["file", "pattern"])
async def test_a_configmap_is_followed_swap_after_swap(at: str, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()

    def swap(version: int) -> None:
        folder = mount / f"..2026_{version}"
        folder.mkdir()
        (folder / "vms.yaml").write_text(inventory(f"10.0.0.{version}"))
        (mount / "..data_tmp").symlink_to(folder.name)
        (mount / "..data_tmp").replace(mount / "..data")
        old = mount / f"..2026_{version - 1}"
        if old.exists():
            (old / "vms.yaml").unlink()
            old.rmdir()

    swap(1)
    (mount / "vms.yaml").symlink_to("..data/vms.yaml")
    async with watching(mount / ("vms.yaml" if at == "file" else "*.yaml")) as source:
        for version in range(2, 7):
            swap(version)
            await source.until(lambda version=version: source.addresses() == [f"10.0.0.{version}"])
        assert not any(seen.problems for seen in source.seen)


@pytest.mark.promise("R-22")
async def test_a_file_that_is_slowly_written_in_place_is_never_seen_by_halves(vms: Path) -> None:
    text = inventory(*(f"10.0.1.{number}" for number in range(1, 9)))
    async with watching(vms) as source:
        with vms.open("w") as file:
            for line in text.splitlines(keepends=True):
                file.write(line)
                file.flush()
                await asyncio.sleep(0.1)
        await source.until(lambda: len(source.addresses()) == 8)
        assert {len(seen.services[ServiceName("shop", "a")].endpoints) for seen in source.seen} == {2, 8}


def emptied(path: Path) -> None:
    path.write_text("")


def emptied_by_rename(path: Path) -> None:
    put(path, "")


def only_comments(path: Path) -> None:
    put(path, "# services:\n")


def half_written(path: Path) -> None:
    put(path, "services:\n  - name: shop/a\n    endpoints: [10.0.0.1,\n")


def garbage(path: Path) -> None:
    put(path, bytes(range(256)) * 100)


def of_another_shape(path: Path) -> None:
    put(path, "hosts: [10.0.0.1]\n")


def unknown_key(path: Path) -> None:
    put(path, "services:\n  - name: shop/a\n    endpoint: [10.0.0.1]\n")


def mostly_bad(path: Path) -> None:
    put(path, inventory("010.0.0.1", "10.0.0.2"))


def deleted(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def a_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def too_large(path: Path) -> None:
    put(path, "#" * (17 * 1024 * 1024))


def unreadable(path: Path) -> None:
    path.chmod(0)


FAULTS = [
    (emptied, "vms.yaml: is empty"),
    (emptied_by_rename, "vms.yaml: is empty"),
    (only_comments, "vms.yaml: is empty"),
    (half_written, "vms.yaml:4: is not YAML"),
    (garbage, "vms.yaml:2: is not UTF-8"),
    (of_another_shape, "vms.yaml:1: hosts: unknown key"),
    (unknown_key, "vms.yaml:3: services[0].endpoint: unknown key; did you mean 'endpoints'?"),
    (mostly_bad, "vms.yaml:5: services[0].endpoints[0]: '010.0.0.1' is not an IP address"),
    (deleted, "vms.yaml: is not there"),
    (a_folder, "vms.yaml: is not a regular file"),
    (a_loop, "vms.yaml: is a link that leads back to itself"),
    (a_dangling_link, "vms.yaml: is not there"),
    (a_pipe, "vms.yaml: is not a regular file"),
    (too_large, "vms.yaml: holds more than 16,777,216 bytes"),
    (unreadable, "vms.yaml: may not be read by user"),
]


@pytest.mark.promise("R-22", "law-4")
@pytest.mark.parametrize(("break_", "why"), FAULTS)
async def test_the_last_good_view_of_a_broken_file_stands_until_it_is_mended(
    break_: Callable[[Path], None], why: str, vms: Path
) -> None:
    async with watching(vms) as source:
        good = source.now.services
        break_(vms)
        await source.until(lambda: why in source.problems)
        await source.answered()
        assert source.now.services is good
        (problem,) = source.now.problems
        assert problem.kind == "file"
        assert "stands)" in problem.what
        (unread,) = source.now.unread
        assert unread.part == str(vms)
        assert source.now.parts == 1
        if vms.is_dir():
            vms.rmdir()
        put(vms, inventory("10.0.0.9"))
        await source.until(lambda: source.addresses() == ["10.0.0.9"])
        assert not source.now.problems
        assert not source.now.unread


@pytest.mark.promise("R-22", "law-3")
@pytest.mark.parametrize(("break_", "why"), FAULTS)
async def test_before_the_first_whole_view_a_broken_file_makes_the_source_unavailable(
    break_: Callable[[Path], None], why: str, vms: Path, tmp_path: Path
) -> None:
    put(tmp_path / "good.yaml", inventory("10.0.0.7", service="good"))
    break_(vms)
    source = opened(vms, tmp_path / "good.yaml").open(Kit("vms", SystemClock()))
    with pytest.raises(Unavailable) as caught:
        await anext(source.observe())
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    if vms.is_dir():
        vms.rmdir()
    put(vms, inventory("10.0.0.9"))
    async with contextlib.aclosing(source.observe()) as observations:  # type: ignore[type-var]
        seen = await anext(observations)
    assert len(seen.services) == 2


@pytest.mark.promise("law-1", "law-3")
async def test_a_pattern_that_matches_nothing_is_no_empty_registry(tmp_path: Path) -> None:
    source = opened(tmp_path / "*.yaml").open(Kit("vms", SystemClock()))
    with pytest.raises(Unavailable, match="matches no file"):
        await anext(source.observe())


async def test_an_explicit_empty_list_is_a_view(vms: Path) -> None:
    async with watching(vms) as source:
        put(vms, "services: []\n")
        await source.until(lambda: len(source.now.services) == 0)
        assert not source.now.problems


async def test_new_files_of_a_pattern_join_and_vanished_ones_are_remembered(vms: Path) -> None:
    async with watching(vms.parent / "*.yaml") as source:
        put(vms.with_name("more.yaml"), inventory("10.0.0.3", service="b"))
        await source.until(lambda: source.addresses("b") == ["10.0.0.3"])
        assert source.now.parts == 2
        vms.unlink()
        await source.until(lambda: "vms.yaml: is not there" in source.problems)
        assert source.addresses("a") == ["10.0.0.1", "10.0.0.2"]
        put(vms.with_name("more.yaml"), inventory("10.0.0.4", service="b"))
        await source.until(lambda: source.addresses("b") == ["10.0.0.4"])
        assert source.now.parts == 2
        assert [unread.part for unread in source.now.unread] == [str(vms)]


async def test_an_endpoint_in_two_files_is_reported_and_the_first_one_counts(vms: Path) -> None:
    async with watching(vms.parent / "*.yaml") as source:
        put(vms.with_name("zz.yaml"), inventory("10.0.0.2", "10.0.0.3"))
        await source.until(lambda: len(source.addresses()) == 3)
        (problem,) = source.now.problems
        assert problem.kind == "duplicate"
        assert problem.where.endswith("zz.yaml")
        put(vms.with_name("zz.yaml"), inventory("10.0.0.3"))
        await source.until(lambda: not source.now.problems)


@pytest.mark.promise("R-39")
@pytest.mark.parametrize("bad", [1, 3])
async def test_files_that_fail_for_ever_keep_their_last_view_and_the_others_go_on(bad: int, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.yaml" for number in range(10)]
    for number, file in enumerate(files):
        put(file, inventory(f"10.0.{number}.1", service=f"s{number}"))
    async with watching(tmp_path / "*.yaml") as source:
        for file in files[:bad]:
            put(file, "services:\n  - {nam: x}\n")
        await source.until(lambda: len(source.now.unread) == bad)
        for number in range(bad, 10):
            put(files[number], inventory(f"10.0.{number}.2", service=f"s{number}"))
        await source.until(lambda: all(source.addresses(f"s{i}") == [f"10.0.{i}.2"] for i in range(bad, 10)))
        await source.answered()
        assert [source.addresses(f"s{number}") for number in range(bad)] == [[f"10.0.{i}.1"] for i in range(bad)]
        assert (len(source.now.unread), source.now.parts) == (bad, 10)
        assert [problem.kind for problem in source.now.problems] == ["file"] * bad
        assert all(":2: services[0].nam: unknown key" in str(problem) for problem in source.now.problems)


async def test_a_refresh_reads_everything_and_says_so_though_nothing_changed(vms: Path) -> None:
    async with watching(vms) as source:
        before = source.now
        await source.answered()
        assert source.now.services is before.services
        assert source.now.read > before.read


@pytest.mark.promise("R-29")
async def test_of_many_quick_changes_the_last_one_stands(vms: Path) -> None:
    async with watching(vms) as source:
        for number in range(300):
            put(vms, inventory(f"10.1.{number // 250}.{number % 250 + 1}"))
            if number % 7 == 0:
                await asyncio.sleep(0.003)
        await source.until(lambda: source.addresses() == ["10.1.1.50"])
        await source.answered()
        assert source.addresses() == ["10.1.1.50"]
        assert not source.now.problems


@pytest.mark.promise("R-22", "law-10")
@pytest.mark.parametrize("how", ["renamed", "removed"])
async def test_a_folder_that_was_replaced_is_followed_again(how: str, tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    put(folder / "vms.yaml", inventory("10.0.0.1"))
    async with watching(folder / "*.yaml") as source:
        if how == "renamed":
            folder.rename(tmp_path / "old")
        else:
            (folder / "vms.yaml").unlink()
            folder.rmdir()
        await source.until(lambda: "is not there" in source.problems)
        assert source.addresses() == ["10.0.0.1"]
        folder.mkdir()
        put(folder / "vms.yaml", inventory("10.0.0.2"))
        await source.until(lambda: source.addresses() == ["10.0.0.2"])
        put(folder / "vms.yaml", inventory("10.0.0.3"))
        await source.until(lambda: source.addresses() == ["10.0.0.3"])


@pytest.mark.promise("law-10")
async def test_without_hints_the_poll_sees_the_change(vms: Path, tmp_path: Path) -> None:
    """A hard link from a folder that nobody watches changes the content and tells nobody."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    os.link(vms, hidden / "vms")
    async with watching(vms) as source:
        await asyncio.sleep(0.3)
        (hidden / "vms").write_text(inventory("10.0.0.8"))
        await source.until(lambda: source.addresses() == ["10.0.0.8"])


async def test_folders_that_cannot_be_watched_are_tried_again_when_it_is_time(tmp_path: Path) -> None:
    folder, changed = tmp_path / "later", asyncio.Event()
    watch = Watch(changed)
    assert await watch.follow({folder: (0, 0)}, retry=False)
    async with asyncio.timeout(PATIENCE):
        await changed.wait()
    folder.mkdir()
    assert not await watch.follow({folder: (0, 0)}, retry=False)
    assert await watch.follow({folder: (0, 0)}, retry=True)
    changed.clear()
    async with asyncio.timeout(PATIENCE):
        while not changed.is_set():
            put(folder / "x", "x")
            await asyncio.sleep(0.02)
    assert not watch.error
    await watch.stop()


def inotify() -> set[str]:
    found = set()
    for handle in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if "inotify" in str(handle.readlink()):
                found.add(handle.name)
    return found


async def test_cancelling_releases_what_the_kernel_was_asked_for(vms: Path) -> None:
    before = inotify()
    async with watching(vms) as source:
        await source.answered()
        async with asyncio.timeout(PATIENCE):
            while not inotify() - before:
                await asyncio.sleep(0.01)
    async with asyncio.timeout(PATIENCE):
        while inotify() - before:
            await asyncio.sleep(0.01)
