import hashlib
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.model import Endpoint, Health, Locality, Port, Service, ServiceName, Services, SourceName
from bridge.runtime.snapshot import Snapshots, View, file_safe
from bridge.runtime.snapshot_format import CorruptError, decode, encode
from bridge.table import Table
from bridge.testing.clock import FakeClock
from tests.builders import endpoint, hosts, service, services
from tests.engines import policy

VMS = SourceName("vms")
VIEW = services(
    service("shop/web", "10.0.0.1:80", endpoint("10.0.0.2:80", health=Health.DRAINING, weight=3, held=True)),
    service("shop/api", "[2001:db8::1]:81", metadata=(("team", "api"),)),
)


def opened(folder: Path, clock: FakeClock | None = None) -> Snapshots:
    snapshots = Snapshots(folder, clock or FakeClock())
    snapshots.open()
    return snapshots


def written(folder: Path, view: Services = VIEW, clock: FakeClock | None = None) -> Path:
    clock = clock or FakeClock()
    snapshots = opened(folder, clock)
    snapshots.write_now([View(VMS, view, clock.wall())])
    assert snapshots.problems() == ()
    snapshots.close()
    return folder / "vms.snapshot"


def test_what_was_written_is_read_again_with_its_age(tmp_path: Path) -> None:
    clock = FakeClock()
    written(tmp_path, clock=clock)
    clock.jump(90)
    read = opened(tmp_path, clock).read(VMS, policy())
    assert read is not None
    assert (read.services, read.age) == (VIEW, 90)


def test_nothing_is_read_where_nothing_was_written(tmp_path: Path) -> None:
    snapshots = opened(tmp_path)
    assert snapshots.read(VMS, policy()) is None
    assert snapshots.problems() == ()


def test_a_snapshot_passes_the_policy_of_today(tmp_path: Path) -> None:
    written(tmp_path)
    read = opened(tmp_path).read(VMS, policy("10.0.0.0/16", namespaces=["shop"]))
    assert read is not None
    assert [str(one.id) for each in read.services.values() for one in each.endpoints] == ["10.0.0.1:80", "10.0.0.2:80"]
    none = Snapshots(tmp_path, FakeClock()).read(VMS, policy(namespaces=["other"]))
    assert none is not None
    assert len(none.services) == 0


@pytest.mark.promise("R-31")
@pytest.mark.parametrize("damage", ["cut", "byte", "empty", "other", "tail"])
def test_a_damaged_file_is_set_aside_with_a_problem_and_the_next_one_is_good(tmp_path: Path, damage: str) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 1
    path.write_bytes(
        {"cut": whole[:-7], "byte": bytes(flipped), "empty": b"", "other": b"services: []\n", "tail": whole + b"x"}[
            damage
        ]
    )
    snapshots = opened(tmp_path)
    assert snapshots.read(VMS, policy()) is None
    (problem,) = snapshots.problems()
    assert "vms.snapshot: is damaged: its checksum does not fit; set aside as vms.corrupt" in str(problem)
    assert (tmp_path / "vms.corrupt").exists()
    snapshots.write_now([View(VMS, VIEW, 0.0)])
    assert snapshots.problems() == ()
    assert path.read_bytes()[:-34] != b""


@pytest.mark.promise("S-17")
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_are_more_than_a_damaged_snapshot(noise: bytes, checked: bool) -> None:
    file = _sealed(noise) if checked else noise
    try:
        header, _ = decode(file)
    except CorruptError:
        return
    assert isinstance(header.source, str)


def _sealed(body: bytes) -> bytes:
    return body + b"\x1a\x20" + hashlib.blake2b(body, digest_size=32).digest()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
endpoints = st.builds(
    Endpoint,
    st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1"]),
    st.lists(st.builds(Port, texts, st.integers(1, 65535), texts, texts), min_size=1, max_size=3).map(tuple),
    st.sampled_from([None, *Health]),
    st.builds(Locality, texts, texts, texts),
    texts,
    st.integers(1, 65535),
    texts,
    st.booleans(),
    st.lists(st.tuples(texts, texts), max_size=2, unique_by=lambda pair: pair[0]).map(lambda some: tuple(sorted(some))),
)
views = st.dictionaries(
    st.builds(ServiceName, texts, texts), st.lists(endpoints, max_size=3, unique_by=lambda one: one.id), max_size=3
).map(lambda said: Table({name: Service.of(name, them) for name, them in said.items()}))


@given(views, texts, st.floats(0, 4e9))
def test_every_view_survives_the_file(view: Services, source: str, wall: float) -> None:
    header, read = decode(b"".join(encode(source, wall, view)))
    assert (header.source, header.wall, read) == (source, wall, view)


def test_a_format_of_the_future_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("bridge.runtime.snapshot_format.FORMAT", 2)
        written(tmp_path)
    snapshots = opened(tmp_path)
    assert snapshots.read(VMS, policy()) is None
    assert "has format 2; this bridge reads 1" in str(snapshots.problems()[0])


