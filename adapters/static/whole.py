"""The good views of several files as one view."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from adapters.static import records
from adapters.static.inventory import Inventory, misspelled
from bridge.adapter import Problem
from bridge.model import Service, ServiceName, Services
from bridge.table import Table, changed, share


class _View(NamedTuple):
    inventory: Inventory
    services: Services


class Whole:
    """Joins files in the order of their names, where the first one counts; an edit costs what it changed."""

    def __init__(self) -> None:
        self.services: Services = Table()
        self._views: dict[str, _View] = {}
        self._joints: dict[ServiceName, tuple[Problem, ...]] = {}

    @property
    def problems(self) -> list[Problem]:
        """Those of the files, and of what two of them say of one service."""
        problems = [problem for view in self._views.values() for problem in view.inventory.problems]
        return problems + [problem for name in sorted(self._joints) for problem in self._joints[name]]

    def take(self, inventories: Mapping[str, Inventory]) -> None:
        """Make it the whole of these: the name of a file, in order, to what it says."""
        touched: set[ServiceName] = set()
        views = {}
        nothing = _View(Inventory({}), Table())
        for where, inventory in inventories.items():
            before = self._views.get(where, nothing)
            if inventory is before.inventory:
                views[where] = before
                continue
            view = views[where] = _View(inventory, share(before.services, inventory.services))
            touched.update(changed(before.services, view.services))
            touched.update(name for name, _ in inventory.spelled.items() ^ before.inventory.spelled.items())
        for where in self._views.keys() - views.keys():
            touched.update(self._views[where].services)
        self._views = views
        self.services = self.services.with_({name: self._joined(name) for name in touched})

    def _joined(self, name: ServiceName) -> Service | None:
        said = [(where, view) for where, view in self._views.items() if name in view.services]
        self._joints.pop(name, None)
        if not said:
            return None
        (where, first), *rest = said
        service = first.services[name]
        if not rest:
            return service
        spelled = first.inventory.spelled.get(name, str(name))
        problems: list[Problem] = []
        for other, view in rest:
            further = view.services[name]
            spelling = view.inventory.spelled.get(name, str(name))
            if spelling != spelled:
                problems.append(misspelled(other, name, spelling, spelled, len(further.endpoints)))
                continue
            service, doubles = records.join(service, further)
            problems += _doubles(other, name, doubles, where)
        if problems:
            self._joints[name] = tuple(problems)
        before = self.services.get(name)
        return before if before == service else service


def _doubles(where: str, name: ServiceName, doubles: Iterable[object], first: str) -> list[Problem]:
    what = f"stands in an earlier file too ({first} or one after it); the first counts"
    return [Problem("duplicate", where, f"{name}: endpoint {one} {what}", name) for one in doubles]
