"""A registry whose views are changed before anybody sees them."""

from collections.abc import Callable
from dataclasses import replace

from bridge.adapter import Held, Holding, Observation
from bridge.model import Service, ServiceName
from bridge.table import Table
from bridge.testing.memory import MemoryRegistry

Tell = Callable[[Observation], Observation]


def telling(change: Callable[[MemoryRegistry, Observation], Observation]) -> type[MemoryRegistry]:
    """A registry whose views are changed before anybody sees them."""

    class Telling(MemoryRegistry):
        def _say(self, observation: Observation) -> None:
            super()._say(change(self, observation))

    return Telling


def services(change: Callable[[dict[ServiceName, Service]], dict[ServiceName, Service]]) -> type[MemoryRegistry]:
    return telling(lambda registry, view: replace(view, services=Table(change(dict(view.services)))))


def each(change: Callable[[Service], Service]) -> type[MemoryRegistry]:
    return services(lambda them: {name: change(one) for name, one in them.items()})


def held(change: Callable[[MemoryRegistry, Held], Held | None]) -> type[MemoryRegistry]:
    def changed(registry: MemoryRegistry, view: Observation) -> Observation:
        made = {target: change(registry, one) for target, one in view.held.items()}
        return replace(view, held=Table({target: one for target, one in made.items() if one is not None}))

    return telling(changed)


def holding(change: Callable[[Holding], Holding]) -> type[MemoryRegistry]:
    return held(
        lambda registry, of: replace(of, holdings=Table({name: change(one) for name, one in of.holdings.items()}))
    )
