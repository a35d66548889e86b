"""Adapters that fit wrong."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

from bridge.adapter import Holding, Record, RecordKey, Target
from bridge.model import Service, ServiceName
from bridge.testing import records
from bridge.testing.memory import MemoryRegistry


def fitting(change: Callable[[MemoryRegistry, Service, Holding], list[Record]]) -> type[MemoryRegistry]:
    class Fits(MemoryRegistry):
        def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], tuple[()]]:
            return change(self, service, holding), ()

    return Fits


def fitted(service: Service, holding: Holding) -> list[Record]:
    return records.fit(service, holding, 20)


def spelled(name: ServiceName) -> RecordKey:
    return RecordKey(f"{name.namespace}-{name.name}#0")


def only(service: Service, wanted: Callable[[str], bool]) -> Service:
    return Service(service.name, tuple(each for each in service.endpoints if wanted(each.address)))


_blanks = count()

impure = fitting(
    lambda self, one, of: [replace(each, content=each.content + b" " * next(_blanks)) for each in fitted(one, of)]
)
numbered = fitting(lambda self, one, of: [replace(each, revision=1) for each in fitted(one, of)])
confusing = fitting(lambda self, one, of: [replace(each, key=spelled(one.name)) for each in fitted(one, of)])
raising = fitting(lambda self, one, of: fitted(one, of) if one.name.namespace.isalnum() else 1 / 0)
truncating = fitting(lambda self, one, of: records.fit(Service(one.name, one.endpoints[:20]), of, 20))
only_v4 = fitting(lambda self, one, of: fitted(only(one, lambda address: ":" not in address), of))
repacking = fitting(lambda self, one, of: fitted(one, Holding()))


class Opened(MemoryRegistry):
    """Fits otherwise in every process."""

    number = count(1)

    def __init__(self, **more: object) -> None:
        self.blanks = b" " * next(self.number)
        super().__init__(**more)

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], tuple[()]]:
        return [replace(each, content=each.content + self.blanks) for each in fitted(service, holding)], ()
