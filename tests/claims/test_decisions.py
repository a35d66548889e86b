import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bridge.adapter import Target
from bridge.errors import BridgeError, ConfigError, Conflict, Denied, Unavailable
from bridge.kit.election import Kept
from bridge.model import SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.decisions import EXPIRES, Decisions, Document, parse
from bridge.runtime.shelf import FILE, FileShelf, Memory, shelf
from bridge.testing.clock import FakeClock
from tests.builders import eid, name

VMS = SourceName("vms")
HOLD = (name("shop/web"), eid("10.0.0.1:80"))


async def loaded(folder: Path | None, clock: FakeClock) -> Decisions:
    decisions = Decisions(shelf(None, folder), clock)
    await decisions.load()
    return decisions


async def test_what_was_decided_is_in_force_at_once_and_after_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    decisions = await loaded(tmp_path, clock)
    await decisions.accept(VMS, [HOLD], clock.wall())
    await decisions.accept_health(VMS, clock.wall())
    await decisions.freeze(VMS, clock.wall() + 600)
    orders = decisions.current.value[VMS]
    assert orders.accepted == {HOLD: clock.wall()}
    assert (orders.health, orders.frozen) == (clock.wall(), clock.now() + 600)
    assert (await loaded(tmp_path, clock)).current.value == decisions.current.value
    await decisions.unfreeze(VMS)
    assert decisions.current.value[VMS].frozen is None


async def test_accepted_removals_are_of_one_target_last_over_a_restart_and_expire(tmp_path: Path) -> None:
    clock = FakeClock()
    decisions = await loaded(tmp_path, clock)
    here, there = Target("a.json"), Target("b.json")
    await decisions.accept_removals(VMS, here, [HOLD], clock.wall())
    await decisions.accept_removals(VMS, there, [HOLD], clock.wall() - EXPIRES)
    assert decisions.current.value[VMS].removals == {here: {HOLD: clock.wall()}}
    assert decisions.current.value[VMS].accepted == {}
    assert (await loaded(tmp_path, clock)).current.value == decisions.current.value
    await clock.advance(EXPIRES + 1)
    await decisions.load()
    assert decisions.current.value == {}


def test_a_document_from_before_there_were_removals_is_read() -> None:
    old = b'{"format": 1, "version": 3, "accepted": [], "health": [], "freezes": []}'
    assert parse(old, "decisions.json") == Document(3)


async def test_without_a_folder_decisions_last_as_long_as_the_process() -> None:
    clock = FakeClock()
    decisions = await loaded(None, clock)
    await decisions.accept(VMS, [HOLD], clock.wall())
    assert decisions.current.value[VMS].accepted == {HOLD: clock.wall()}
    assert (await loaded(None, clock)).current.value == {}


async def test_what_was_decided_long_ago_takes_no_room() -> None:
    clock = FakeClock()
    decisions = await loaded(None, clock)
    for number in range(20):
        await decisions.accept(VMS, [(name("shop/web"), eid(f"10.0.0.{number}:80"))], clock.wall())
        await decisions.freeze(VMS, clock.wall() + 60)
        await clock.advance(EXPIRES + 1)
    assert len(decisions._ends) <= 2


async def test_an_accepted_hold_expires_after_an_hour_and_a_freeze_at_its_end(tmp_path: Path) -> None:
    clock = FakeClock()
    decisions = await loaded(tmp_path, clock)
    await decisions.accept(VMS, [HOLD], clock.wall())
    await decisions.freeze(VMS, clock.wall() + 5_400)
    run = asyncio.create_task(decisions.run())
    await clock.advance(EXPIRES - 2)
    assert decisions.current.value[VMS].accepted
    await clock.advance(4)
    assert not decisions.current.value[VMS].accepted
    assert decisions.current.value[VMS].frozen is not None
    await clock.advance(1_800)
    assert decisions.current.value == {}
    await decisions.freeze(SourceName("other"), clock.wall() + 60)
    assert json.loads((tmp_path / FILE).read_text())["accepted"] == []  # what expired is written away
    run.cancel()


