"""What the configuration says of a registry of `kind: kubernetes`."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from adapters.kubernetes.access import AccessSettings
from adapters.kubernetes.client import Api
from adapters.kubernetes.fit import Form
from adapters.kubernetes.owned import Writing, home
from adapters.kubernetes.parts import Families, Mode, Scope
from adapters.kubernetes.reading import Reading
from adapters.kubernetes.registry import Kubernetes
from adapters.kubernetes.seen import Seen
from adapters.kubernetes.selection import Selection, pattern
from adapters.kubernetes.selector import Selector
from adapters.kubernetes.target import KubeTarget
from adapters.kubernetes.written import Written
from bridge.adapter import Observation, Source, Target
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.kit.names import ANY, Namespaces, Pattern, label
from bridge.kit.settings import ExportSettings, RegistrySettings, RemovalsSettings, Several, Strict

_EVERY: Final = (ANY,)


def _mode(value: Any) -> Any:
    if value == "gateway":
        raise ValueError("'gateway' is not there yet; take pod, node, loadbalancer or external-ip")
    return value


def _glob(text: str) -> str:
    pattern(text)
    return text


def _selector(text: str) -> str:
    Selector.parse(text)
    return text


class ImportSettings(Strict):
    """Which Services are read, and how their pods are reached."""

    namespaces: Annotated[Several[str], Field(min_length=1)] = Field(
        default=_EVERY,
        description='namespaces, each read by itself, or "*": all at once, without kube-* unless they are named too',
    )
    excepted: Several[str] = Field(default=(), alias="except", description="namespaces that are left out")
    services: Annotated[Several[Annotated[str, AfterValidator(_glob)]], Field(min_length=1)] = Field(
        default=_EVERY, description="globs over the name of a Service, or over namespace/name"
    )
    selector: Annotated[str, AfterValidator(_selector)] = Field(
        default="", description="a label selector on Services, such as team=payments,tier in (web, api)"
    )
    opt_in: bool = Field(
        default=False,
        description='read only Services annotated registry-bridge.dev/sync: "true"; "false" always leaves one out',
    )
    address_mode: Annotated[Mode, BeforeValidator(_mode)] = Field(
        default="pod", description="whether pods are reached by their own addresses, or by what stands before them"
    )
    families: Families = Field(
        default="primary",
        description="which addresses of a dual-stack Service count; primary: those of its first family, each pod once",
    )
    nodes: bool = Field(default=False, description="read nodes for the regions of endpoints; mode node always does")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        self.chosen()
        return self

    def chosen(self) -> Namespaces:
        return Namespaces.of(self.namespaces, self.excepted)

    def selection(self) -> Selection:
        """Which Services count."""
        globs = tuple(pattern(one) for one in self.services)
        return Selection(self.chosen(), globs, Selector.parse(self.selector), self.opt_in)


class SliceExportSettings(ExportSettings):
    """EndpointSlices that are written, beside Services that are there or that the bridge makes."""

    name: Annotated[str, AfterValidator(label)] | None = Field(
        default=None, description="what the export is called, where a cluster has several; never rename it"
    )
    create_services: bool = Field(
        default=False, description="make the Services that are missing; those go again when nothing is left to say"
    )
    headless: bool = Field(default=False, description="the Services that are made have no cluster IP")
    opt_in: bool = Field(
        default=False,
        description='write only to Services annotated registry-bridge.dev/sync: "true"; "false" always leaves one out',
    )
    slice_size: int = Field(default=100, ge=1, le=1000, description="endpoints of a slice")
    claim_namespace: Annotated[str, AfterValidator(label)] | None = Field(
        default=None,
        description="where the Lease is that says who writes; the pod's namespace, or the context's, by default",
    )

    @property
    def target(self) -> Target:
        return Target(self.name or "")

    @model_validator(mode="after")
    def _made(self) -> Self:
        if self.headless and not self.create_services:
            raise ValueError("`headless` is of Services that are made; write `create_services: true`, or remove it")
        return self

    def form(self, mark: Mark, namespaces: Namespaces) -> Form:
        """How it is written."""
        writing = Writing(mark, self.target, tuple(map(Pattern, self.services)))
        return Form(writing, namespaces, self.create_services, self.headless, self.opt_in, self.slice_size)


class KubernetesRemovalsSettings(RemovalsSettings):
    """When a disappearance is believed; pods are not probed unless told to: their network is seldom ours."""

    probe: bool = Field(default=False, description="whether missing endpoints are probed to prove them closed")


class Settings(AccessSettings, RegistrySettings):
    """A Kubernetes cluster: its Services and EndpointSlices."""

    kind: Literal["kubernetes"] = Field(description="which adapter reads it")
    imported: ImportSettings = Field(default=ImportSettings(), alias="import", description="what is read")
    removals: KubernetesRemovalsSettings = KubernetesRemovalsSettings()
    export: Several[SliceExportSettings] = Field(default=(), description="EndpointSlices that are written")

    def fills(self) -> Namespaces:
        """Those that are imported, unless `namespaces` narrows them."""
        return self.imported.chosen() if self.namespaces is None else super().fills()

    def open(self, kit: Kit) -> Source:
        api = Api(kit.registry, self.access(kit.clock), kit.clock, self.timeout)
        seen = Seen(home if self.export else None)
        owners = (kit.mark.owner, *kit.mark.former) if kit.mark is not None else ()
        said = self.imported
        scope = Scope(self.locality.value(), self.network, said.families, said.address_mode, frozenset(owners))
        reading = Reading(seen, said.selection(), scope)
        needed = said.address_mode == "node"
        nodes = needed or said.nodes
        written = Written(self._targets(kit, api, seen), seen, lambda: self.cluster().namespace, owners)
        return Kubernetes(api, kit.clock, said.chosen(), seen, reading, written=written, nodes=nodes, needed=needed)

    def _targets(self, kit: Kit, api: Api, seen: Seen) -> list[KubeTarget]:
        """What is written; without a mark nothing is."""
        if kit.mark is None:
            return []
        mark, namespaces = kit.mark, self.imported.chosen()
        return [
            KubeTarget(
                f"{kit.registry} {one.target}".strip(),
                one.form(mark, namespaces),
                one.claim_namespace or "",
                api=api,
                clock=kit.clock,
                service=seen.service,
            )
            for one in self.export
        ]

    def check(self, owner: str = "") -> Observation | None:
        """Nothing is read offline; a kubeconfig that is named has to lead somewhere."""
        if self.kubeconfig is not None:
            self.cluster()
        return None

    @model_validator(mode="after")
    def _no_namespace(self) -> Self:
        if self.namespace is not None:
            raise ValueError("`namespace` names services that have none, and a cluster's have theirs; remove it")
        return self
