"""What the configuration says of a registry of `kind: zookeeper`."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from adapters.zookeeper.access import Access
from adapters.zookeeper.clashes import APART, Use, clash
from adapters.zookeeper.dialects import dubbo_documents, known
from adapters.zookeeper.dialects.dialect import Dialect, PortNames, Written
from adapters.zookeeper.documents import Documents
from adapters.zookeeper.mirror import Mirror
from adapters.zookeeper.paths import Mapped, Tree
from adapters.zookeeper.reach import ReachSettings
from adapters.zookeeper.registry import ZooKeeper
from adapters.zookeeper.sample import Sampled, sample
from adapters.zookeeper.target import TreeTarget
from adapters.zookeeper.telling import Telling
from adapters.zookeeper.whole import Trees
from bridge.adapter import Observation, Source, Target
from bridge.kit import Clock, Kit
from bridge.kit.mark import Mark
from bridge.kit.names import port_name, service_name
from bridge.kit.offline import in_the_way
from bridge.kit.place import Path as Place
from bridge.kit.settings import (
    ExportSettings,
    LocalitySettings,
    Name,
    RegistrySettings,
    Sample,
    Several,
    Strict,
)
from bridge.model import Locality

DUBBO: Final = "/dubbo"
"""Where Dubbo keeps what it has besides instances of applications."""

LONGEST: Final = 40.0
"""Seconds that a server gives at most, with its default tick, to those who register there."""

Word = Annotated[str, Field(min_length=1, max_length=128)]


def _plain(path: str) -> str:
    Tree.of(path, Mapped("dubbo", "root"))
    return path


Plain = Annotated[Word, AfterValidator(_plain)]
"""A path without variables."""


class PortsSettings(Strict):
    """What ports are called that the dialect does not name."""

    default: Annotated[str, AfterValidator(port_name)] | None = Field(
        default=None, description="the name of the primary port"
    )
    additional: Literal["keep", "drop"] = Field(default="keep", description="what becomes of the ports besides it")

    def value(self) -> PortNames:
        return PortNames(self.default or "", self.additional == "keep")


class DubboSettings(Strict):
    """Which of Dubbo's providers are meant; all, where nothing is said."""

    root: Plain | None = Field(
        default=None,
        description="where Dubbo keeps its configuration, metadata and mappings; /dubbo, or where its interfaces stand",
    )
    protocol: Word = Field(default="dubbo", description="the name of a port that none is given")
    group: Word | None = Field(default=None, description="that of the providers")
    version: Word | None = Field(default=None, description="that of the providers")

    def options(self) -> known.Options:
        return known.Options(protocol=self.protocol, group=self.group, version=self.version)


class DubboExportSettings(DubboSettings):
    """What providers that are written serve: consumers see those of their own group and version only."""

    interfaces: Several[Word] = Field(default=(), description="of an application, the interfaces that it serves")

    def options(self) -> known.Options:
        return super().options()._replace(interfaces=self.interfaces, root=self.root or DUBBO)


_Settings = TypeVar("_Settings")


def _about_dubbo(settings: _Settings, dialect: str, dubbo: DubboSettings | None) -> _Settings:
    if dubbo is not None and not dialect.startswith("dubbo"):
        raise ValueError(f"`dubbo` is about dialects of Dubbo's; remove it, for the dialect is {dialect}")
    return settings


