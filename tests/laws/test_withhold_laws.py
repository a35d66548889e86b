"""Which removals a sink may see now, whatever is wanted, written and read, and in whatever order."""

from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter import Holding, Holdings, Put, Record
from bridge.exports import Mode
from bridge.model import Endpoint, Service, ServiceName, Services
from bridge.plan import plan
from bridge.table import Table
from bridge.withhold import AGREEMENT, Judge, Key, Sources
from tests.builders import eid, name, record, service, services
from tests.withholding import LOST, PER, SYNCED, UNSEEN, export

HOSTS = [f"10.0.0.{i}:80" for i in range(1, 5)]
NAMES = ["shop/a", "shop/b"]
said = st.dictionaries(st.sampled_from(NAMES), st.frozensets(st.sampled_from(HOSTS)))
intervals = st.sampled_from([0.0, 1.0, 100.0, PER - 1, PER + 1, AGREEMENT / 2, AGREEMENT])
moments = st.lists(
    st.tuples(
        intervals,
        said,
        st.sampled_from([SYNCED, SYNCED, SYNCED, LOST]),
        st.booleans(),  # the sink is written
        st.booleans(),  # the sink is read
    ),
    max_size=14,
)
Moments = list[tuple[float, dict[str, frozenset[str]], Sources, bool, bool]]


def of(view: Mapping[str, Iterable[str]]) -> Services:
    return services(*(service(text, *sorted(them)) for text, them in view.items() if them))


def ids(view: Mapping[ServiceName, Service | Holding]) -> set[Key]:
    return {(key, e.id) for key, one in view.items() for e in one.endpoints}


class World:
    """A sink with compare-and-set, and an outlet that may be late to read or to write."""

    def __init__(self, there: Services) -> None:
        self.records: dict[ServiceName, dict[str, Record]] = {n: fit(one) for n, one in there.items()}
        self.ends: dict[ServiceName, dict[str, Endpoint]] = {
            n: dict(zip(fit(one), one.endpoints, strict=True)) for n, one in there.items()
        }
        self.writes = 0

    def read(self) -> Holdings:
        return Table(
            {
                key: Holding(
                    tuple(sorted(them.values(), key=lambda r: r.key)),
                    tuple(sorted(self.ends[key].values(), key=lambda e: e.id)),
                )
                for key, them in self.records.items()
                if them
            }
        )

    def write(self, retained: Services, seen: Holdings) -> set[Key]:
        """Make the plans; the endpoints that went by it."""
        gone: set[Key] = set()
        for key in sorted({*retained, *seen}):
            want = retained.get(key, Service(key))
            for change in plan(list(fit(want).values()), seen.get(key, Holding())).changes:
                them, ends = self.records.setdefault(key, {}), self.ends.setdefault(key, {})
                at = change.record.key
                if them.get(at) != (change.replaces if isinstance(change, Put) else change.record):
                    continue  # Conflict
                self.writes += 1
                if isinstance(change, Put):
                    them[at] = change.record
                    ends[at] = next(e for e in want.endpoints if str(e.id) == at)
                else:
                    del them[at]
                    gone.add((key, ends.pop(at).id))
        return gone


def fit(one: Service) -> dict[str, Record]:
    return {str(e.id): record(str(e.id), str(one.name), repr(e)) for e in one.endpoints}


