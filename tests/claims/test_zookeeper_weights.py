"""Weights in Finagle's ServerSets, as they are written: a vector for each member that weighs more than others."""

from collections.abc import Sequence

import pytest

from adapters.zookeeper.dialects.dialect import Child
from adapters.zookeeper.dialects.serverset import ServerSet
from adapters.zookeeper.mirror import Mirror
from adapters.zookeeper.operations import Create, Delete, Part
from adapters.zookeeper.paths import Mapped, Tree
from adapters.zookeeper.target import TreeTarget
from bridge.adapter import Holding, Remove, Target
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Service
from bridge.plan import plan
from tests.builders import endpoint
from tests.claims.znodes import WEB, child, said, tell
from tests.claims.zookeeper_records import VECTOR

DIALECT = ServerSet()
TREE = Tree.of("/services/{name}", Mapped("shop"))
LIGHT, HEAVY = endpoint("10.0.0.1:9000"), endpoint("10.0.0.2:9000", weight=3)


class Set:
    """A ServerSet in memory; `steps` are the weights, by address, that a reader sees after each transaction."""

    def __init__(self) -> None:
        self.nodes: dict[str, Child] = {}
        self.steps: list[dict[str, int]] = []

    def weights(self) -> dict[str, int]:
        return {str(one.id): one.weight for one in said(DIALECT, *self.nodes.values())}

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.nodes if name.startswith(prefix))

    def do(self, parts: Sequence[Part]) -> None:
        for part in parts:
            name = part.path.rpartition("/")[2]
            match part:
                case Create(data=data):
                    assert name not in self.nodes
                    self.nodes[name] = child(name, data)
                case Delete():
                    del self.nodes[name]
                case _:
                    raise AssertionError(f"{part}: nobody reads a member twice")
        self.steps.append(self.weights())


class Writer:
    """A bridge that writes there."""

    def __init__(self, there: Set, owner: str = "prod-eu1") -> None:
        mirror = Mirror(TREE, DIALECT, ours=True)
        self._there = there
        self._mark = Mark(owner, "one")
        self._target = TreeTarget(Target("/services/{name}"), TREE, DIALECT, mirror, self._mark)

    @property
    def holding(self) -> Holding:
        return tell(DIALECT, *self._there.nodes.values(), mark=self._mark).holding

    def say(self, *endpoints: Endpoint) -> int:
        """Write it; how many transactions that took."""
        records, problems = self._target.fit(Service.of(WEB, endpoints), self.holding)
        assert not problems
        changes = plan(records, self.holding).changes
        for change in changes:
            self._there.do(self._target.write(change).parts)
        assert list(self.holding.endpoints) == sorted(endpoints, key=lambda one: one.id)
        assert not plan(self._target.fit(Service.of(WEB, endpoints), self.holding)[0], self.holding).changes
        return len(changes)

    def leave(self) -> None:
        for record in self.holding.records:
            self._there.do(self._target.write(Remove(record)).parts)


@pytest.fixture
def there() -> Set:
    return Set()


@pytest.fixture
def writer(there: Set) -> Writer:
    return Writer(there)


def test_a_vector_is_written_as_finagle_reads_it_and_the_mark_is_where_it_does_not_look(
    there: Set, writer: Writer
) -> None:
    writer.say(LIGHT, HEAVY)
    (vector,), (_, member) = there.names("vector_"), there.names("member_")
    heavy = next(name for name in there.names("member_") if b"10.0.0.2" in there.nodes[name].data)
    stem = next(one.key for one in writer.holding.records if one.key.endswith("~weight")).removeprefix("shop/web/")
    marked = f'{{"registry-bridge":"registry-bridge/1 owner=prod-eu1 key={stem}"}}'
    assert (
        there.nodes[vector].data.decode() == VECTOR.replace("member_0000000001", heavy)[:-1] + f',"metadata":{marked}}}'
    )
    assert vector[-10:] == member[-10:] == "0000000000"


def test_whoever_weighs_what_all_do_needs_no_vector(there: Set, writer: Writer) -> None:
    assert writer.say(LIGHT) == 1
    assert there.names("vector_") == []


def test_what_is_written_is_what_others_read(there: Set, writer: Writer) -> None:
    writer.say(LIGHT, HEAVY, endpoint("10.0.0.3:9000", weight=65_535))
    assert there.weights() == {"10.0.0.1:9000": 1, "10.0.0.2:9000": 3, "10.0.0.3:9000": 65_535}


