import asyncio
import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter import Target
from bridge.errors import ConfigError, Conflict, Unavailable
from bridge.model import SourceName
from bridge.runtime.decisions import EXPIRES, FILE, Decisions, Document, parse, read, update, write
from bridge.testing.clock import FakeClock
from tests.builders import eid, name

VMS = SourceName("vms")
HOLD = (name("shop/web"), eid("10.0.0.1:80"))


def loaded(folder: Path | None, clock: FakeClock) -> Decisions:
    decisions = Decisions(folder, clock)
    decisions.load()
    return decisions


async def test_what_was_decided_is_in_force_at_once_and_after_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    decisions = loaded(tmp_path, clock)
    await decisions.accept(VMS, [HOLD], clock.wall())
    await decisions.accept_health(VMS, clock.wall())
    await decisions.freeze(VMS, clock.wall() + 600)
    orders = decisions.current.value[VMS]
    assert orders.accepted == {HOLD: clock.wall()}
    assert (orders.health, orders.frozen) == (clock.wall(), clock.now() + 600)
    assert loaded(tmp_path, clock).current.value == decisions.current.value
    await decisions.unfreeze(VMS)
    assert decisions.current.value[VMS].frozen is None


async def test_accepted_removals_are_of_one_target_last_over_a_restart_and_expire(tmp_path: Path) -> None:
    clock = FakeClock()
    decisions = loaded(tmp_path, clock)
    here, there = Target("a.json"), Target("b.json")
    await decisions.accept_removals(VMS, here, [HOLD], clock.wall())
    await decisions.accept_removals(VMS, there, [HOLD], clock.wall() - EXPIRES)
    assert decisions.current.value[VMS].removals == {here: {HOLD: clock.wall()}}
    assert decisions.current.value[VMS].accepted == {}
    assert loaded(tmp_path, clock).current.value == decisions.current.value
    await clock.advance(EXPIRES + 1)
    decisions.load()
    assert decisions.current.value == {}


def test_a_document_from_before_there_were_removals_is_read() -> None:
    old = b'{"format": 1, "version": 3, "accepted": [], "health": [], "freezes": []}'
    assert parse(old, "decisions.json") == Document(3)


async def test_without_a_folder_decisions_last_as_long_as_the_process() -> None:
    clock = FakeClock()
    decisions = loaded(None, clock)
    await decisions.accept(VMS, [HOLD], clock.wall())
    assert decisions.current.value[VMS].accepted == {HOLD: clock.wall()}
    assert loaded(None, clock).current.value == {}


async def test_an_accepted_hold_expires_after_an_hour_and_a_freeze_at_its_end(tmp_path: Path) -> None:
    clock = FakeClock()
    decisions = loaded(tmp_path, clock)
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
    decisions = loaded(tmp_path, clock)
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
    decisions, other = loaded(tmp_path, clock), loaded(tmp_path, clock)
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
    decisions = loaded(tmp_path, clock)
    await decisions.freeze(VMS, clock.wall() + 600)
    before = decisions.current.value
    good = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(garbage)
    decisions.load()
    assert decisions.current.value == before
    (problem,) = decisions.problems()
    assert "what was decided before stands" in str(problem)
    with pytest.raises(ConfigError):
        await decisions.unfreeze(VMS)
    assert (tmp_path / FILE).read_text() == garbage
    (tmp_path / FILE).write_text(good)
    decisions.load()
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


def test_a_document_that_somebody_else_replaced_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / FILE
    write(path, Document(), 0)
    write(path, Document(frozen={VMS: 1.0}), 1)
    with pytest.raises(Conflict, match="has version 2, not 1"):
        write(path, Document(), 1)
    assert read(path).frozen == {VMS: 1.0}


def test_of_many_writers_at_once_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / FILE

    def freeze(number: int) -> None:
        one = SourceName(f"s{number}")
        update(path, lambda old: Document(old.version, old.accepted, old.health, {**old.frozen, one: 1.0}))

    writers = [threading.Thread(target=freeze, args=(number,)) for number in range(16)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    document = read(path)
    assert document.version == 16
    assert len(document.frozen) == 16


@pytest.mark.promise("R-31")
async def test_a_decision_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    clock = FakeClock()
    (tmp_path / "file").write_text("in the way")
    decisions = loaded(tmp_path / "file", clock)
    with pytest.raises(Unavailable, match="nothing was decided"):
        await decisions.freeze(VMS, clock.wall() + 60)
    assert decisions.current.value == {}
