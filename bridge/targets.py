"""Which targets are written, by whom and how: every registry's `export:` made into values, and checked as a whole."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from itertools import combinations
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from bridge.adapter import Problem
from bridge.exports import Export, Limits
from bridge.kit import Clock
from bridge.kit.document import Document
from bridge.kit.election import Elector
from bridge.kit.names import Pattern
from bridge.kit.place import Path as Place
from bridge.kit.place import excerpt
from bridge.kit.settings import ExportSettings, RegistrySettings, Sample, Strict, nearest
from bridge.model import SourceName
from bridge.runtime.election import AloneSettings
from bridge.runtime.rate import Rate

ENTRY_POINTS: Final = "bridge.electors"


class ElectorSettings(Protocol):
    """What `leader:` comes to: the settings of one kind of election; a pydantic model."""

    @property
    def kind(self) -> str:
        """What it is called in the configuration."""
        ...

    def open(self, clock: Clock, folder: Path | None) -> Elector:
        """The elector; `folder` is where what outlives the process is kept, None when nothing is."""
        ...

    def check(self) -> Sequence[Problem]:
        """What is in the way of it, as far as that is known offline; ConfigError names what will not do."""
        ...

    async def sample(self, clock: Clock, within: float) -> Sequence[Sample]:
        """Look who leads, for `check --sample`; none where nobody else could. `within` so many seconds it is known.

        Raises ConfigError, Unavailable or Denied.
        """
        ...


Electors = Mapping[str, Callable[[], type[Strict]]]
"""Kind of election to what loads its settings class, which is an ElectorSettings; loading may raise ImportError."""


class Written(NamedTuple):
    """One target of one registry, and how it is written."""

    registry: SourceName
    export: Export
    rate: Rate


def electors() -> Electors:
    """The kinds of elections that can be had: the one without others, and those of all installed distributions."""
    found = {entry.name: partial(_load, entry) for entry in sorted(entry_points(group=ENTRY_POINTS))}
    return {"none": lambda: AloneSettings, **found}


def _load(entry: EntryPoint) -> type[Strict]:
    loaded: type[Strict] = entry.load()
    return loaded


def written(registries: Sequence[RegistrySettings], owner: str) -> tuple[Written, ...]:
    """Every target of the configuration, in its order."""
    return tuple(
        Written(SourceName(registry.name), _export(settings, owner), _rate(settings))
        for registry in registries
        for settings in registry.export
    )


def _export(settings: ExportSettings, owner: str) -> Export:
    removals = settings.removals
    return Export(
        target=settings.target,
        services=tuple(map(Pattern, settings.services)),
        sources=tuple(map(SourceName, dict.fromkeys(settings.sources))),
        mode=settings.mode,
        limits=Limits(removals.at_once, removals.floor, removals.per),
        relay=settings.relay,
        owner=owner,
    )


def _rate(settings: ExportSettings) -> Rate:
    return Rate(settings.rate.per_second, settings.rate.burst)


def wrong(document: Document, registries: Mapping[int, RegistrySettings], owner: str | None) -> list[str]:
    """What is wrong with the exports as a whole, and with registries beside each other.

    `registries` by their index in the file, those that are valid.
    """
    names = [one.get("name") for one in document.value["registries"] if isinstance(one, dict)]
    known = [name for name in names if isinstance(name, str) and name.isascii() and name.isprintable()]
    found: list[str] = []
    if owner is None:
        exporting = next((_place(index, 0) for index, one in registries.items() if one.export), None)
        if exporting is not None:
            found.append(
                f"{document.place(exporting)}: what is written needs an owner, by which the bridge knows it again; "
                "add `owner: NAME`, another one for each deployment"
            )
    taken: dict[Hashable, str] = {}
    for index, registry in registries.items():
        for number, export in enumerate(registry.export):
            place = _place(index, number)
            found += [f"{document.place((*place, 'from'))}: {why}" for why in _sources(export, registry.name, known)]
            identity = (registry.kind, export.place) if export.place is not None else (registry.name, export.target)
            here = document.place(place)
            if (other := taken.setdefault(identity, here)) is not here:
                what = f"{excerpt(export.target)} is" if export.target else "this is"
                found.append(f"{here}: {what} what {other} writes too; one target has one export: join them, or rename")
    return found + _clashes(document, registries)


def _clashes(document: Document, registries: Mapping[int, RegistrySettings]) -> list[str]:
    """What registries of one kind that mean one place do there to each other."""
    return [
        f"{document.place(('registries', index, *place))}: {why}"
        for (_, earlier), (index, registry) in combinations(registries.items(), 2)
        if type(earlier) is type(registry)
        for place, why in registry.clashes(earlier)
    ]


def _sources(export: ExportSettings, itself: str, known: Sequence[str]) -> list[str]:
    found = []
    for name in export.sources:
        if name == itself:
            found.append(f"{excerpt(name)} is the registry itself, which is not told what it knows; name others")
        elif name not in known:
            found.append(f"{excerpt(name)} is no registry of this configuration; {nearest(name, known)}")
    return found


def _place(index: int, number: int) -> Place:
    return "registries", index, "export", number
