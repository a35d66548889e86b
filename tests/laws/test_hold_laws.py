"""To a sink a hold is no write at all, whatever comes and goes, and however the records are rewritten meanwhile."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter import Change, Holding, Put
from bridge.exports import UNTOLD, tell
from bridge.model import EndpointId, Service
from bridge.plan import plan
from bridge.table import Table
from bridge.testing.records import fit
from bridge.testing.store import ONLY, Store
from tests.builders import endpoint, hosts, name, services

OF = name("shop/web")
HOSTS = hosts(5)
views = st.dictionaries(st.sampled_from(HOSTS), st.tuples(st.booleans(), st.integers(1, 2)))  # held, with what weight
moves = st.lists(
    st.one_of(
        st.tuples(st.just("see"), views),
        st.tuples(st.just("write"), st.integers(1, 4)),  # so many changes of the plan
        st.tuples(st.just("size"), st.integers(1, 3)),  # how many endpoints a record has from now on
    ),
    max_size=25,
)


class World:
    """What is believed of one service, and the sink that it is told to."""

    def __init__(self) -> None:
        self.store = Store()
        self.size = 2
        self.told = UNTOLD
        self.wants = services()
        self.changes: tuple[Change, ...] = ()
        self.had: dict[EndpointId, bool] = {}  # what is held, and whether the sink had it when that began

    @property
    def there(self) -> Holding:
        return self.store.held_by("us", [ONLY])[ONLY].holdings.get(OF, Holding())

    def see(self, view: Mapping[str, tuple[bool, int]]) -> None:
        them = [endpoint(text, held=held, weight=weight) for text, (held, weight) in view.items()]
        self.wants = services(Service.of(OF, them)) if them else services()
        standing = {one.id for one in self.there.endpoints}
        self.had = {one.id: self.had.get(one.id, one.id in standing) for one in them if one.held}

    def look(self) -> None:
        """Tell and plan anew."""
        there = self.there
        self.told = tell(self.wants, Table({OF: there}), self.told, {OF} if self.changes else ())
        want = self.told.services.get(OF)
        self.changes = plan(fit(want, there, self.size) if want is not None else (), there).changes

    def write(self, number: int) -> None:
        for change in self.changes[:number]:
            if isinstance(change, Put):
                self.store.put(ONLY, "us", change.record)
            else:
                self.store.remove(ONLY, change.record.key)

    def settle(self) -> None:
        self.look()
        for _ in range(20):
            if not self.changes:
                return
            self.write(1)
            self.look()
        raise AssertionError(f"it never settles: {self.changes}")


@pytest.mark.promise("law-4")
@given(moves)
def test_while_an_endpoint_is_held_no_sink_gets_it_that_has_it_not_and_none_loses_it_that_has(
    steps: list[tuple[str, object]],
) -> None:
    world = World()
    for what, value in steps:
        match what, value:
            case "see", dict():
                world.see(value)
            case "write", int():
                world.write(value)
            case "size", int():
                world.size = value
        world.look()
        assert all(world.had.get(one.id, True) for one in world.there.endpoints)
    world.settle()
    assert {one.id for one in world.there.endpoints} == {
        one.id for one in world.wants.get(OF, Service(OF)).endpoints if not one.held or world.had[one.id]
    }
    world.see({str(one.id): (False, 1) for one in world.wants.get(OF, Service(OF)).endpoints})
    world.settle()
    assert {one.id for one in world.there.endpoints} == {one.id for one in world.wants.get(OF, Service(OF)).endpoints}
