"""A judge of removals beside the sink that it judges for, and what is said of both."""

from collections.abc import Container

from bridge.adapter import Holding, Holdings, Target
from bridge.exports import Export, Limits, Mode
from bridge.kit.names import Pattern
from bridge.model import Endpoint, Service, ServiceName, Services, SourceName
from bridge.table import Table
from bridge.withhold import Judge, Judgement, Key, Sources
from tests.builders import eid, held, holdings, name, service, services

PER = 600.0
SYNCED = Sources((), in_sync=True)
LOST = Sources((), in_sync=False)
UNSEEN = Sources((SourceName("zk"),), in_sync=False)
PAY = name("shop/payments")
HOUR = 3600.0


def export(mode: Mode = "sync", at_once: float = 0.1, floor: int = 20) -> Export:
    limits = Limits(at_once, floor, PER)
    return Export(Target(""), (Pattern("*"),), (SourceName("zk"),), mode, limits, relay=False, owner="us")


class Sink:
    """A judge beside the sink that it judges for, which does at once what it is told."""

    def __init__(self, *there: Service, **limits: object) -> None:
        self.judge = Judge(export(**limits))  # type: ignore[arg-type]
        self.there = holdings(*there)
        self.now = 1000.0
        self.wants: Services = Table()
        self.sources = SYNCED
        self.words: dict[Key, float] = {}
        self.unsettled: Container[ServiceName] | None = None  # nobody watches

    def look(self) -> Judgement:
        """What is judged now, with nothing made of it."""
        return self.judge.step(self.wants, self.there, self.sources, self.words, self.now, unsettled=self.unsettled)

    def say(self, *wants: Service, after: float = 0.0) -> Judgement:
        """Want exactly these, `after` seconds later, and make of it what may be made."""
        self.wants = services(*wants)
        return self.wait(after)

    def wait(self, seconds: float) -> Judgement:
        self.now += seconds
        found = self.look()
        self.there = made(found.retained, self.there)
        self.look()
        return found

    def accept(self, *keys: str, service_: ServiceName = PAY) -> Judgement:
        self.words = self.words | {(service_, eid(key)): self.now for key in keys}
        return self.wait(0)

    @property
    def left(self) -> int:
        return sum(len(one.endpoints) for one in self.there.values())


def made(retained: Services, there: Holdings) -> Holdings:
    """What a sink has when all that is retained is written, and the rest removed."""
    changes: dict[ServiceName, Holding | None] = {}
    for one in {*retained, *there}:
        said = retained.get(one)
        after = None if said is None else held(said) if said.endpoints else there.get(one)
        if after != there.get(one):
            changes[one] = after
    return there.with_(changes)


def pay(*endpoints: str | Endpoint) -> Service:
    return service("shop/payments", *endpoints)


def reasons(found: Judgement) -> dict[str, int]:
    return dict(found.counts)


def told(found: Judgement) -> list[tuple[str, str]]:
    return [(str(one.what), one.reason) for key in sorted(found.withheld) for one in found.withheld[key]]