class PlaceSettings(Strict, ABC):
    """Where services stand, and what they are called there."""

    path: Word = Field(
        description="of the services' znodes: words, {variables}, * for any word; /services/{name}",
        examples=["/twitter/service/{role}/{env}/{name}"],
    )
    namespace: str | None = Field(default=None, description="a word, or a {variable} of the path; else the registry's")
    namespaces: Several[Name] | None = Field(default=None, description="those that a {variable} may be")
    name: Word = Field(default="{name}", description="of the service, made of the path's {variables}")
    names: dict[Word, str] = Field(default={}, description="names of one's own: what stands there to namespace/name")
    where: dict[Word, str | Several[str]] = Field(default={}, description="which values a {variable} may have")
    ports: PortsSettings = PortsSettings()

    def mapped(self, namespace: str, namespaces: Iterable[str] | None) -> Mapped:
        """What is made of the path's variables, in this namespace where none is given; ValueError what is wrong."""
        allowed = self.namespaces if self.namespaces is not None else namespaces
        return Mapped(
            self.namespace or namespace,
            self.name,
            None if allowed is None else frozenset(allowed),
            {variable: frozenset([one] if isinstance(one, str) else one) for variable, one in self.where.items()},
            names={spelled: service_name(name, namespace) for spelled, name in self.names.items()},
        )

    @abstractmethod
    def tree(self, namespace: str | None) -> Tree:
        """The pattern, in the registry's namespace where it has none; ValueError says what is wrong with it."""


class TreeSettings(PlaceSettings):
    """A tree that is read."""

    dialect: known.Name
    labels: Several[Word] = Field(default=(), description="{variables} that become metadata")
    locality: LocalitySettings = Field(default=LocalitySettings(), description="words, or {variables} of the path")
    dubbo: DubboSettings | None = None
    listener: Word | None = Field(default=None, description="of Kafka's, whose port is the primary one")

    def tree(self, namespace: str | None) -> Tree:
        place = Locality(self.locality.region, self.locality.zone, self.locality.sub_zone)
        return Tree.of(self.path, self.mapped(namespace or "", None)._replace(locality=place, labels=self.labels))

    def made(self) -> Dialect:
        dubbo = self.dubbo or DubboSettings()
        return known.dialect(
            self.dialect, dubbo.options()._replace(names=self.ports.value(), listener=self.listener or "")
        )

    @property
    def documents(self) -> str | None:
        """The folder in which documents say something of what is read; None where there is none."""
        if not self.dialect.startswith("dubbo"):
            return None
        above = self.path.rpartition("/")[0] if self.dialect == "dubbo" else DUBBO
        root = (self.dubbo.root if self.dubbo is not None else None) or above
        return None if set(root) & set("{*") else f"{root}/{dubbo_documents.FOLDER}"

    @model_validator(mode="after")
    def _understood(self) -> Self:
        if self.listener is not None and self.dialect != "kafka":
            raise ValueError(f"`listener` is one of Kafka's; remove it, for dialect {self.dialect} has none")
        return _about_dubbo(self, self.dialect, self.dubbo)


class TreeExportSettings(PlaceSettings, ExportSettings):
    """A tree that is written: a record for each endpoint, in the manner of its dialect."""

    dialect: known.WrittenName
    ephemeral: bool = Field(default=False, description="whether records end with the bridge, instead of staying")
    encoded: bool = Field(default=False, description="Nerve's path encoding: the record in its name too")
    dubbo: DubboExportSettings | None = None

    @property
    def target(self) -> Target:
        return Target(self.path)

    def tree(self, namespace: str | None) -> Tree:
        """The pattern; the namespace is the one that all of `services` are of, where none is given."""
        spaces = {glob.partition("/")[0] for glob in self.services}
        literal = not any(set(space) & set("*?") for space in spaces)
        only = next(iter(spaces)) if literal and len(spaces) == 1 else namespace or ""
        made = Tree.of(self.path, self.mapped(only, spaces if literal else None))
        made.writable()
        return made

    def made(self) -> Written:
        dubbo = self.dubbo or DubboExportSettings()
        options = dubbo.options()._replace(names=self.ports.value(), ephemeral=self.ephemeral, encoded=self.encoded)
        return known.written(self.dialect, options)

    @model_validator(mode="after")
    def _understood(self) -> Self:
        if self.encoded and self.dialect != "nerve":
            raise ValueError(f"`encoded` is about Nerve's names; remove it, for the dialect is {self.dialect}")
        if self.dialect == "dubbo-app" and (self.dubbo is None or not self.dubbo.interfaces):
            raise ValueError("an application of Dubbo's says what it serves; write `dubbo: {interfaces: [...]}`")
        return _about_dubbo(self, self.dialect, self.dubbo)