@given(said, moments)
def test_whatever_is_wanted_removals_stay_below_the_limit_in_any_window_unless_all_sources_agreed(
    there: dict[str, frozenset[str]], steps: Moments
) -> None:
    floor = 2
    judge, world, now = Judge(export(at_once=0.0, floor=floor)), World(of(there)), 0.0
    known: set[Key] = set()
    agreed: dict[Key, float] = {}  # seconds in sync for which it was not wanted
    since_sync = LOST
    removed: list[tuple[float, Key]] = []
    seen = world.read()
    for after, view, sources, writes, reads in steps:
        now += after
        if since_sync.in_sync:
            agreed = {key: seconds + after for key, seconds in agreed.items()}
        since_sync = sources
        wants = of(view)
        if reads:
            seen = world.read()
        known |= ids(wants)
        agreed = {key: agreed.get(key, 0.0) for key in ids(seen) | ids(world.read()) if key not in ids(wants)}
        found = judge.step(wants, seen, sources, {}, now)
        assert ids(wants) <= ids(found.retained) <= ids(wants) | ids(seen)
        assert ids(found.retained) - ids(wants) == {
            (key, one.what) for key, them in found.withheld.items() for one in them
        }
        assert sum(found.counts.values()) == len(ids(found.retained) - ids(wants))
        if not writes:
            continue
        for key in world.write(found.retained, seen):
            assert key not in ids(wants)
            if agreed.get(key, 0.0) < AGREEMENT - 0.001:
                assert key in known  # an orphan waits for agreement
                removed.append((now, key))
    for end, _ in removed:
        assert len([at for at, _ in removed if end - PER < at <= end]) <= floor


@given(said, moments)
def test_in_the_end_the_sink_says_what_is_wanted_and_is_written_no_more(
    there: dict[str, frozenset[str]], steps: Moments
) -> None:
    judge, world, now = Judge(export(floor=1, at_once=0.0)), World(of(there)), 0.0
    wants: Services = Table()
    for after, view, sources, writes, _ in steps:
        now, wants = now + after, of(view)
        seen = world.read()
        found = judge.step(wants, seen, sources, {}, now)
        if writes:
            world.write(found.retained, seen)
            assert ids(world.read()) == ids(found.retained)
    for _ in range(40):  # sleep as long as is asked for, and no longer
        seen = world.read()
        found = judge.step(wants, seen, SYNCED, {}, now)
        world.write(found.retained, seen)
        found = judge.step(wants, world.read(), SYNCED, {}, now)
        if found.wake_at is None:
            break
        assert found.wake_at > now
        now = found.wake_at
    assert ids(world.read()) == ids(wants)
    assert found.withheld == {}
    before = world.writes
    world.write(found.retained, world.read())
    assert world.writes == before


words = st.dictionaries(
    st.tuples(st.sampled_from(NAMES).map(name), st.sampled_from(HOSTS).map(eid)), st.floats(0, 100), max_size=3
)


@given(
    said, moments, st.lists(words, min_size=14, max_size=14), st.sampled_from(["sync", "upsert-only"]), st.booleans()
)
def test_sharing_changes_no_judgement_and_equal_steps_give_equal_ones(
    there: dict[str, frozenset[str]], steps: Moments, spoken: list[dict[Key, float]], mode: Mode, waits: bool
) -> None:
    one, other = Judge(export(mode, floor=1)), Judge(export(mode, floor=1))
    world, now = World(of(there)), 0.0
    wants: Services = Table()
    for (after, view, sources, writes, _), accepted in zip(steps, spoken, strict=False):
        now += after
        sources = UNSEEN if waits and now < PER else sources
        anew = of(view)
        wants = wants.with_({key: anew.get(key) for key in {*wants, *anew} if anew.get(key) != wants.get(key)})
        seen = world.read()
        first = one.step(wants, seen, sources, accepted, now)
        assert first == other.step(anew, world.read(), sources, dict(accepted), now)
        if sources.unseen or mode == "upsert-only":
            assert ids(seen) <= ids(first.retained)
        if writes:
            world.write(first.retained, seen)


@given(said, moments)
def test_a_wiped_source_of_a_fresh_process_removes_nothing_for_thirty_minutes(
    there: dict[str, frozenset[str]], steps: Moments
) -> None:
    judge, world = Judge(export()), World(of(there))
    before = world.read()
    now = 0.0
    for after, _, sources, _, _ in steps:
        now += after
        if now >= AGREEMENT:
            break
        world.write(judge.step(Table(), world.read(), sources, {}, now).retained, world.read())
    assert (world.read(), world.writes) == (before, 0)
