"""What the configuration says of a registry of `kind: consul`."""

from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from adapters.consul.access import Access
from adapters.consul.catalog import Catalog
from adapters.consul.client import Api
from adapters.consul.registry import Consul
from adapters.consul.selection import Selection, glob
from adapters.consul.translate import Scope
from bridge.adapter import Source
from bridge.kit import Kit, address
from bridge.kit.names import port_name, service_name
from bridge.kit.place import excerpt
from bridge.kit.settings import ConfigPath, Duration, Name, RegistrySettings, Several, Strict
from bridge.kit.tls import TlsSettings
from bridge.model import Health, Locality, ServiceName

PORTS: Final = {"http": 8500, "https": 8501}

Word = Annotated[str, Field(min_length=1, max_length=200)]


def _url(text: str) -> str:
    """A server's, with its port filled in and without a slash at the end."""
    said = urlsplit(text)
    form = "write such as http://127.0.0.1:8500 or https://consul.dc2:8501"
    if said.scheme not in PORTS or not said.hostname or said.query or said.fragment:
        raise ValueError(f"{excerpt(text)} is no address of a Consul; {form}")
    if said.username is not None or said.password is not None:
        raise ValueError("holds a user or a password, which belong into a file; write `token_file:`")
    try:
        host, port = address.host(said.hostname), said.port or PORTS[said.scheme]
    except ValueError as error:
        raise ValueError(f"{error}; {form}") from None
    shown = f"[{host}]" if ":" in host else host
    return f"{said.scheme}://{shown}:{port}{said.path.rstrip('/')}"


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


class EnterpriseSettings(Strict):
    """Where everything is, in Consul Enterprise; the community's has neither."""

    namespace: Word | None = None
    partition: Word | None = None

    def scope(self) -> dict[str, str]:
        """The parameters of each question."""
        said = {"ns": self.namespace, "partition": self.partition}
        return {key: value for key, value in said.items() if value is not None}


class Settings(RegistrySettings):
    """The services of a Consul datacenter, in all states of their health."""

    kind: Literal["consul"] = Field(description="which adapter reads it")
    url: Annotated[str, AfterValidator(_url)] = Field(
        default="http://127.0.0.1:8500",
        description="an agent or a server",
        examples=["http://127.0.0.1:8500", "https://consul.dc2:8501"],
    )
    token_file: ConfigPath | None = Field(default=None, description="a file with the token, read again as it changes")
    tls: TlsSettings | None = None
    datacenter: Word | None = Field(default=None, description="another one than that of whoever answers")
    enterprise: EnterpriseSettings = EnterpriseSettings()
    timeout: Duration = Field(
        default="10s", validate_default=True, description="of a question that does not wait for a change"
    )
    imported: ImportSettings = Field(default=ImportSettings(), alias="import", description="what is read")

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
        access = Access(self.url, self.token_file, self.tls)
        api = Api(kit.registry, access, self.timeout, self.datacenter or "", self.enterprise.scope())
        return Consul(api, kit.clock, selection, Catalog(self._into, self._own(), scope))

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
        if self.timeout < 1:
            raise ValueError("`timeout` is less than 1s; a server without a leader needs more to say so")
        if self.tls is not None and self.url.startswith("http:"):
            raise ValueError("`tls` is of a `url` with https:; correct one of them")
        self._own()
        return self