class Settings(RegistrySettings, ReachSettings):
    """Services that stand in a ZooKeeper, in the manner of Curator, Spring Cloud, Finagle, SmartStack and others."""

    kind: Literal["zookeeper"] = Field(description="which adapter reads it")
    trees: Several[TreeSettings] = Field(default=(), description="what is read")
    export: Several[TreeExportSettings] = Field(default=(), description="trees that are written")

    @property
    def session_timeout(self) -> float:
        return max(self.session, LONGEST)

    def open(self, kit: Kit) -> Source:
        """Without a mark nothing is known as ours, and nothing is written."""
        access, mark = self.access(), kit.mark
        read = [Mirror(one.tree, one.dialect, founded=one.founded) for one in self._read()]
        folders = {number: one.documents for number, one in enumerate(self.trees) if one.documents is not None}
        made = {folder: Documents(folder) for folder in folders.values()}
        documents = {number: made[folder] for number, folder in folders.items()}
        targets = self._targets(access, mark) if mark is not None else ()
        written = {one: Trees([one.mirror], Locality(), "", one.mark) for one in targets}
        place = f"zookeeper {self.hosts}"
        whole = Trees(read, self.locality.value(), self.network, mark, documents)
        beside = [one.mirror for one in made.values()]
        return ZooKeeper(place, access, Telling(place, read, whole, mark, written, beside=beside), kit.clock)

    def _targets(self, access: Access, mark: Mark) -> Iterator[TreeTarget]:
        for one in self.export:
            tree, dialect = one.tree(self.namespace), one.made()
            mirror = Mirror(tree, dialect, ours=True)
            its = replace(mark, former=()) if one.ephemeral else mark  # what ends by itself is not taken over
            yield TreeTarget(one.target, tree, dialect, mirror, its, one.ephemeral, access.acl)

    def check(self, owner: str = "") -> Observation | None:
        """Nothing is read offline; the files that are named have to lead somewhere."""
        return in_the_way(self.access().ready())

    async def sample(self, clock: Clock, within: float) -> Sequence[Sample]:
        return await sample(self.access().once(), self._read(), clock, within)

    def _read(self) -> list[Sampled]:
        roots = {one.tree(self.namespace).root for one in self.export}
        trees = ((f"trees[{number}]", one.tree(self.namespace), one) for number, one in enumerate(self.trees))
        return [Sampled(where, tree, one.made(), tree.root in roots) for where, tree, one in trees]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.trees and not self.export:
            raise ValueError("says not what is read; write `trees:`")
        for what, them in (("trees", self.trees), ("export", self.export)):
            for number, one in enumerate(them):
                try:
                    one.tree(self.namespace)
                except ValueError as error:
                    raise ValueError(f"{what}[{number}]: {error}") from None
        written = [one.tree(self.namespace) for one in self.export]
        for (first, tree), (second, other) in combinations(enumerate(written), 2):
            if tree.meets(other, within=True):
                paths = " and ".join(dict.fromkeys((self.export[first].path, self.export[second].path)))
                raise ValueError(f"export[{first}] and export[{second}] write into one tree, {paths}; {APART}")
        reading, writing = ([use for (what, _), use in self._uses() if what == one] for one in ("trees", "export"))
        for use, its in product(writing, reading):
            if why := clash(use, its):
                raise ValueError(f"{use.key}: {why}")
        return self

    def clashes(self, other: Self) -> Iterator[tuple[Place, str]]:
        if not self.servers & other.servers:
            return
        for place, use in self._uses():
            yield from ((place, why) for _, its in other._uses() if (why := clash(use, its)))

    def _uses(self) -> Iterator[tuple[Place, Use]]:
        """Each tree that is read or written, by the keys that lead to it."""
        uses = [("trees", number, one, one.dialect, ()) for number, one in enumerate(self.trees)]
        written = [("export", number, one, one.dialect, one.sources) for number, one in enumerate(self.export)]
        for what, number, one, dialect, sources in (*uses, *written):
            tree = one.tree(self.namespace).below(self.chroot)
            yield (what, number), Use(self.name, f"{what}[{number}]", one.path, tree, dialect, sources)
