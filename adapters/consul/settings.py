"""What the configuration says of a registry of `kind: consul`."""

from collections.abc import Iterator
from itertools import combinations, permutations
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from adapters.consul import spread
from adapters.consul.catalog import Catalog
from adapters.consul.client import Api
from adapters.consul.fit import Form
from adapters.consul.reach import ReachSettings
from adapters.consul.registry import Consul
from adapters.consul.selection import Selection, glob
from adapters.consul.target import NodeTarget
from adapters.consul.translate import Scope
from adapters.consul.written import Written
from bridge.adapter import Observation, Source, Target
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.kit.names import port_name, service_name
from bridge.kit.offline import in_the_way
from bridge.kit.place import Path as Place
from bridge.kit.place import excerpt
from bridge.kit.settings import ExportSettings, Name, RegistrySettings, Several, Strict
from bridge.model import Health, Locality, ServiceName

Word = Annotated[str, Field(min_length=1, max_length=200)]

_NODE_EACH: Final = "each would take what the other wrote for its own: join them, or name another one under `node`"
_TOGETHER: Final = "read all of it in the registry that writes, which is never told what it knows, or write elsewhere"


class PlacesSettings(Strict):
    """Keys of meta, of an instance or of its node, that say where it is; "" for none."""

    region: str = "region"
    zone: str = "zone"
    sub_zone: str = "sub_zone"

    def value(self) -> Locality:
        return Locality(self.region, self.zone, self.sub_zone)


class PortsSettings(Strict):
    """What ports are called that have no name there."""

    default: Annotated[str, AfterValidator(port_name)] | None = Field(
        default=None, description="the name of the only port, or of the default one"
    )


class ImportSettings(Strict):
    """Which services are read, and how their instances are."""

    services: Annotated[Several[Annotated[str, AfterValidator(glob)]], Field(min_length=1)] = Field(
        default=("*",), description="globs over names, as they are spelled there"
    )
    tags: Several[Word] = Field(default=(), description="only instances that have all of these")
    meta: dict[Word, str | Several[str]] = Field(
        default={}, description="only instances whose meta has, under each key, this value or one of these"
    )
    namespace: Name | None = Field(default=None, description="of all services; else the registry's")
    names: dict[Word, str] = Field(default={}, description="names of one's own: what stands there to namespace/name")
    tagged_address: Word | None = Field(
        default=None, description="which of the further addresses counts where there is one, such as wan or lan_ipv6"
    )
    warning: Literal["degraded", "healthy"] = Field(
        default="degraded", description="how an instance looks one of whose checks warns"
    )
    places: PlacesSettings = PlacesSettings()
    ports: PortsSettings = PortsSettings()
    synced: bool = Field(default=False, description="whether what consul-k8s copied from Kubernetes is read too")

    def selection(self) -> Selection:
        meta = {key: frozenset([one] if isinstance(one, str) else one) for key, one in self.meta.items()}
        return Selection(self.services, frozenset(self.tags), tuple(sorted(meta.items())), self.synced)


class NodeExportSettings(ExportSettings):
    """Instances on nodes of ours, one an endpoint, whose checks are kept true."""

    node: Annotated[str, Field(pattern=r"^[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,126}[A-Za-z0-9])?$")] | None = Field(
        default=None, description="what the node is called, where a Consul has several exports; never rename it"
    )
    nodes: Annotated[int, Field(ge=1, le=60)] = Field(
        default=40,
        description="over how many nodes they are spread at most: a write costs Consul as much as stands on its node, "
        "so that NODE-1, NODE-2 and so on are made as they are needed, one for each 500 instances; what stands beyond "
        "so many moves",
    )
    tags: Several[Word] = Field(default=(), description="of all instances")

    @property
    def target(self) -> Target:
        return Target(self.node or "")

    def first(self, owner: str) -> str:
        """What the first node of an owner is called."""
        return self.node or f"registry-bridge-{owner}"

    def shared(self, other: Self) -> str:
        """The node that both may write, "" where there is none."""
        firsts = self.first(""), other.first("")
        return next((its for one, its in permutations(firsts) if spread.number(one, its) is not None), "")


class Settings(RegistrySettings, ReachSettings):
    """The services of a Consul datacenter, in all states of their health."""

    kind: Literal["consul"] = Field(description="which adapter reads it")
    imported: ImportSettings = Field(default=ImportSettings(), alias="import", description="what is read")
    export: Several[NodeExportSettings] = Field(default=(), description="what is written there")

    def open(self, kit: Kit) -> Source:
        said = self.imported
        owners = (kit.mark.owner, *kit.mark.former) if kit.mark is not None else ()
        selection = said.selection()
        scope = Scope(
            selection,
            self.locality.value(),
            self.network,
            said.places.value(),
            said.tagged_address or "",
            said.ports.default or "",
            Health.DEGRADED if said.warning == "degraded" else Health.HEALTHY,
            frozenset(owners),
        )
        api = self.api(kit.registry)
        written = Written(api, kit.clock, [] if kit.mark is None else self._targets(api, kit.mark), owners)
        return Consul(api, kit.clock, selection, Catalog(self._into, self._own(), scope), written)

    def check(self, owner: str = "") -> Observation | None:
        """Nothing is read offline; the files that are named have to lead somewhere."""
        return in_the_way(self.ready())

    def clashes(self, other: Self) -> Iterator[tuple[Place, str]]:
        if self.consul != other.consul:
            return
        for number, one in self._writing():
            for at, its in other._writing():
                if one.shared(its):
                    what = f"writes on the node of export[{at}] of {excerpt(other.name)}, in the same Consul"
                    yield ("export", number), f"{what}; {_NODE_EACH}"
            if other.name in one.sources and self._doubles(other):
                what = f"writes what {excerpt(other.name)} reads in the same Consul, under the same names"
                yield ("export", number), f"{what}; {_TOGETHER}"
        for at, its in other._writing():
            if self.name in its.sources and other._doubles(self):
                what = f"is read where export[{at}] of {excerpt(other.name)} writes it again, under the same names"
                yield (), f"{what}; {_TOGETHER}"

    def _writing(self) -> Iterator[tuple[int, NodeExportSettings]]:
        return ((number, one) for number, one in enumerate(self.export) if one.mode != "dry-run")

    def _doubles(self, other: Self) -> bool:
        """Whether what another one reads may be unknown to this one, which would have it there a second time."""
        ours, theirs = self.imported.selection(), other.imported.selection()
        return self._into == other._into and ours not in (theirs, ImportSettings().selection())

    def _targets(self, api: Api, mark: Mark) -> list[NodeTarget]:
        spelled = {service: text for text, service in self._own().items()}
        return [
            NodeTarget(
                api, one.target, first=one.first, most=one.nodes, mark=mark, form=Form(self._into, spelled, one.tags)
            )
            for one in self.export
        ]

    @property
    def _into(self) -> str:
        return self.imported.namespace or self.namespace or ""

    def _own(self) -> dict[str, ServiceName]:
        """The names that were given here; ValueError says which is none."""
        return {spelled: service_name(name, self._into) for spelled, name in self.imported.names.items()}

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self._into:
            raise ValueError("services of a Consul have no namespace here; write `import: {namespace: shop}`")
        self._own()
        for one, other in combinations(self.export, 2):
            if node := one.shared(other):
                raise ValueError(f"two exports write the node {node}; name another one under `node`")
        return self