def test_a_member_never_stands_there_without_its_weight(there: Set, writer: Writer) -> None:
    writer.say(LIGHT, HEAVY)
    writer.say(LIGHT, endpoint("10.0.0.2:9000", weight=3, metadata=(("version", "2"),)))
    writer.say(HEAVY)
    writer.leave()
    assert {step.get("10.0.0.2:9000", 3) for step in there.steps} == {3}


def test_a_weight_changes_alone_and_at_once(there: Set, writer: Writer) -> None:
    writer.say(LIGHT, HEAVY)
    members, (before,) = there.names("member_"), there.names("vector_")
    assert writer.say(LIGHT, endpoint("10.0.0.2:9000", weight=7)) == 1
    assert there.names("member_") == members
    (after,) = there.names("vector_")
    assert after != before, "Finagle reads a name once"
    assert [step.get("10.0.0.2:9000") for step in there.steps[-2:]] == [3, 7], "and never 21"
    writer.say(LIGHT, endpoint("10.0.0.2:9000"))
    assert there.names("vector_") == []


def test_no_name_ever_says_two_weights(there: Set, writer: Writer) -> None:
    """Finagle keeps what a name said; if it was away while that was gone, it never asks again."""
    said = set()
    for weight in (3, 1, 5, 1, 3):
        writer.say(endpoint("10.0.0.2:9000", weight=weight))
        said |= {(name, there.nodes[name].data) for name in there.names("vector_")}
    assert len(said) == len({name for name, _ in said}) == 2


def test_two_bridges_that_say_the_same_endpoint_do_not_weigh_it_twice(there: Set, writer: Writer) -> None:
    writer.say(HEAVY)
    other = Writer(there, "prod-us1")
    other.say(endpoint("10.0.0.2:9000", weight=5))
    told = tell(DIALECT, *there.nodes.values())
    assert sorted((one.endpoint.via, one.endpoint.weight) for one in told.others) == [("prod-eu1", 3), ("prod-us1", 5)]
    other.leave()
    assert there.weights() == {"10.0.0.2:9000": 3}


def test_natives_keep_the_weight_that_they_have(there: Set, writer: Writer) -> None:
    native = '{"serviceEndpoint":{"host":"10.0.0.2","port":9000},"additionalEndpoints":{},"status":"ALIVE"}'
    there.nodes["member_0000000007"] = child("member_0000000007", native)
    writer.say(HEAVY)
    told = tell(DIALECT, *there.nodes.values())
    assert sorted((one.endpoint.via, one.endpoint.weight) for one in told.others) == [("", 1), ("prod-eu1", 3)]


def test_a_member_that_the_server_has_numbered_keeps_its_name(there: Set, writer: Writer) -> None:
    writer.say(endpoint("10.0.0.2:9000"))
    (name,) = there.names("member_")
    numbered = f"{name[:-10]}0000000042"
    there.nodes[numbered] = there.nodes.pop(name)._replace(name=numbered)
    assert writer.say(HEAVY) == 1
    assert there.names("member_") == [numbered]
    (vector,) = there.names("vector_")
    assert numbered.encode() in there.nodes[vector].data


@pytest.mark.promise("R-17")
@pytest.mark.parametrize("which", ["member_", "vector_"])
def test_what_a_hand_edited_gets_the_next_number_and_its_weight(there: Set, writer: Writer, which: str) -> None:
    writer.say(HEAVY)
    (name,) = there.names(which)
    edited = there.nodes[name].data.replace(b'"port":9000', b'"port":9001').replace(b"3.0", b"4.0")
    there.nodes[name] = there.nodes[name]._replace(data=edited, version=1)
    writer.say(HEAVY)
    assert there.names(which) == [f"{name[:-10]}0000000001"]
    assert there.weights() == {"10.0.0.2:9000": 3}


@pytest.mark.promise("R-17")
def test_a_vector_that_a_hand_deleted_is_written_again(there: Set, writer: Writer) -> None:
    writer.say(LIGHT, HEAVY)
    del there.nodes[there.names("vector_")[0]]
    assert {one.weight for one in writer.holding.endpoints} == {1}
    assert writer.say(LIGHT, HEAVY) == 1