@pytest.mark.promise("R-30")
def test_a_clock_that_was_set_back_does_not_make_a_snapshot_old(tmp_path: Path) -> None:
    clock = FakeClock()
    written(tmp_path, clock=clock)
    clock.jump(-3_600)
    read = opened(tmp_path, clock).read(VMS, policy())
    assert read is not None
    assert read.age == 0


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the error that a full disk gives, as far as the writer sees it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.promise("R-31")
def test_a_full_disk_is_a_problem_until_there_is_room_and_the_last_file_stands(tmp_path: Path) -> None:
    snapshots = opened(tmp_path)
    snapshots.write_now([View(VMS, VIEW, 0.0)])
    last = (tmp_path / "vms.snapshot").read_bytes()
    many = services(service("shop/web", *hosts(5_000)))
    with full_disk(10_000):
        snapshots.write_now([View(VMS, many, 1.0)])
    assert "vms.snapshot: cannot be written: " in str(snapshots.problems()[0])
    assert (tmp_path / "vms.snapshot").read_bytes() == last
    snapshots.write_now([View(VMS, many, 1.0)])
    assert snapshots.problems() == ()
    assert decode((tmp_path / "vms.snapshot").read_bytes())[1] == many


@pytest.mark.promise("R-31")
def test_a_folder_that_cannot_be_made_is_a_problem_and_the_bridge_runs_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    snapshots = opened(tmp_path / "file" / "state")
    assert "cannot be used" in str(snapshots.problems()[0])
    assert snapshots.read(VMS, policy()) is None
    snapshots.write_now([View(VMS, VIEW, 0.0)])
    assert any("cannot be written" in str(one) for one in snapshots.problems())
    (tmp_path / "file").unlink()
    snapshots.write_now([View(VMS, VIEW, 0.0)])
    assert snapshots.problems() == ()
    assert (tmp_path / "file" / "state" / "vms.snapshot").exists()


@pytest.mark.promise("R-31")
@pytest.mark.parametrize("empties", [False, True])
async def test_a_folder_that_somebody_deletes_or_empties_comes_back_as_it_was(tmp_path: Path, empties: bool) -> None:
    folder = tmp_path / "state"
    snapshots = Snapshots(folder, FakeClock(), {"name": b"one"})
    snapshots.open()
    await snapshots.write([View(VMS, VIEW, 0.0)])
    (folder / "name").write_bytes(b"another")  # what is there stays
    shutil.copytree(folder, tmp_path / "before")
    await snapshots.write([View(VMS, VIEW, 0.0)])
    assert snapshots.writes == 1
    shutil.rmtree(folder)
    if empties:
        folder.mkdir()
    await snapshots.write([View(VMS, VIEW, 0.0)])
    assert snapshots.problems() == ()
    assert sorted(one.name for one in folder.iterdir()) == ["lock", "name", "vms.snapshot"]
    assert (folder / "name").read_bytes() == b"one"
    assert (folder / "vms.snapshot").read_bytes() == (tmp_path / "before" / "vms.snapshot").read_bytes()
    with pytest.raises(ConfigError, match="is used by another bridge"):
        opened(folder)


@pytest.mark.promise("R-31")
def test_a_folder_that_another_bridge_took_meanwhile_is_left_to_it(tmp_path: Path) -> None:
    first = opened(tmp_path / "state")
    shutil.rmtree(tmp_path / "state")
    second = opened(tmp_path / "state")
    first.write_now([View(VMS, VIEW, 0.0)])
    assert "is used by another bridge" in str(first.problems()[0])
    assert second.read(VMS, policy()) is None


def test_a_second_bridge_on_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path)
    assert str(caught.value) == (
        f"snapshot.path: {tmp_path} is used by another bridge (pid {os.getpid()}); "
        "stop it, or give this one a folder of its own"
    )
    first.close()
    opened(tmp_path).close()


async def test_a_view_that_stayed_the_same_is_written_again_only_to_stay_young(tmp_path: Path) -> None:
    clock = FakeClock()
    snapshots = opened(tmp_path, clock)
    for _ in range(10):
        await snapshots.write([View(VMS, VIEW, clock.wall())])
        await clock.advance(5)
    assert snapshots.writes == 1
    await clock.advance(300)
    await snapshots.write([View(VMS, VIEW, clock.wall())])
    assert snapshots.writes == 2
    read = snapshots.read(VMS, policy())
    assert read is not None
    assert read.age == 0


@pytest.mark.parametrize(
    "source", ["..", ".", "a/b", "../../etc/passwd", "/etc", "%2F", "a\x00b", "ü" * 200, "vms", "~"]
)
def test_a_source_of_any_name_has_a_file_of_its_own_in_the_folder(tmp_path: Path, source: str) -> None:
    snapshots = opened(tmp_path / "state")
    names = [SourceName(source), VMS]
    snapshots.write_now([View(one, VIEW, 0.0) for one in dict.fromkeys(names)])
    assert snapshots.problems() == ()
    assert all(snapshots.read(one, policy()) is not None for one in names)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@given(st.text(max_size=300), st.text(max_size=300))
def test_two_names_never_share_a_file(one: str, other: str) -> None:
    try:
        one.encode(), other.encode()
    except UnicodeEncodeError:
        return
    assert (file_safe(one) == file_safe(other)) is (one == other)
    assert "/" not in file_safe(one)
    assert len(file_safe(one)) <= 200