@pytest.mark.promise("R-30")
@pytest.mark.parametrize("jump", [3_600.0 * 5, -3_600.0 * 5])
async def test_a_clock_that_jumps_while_the_bridge_runs_ends_nothing_and_prolongs_nothing(
    tmp_path: Path, jump: float
) -> None:
    clock = FakeClock()
    decisions = await loaded(tmp_path, clock)
    await decisions.accept(VMS, [HOLD], clock.wall())
    await decisions.freeze(VMS, clock.wall() + 600)
    before = decisions.current.value
    clock.jump(jump)
    run = asyncio.create_task(decisions.run())
    await clock.advance(598)
    assert decisions.current.value == before
    await clock.advance(4)
    assert decisions.current.value[VMS].frozen is None
    await clock.advance(EXPIRES)
    assert decisions.current.value == {}
    run.cancel()


async def test_what_another_process_writes_is_seen_within_a_second(tmp_path: Path) -> None:
    clock = FakeClock()
    decisions, other = await loaded(tmp_path, clock), await loaded(tmp_path, clock)
    run = asyncio.create_task(decisions.run())
    await clock.idle()
    await other.accept(VMS, [HOLD], clock.wall())
    await clock.advance(1)
    assert decisions.current.value == other.current.value
    run.cancel()


@pytest.mark.parametrize(
    "garbage", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "version": 1, "accepted": [{}]}', "[" * 100_000]
)
async def test_a_bad_file_leaves_in_force_what_was_and_says_so(tmp_path: Path, garbage: str) -> None:
    clock = FakeClock()
    decisions = await loaded(tmp_path, clock)
    await decisions.freeze(VMS, clock.wall() + 600)
    before = decisions.current.value
    good = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(garbage)
    await decisions.load()
    assert decisions.current.value == before
    (problem,) = decisions.problems()
    assert "what was decided before stands" in str(problem)
    with pytest.raises(ConfigError):
        await decisions.unfreeze(VMS)
    assert (tmp_path / FILE).read_text() == garbage
    (tmp_path / FILE).write_text(good)
    await decisions.load()
    assert decisions.problems() == ()


@pytest.mark.promise("S-17")
@given(
    st.sampled_from(["format", "version", "accepted", "health", "freezes"]),
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ),
)
def test_no_file_is_more_than_a_bad_one(key: str, said: object) -> None:
    whole = {"format": 1, "version": 1, "accepted": [], "health": [], "freezes": []}
    try:
        document = parse(json.dumps({**whole, key: said}).encode(), FILE)
    except ConfigError:
        return
    assert (document.accepted, document.health, document.frozen) == ({}, {}, {})


async def test_a_document_that_somebody_else_replaced_is_not_overwritten(tmp_path: Path) -> None:
    first, second = FileShelf(tmp_path / FILE), FileShelf(tmp_path / FILE)
    await first.write(b"one", None)
    kept = await second.read()
    await first.write(b"two", await first.read())
    for stale in (kept, None):
        with pytest.raises(Conflict, match="was written by somebody else meanwhile"):
            await second.write(b"three", stale)
    now = await second.read()
    assert now is not None
    assert now.content == b"two"


async def test_of_many_writers_at_once_none_is_lost(tmp_path: Path) -> None:
    clock = SystemClock()
    writers = [Decisions(shelf(None, tmp_path), clock) for _ in range(16)]
    async with asyncio.TaskGroup() as group:
        for number, writer in enumerate(writers):
            group.create_task(writer.freeze(SourceName(f"s{number}"), clock.wall() + 60))
    document = parse((tmp_path / FILE).read_bytes(), FILE)
    assert document.version == 16
    assert len(document.frozen) == 16


@pytest.mark.promise("R-31")
async def test_a_decision_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    clock = FakeClock()
    (tmp_path / "file").write_text("in the way")
    decisions = await loaded(tmp_path / "file", clock)
    with pytest.raises(Unavailable, match="nothing was decided"):
        await decisions.freeze(VMS, clock.wall() + 60)
    assert decisions.current.value == {}


class Remote(Memory):
    """A shelf that several replicas share, and that can be out of reach."""

    place = "configmap registry-bridge-decisions"
    pace = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.error: BridgeError | None = None
        self.silent = asyncio.Event()
        self.silent.set()
        self.asked = 0

    async def read(self) -> Kept | None:
        self.asked += 1
        await self.silent.wait()
        if self.error is not None:
            raise self.error
        return await super().read()

    async def write(self, content: bytes, replaces: Kept | None) -> None:
        await self.read()
        await super().write(content, replaces)


async def replica(remote: Remote, clock: FakeClock) -> tuple[Decisions, asyncio.Task[None]]:
    decisions = Decisions(remote, clock)
    await decisions.load()
    return decisions, asyncio.create_task(decisions.run())


async def test_what_one_replica_is_told_is_in_force_on_all_of_them_and_on_those_that_come_later() -> None:
    clock, remote = FakeClock(), Remote()
    replicas = [await replica(remote, clock) for _ in range(3)]
    await replicas[0][0].accept(VMS, [HOLD], clock.wall())
    await clock.advance(2)
    await replicas[1][0].freeze(VMS, clock.wall() + 600)
    await clock.advance(2)
    replicas.append(await replica(remote, clock))
    assert {len(one.current.value[VMS].accepted) for one, _ in replicas} == {1}
    assert {one.current.value[VMS].frozen for one, _ in replicas} == {clock.now() + 598}
    for _, run in replicas:
        run.cancel()


@pytest.mark.parametrize("error", [Unavailable("api: gone"), Denied("api: you may not read it; grant that")])
async def test_a_shelf_out_of_reach_leaves_in_force_what_was_says_so_once_and_is_asked_ever_more_slowly(
    error: BridgeError,
) -> None:
    clock, remote = FakeClock(), Remote()
    decisions, run = await replica(remote, clock)
    await decisions.freeze(VMS, clock.wall() + 500)
    before = decisions.current.value
    remote.error, remote.asked = error, 0
    with capture_logs() as log:
        await clock.advance(490)
        assert decisions.current.value == before
        assert [str(one) for one in decisions.problems()] == [
            f"{remote.place}: {error}; what was decided before stands"
        ]
        assert [one["event"] for one in log] == ["decisions not read"]
        assert 6 < remote.asked < 40
        with pytest.raises(type(error)):
            await decisions.unfreeze(VMS)
        await clock.advance(20)
        assert decisions.current.value == {}  # what ends, ends
    remote.error = None
    await clock.advance(70)
    assert decisions.problems() == ()
    run.cancel()


async def test_a_shelf_that_does_not_answer_is_out_of_reach() -> None:
    clock, remote = FakeClock(), Remote()
    decisions, run = await replica(remote, clock)
    remote.silent.clear()
    told = asyncio.create_task(decisions.freeze(VMS, clock.wall() + 600))
    await clock.advance(20)
    (problem,) = decisions.problems()
    assert "has not answered for 10 s" in str(problem)
    with pytest.raises(Unavailable, match="has not answered for 10 s; nothing was decided"):
        await told
    run.cancel()


async def test_a_decision_whose_answer_is_lost_is_to_be_said_again() -> None:
    class Mute(Remote):
        async def write(self, content: bytes, replaces: Kept | None) -> None:
            await super().write(content, replaces)
            await asyncio.Event().wait()

    clock, remote = FakeClock(), Mute()
    decisions, run = await replica(remote, clock)
    told = asyncio.create_task(decisions.freeze(VMS, clock.wall() + 600))
    await clock.advance(11)
    with pytest.raises(Unavailable, match="nobody knows whether it was decided: say it again"):
        await told
    assert decisions.current.value[VMS].frozen is not None  # as the next look at the shelf told
    run.cancel()


async def test_who_finds_only_others_writing_says_that_nothing_was_decided() -> None:
    class Busy(Remote):
        async def write(self, content: bytes, replaces: Kept | None) -> None:
            raise Conflict("api: another version")

    clock, remote = FakeClock(), Busy()
    with pytest.raises(Unavailable, match="nothing was decided"):
        await Decisions(remote, clock).freeze(VMS, clock.wall() + 60)
