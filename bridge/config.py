"""The whole configuration: one YAML file, read strictly, and every default that there is."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar, cast

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator

from bridge import targets
from bridge.admin.text import hide
from bridge.errors import ConfigError
from bridge.guard import Removals
from bridge.kit import Clock
from bridge.kit.address import Allow
from bridge.kit.document import Document
from bridge.kit.document import load as load_document
from bridge.kit.election import Elector
from bridge.kit.mark import owner_name
from bridge.kit.names import MAX_KEY, MAX_METADATA, MAX_VALUE
from bridge.kit.place import excerpt
from bridge.kit.settings import ConfigPath, Duration, HostPort, RegistrySettings, Strict, explain_errors, nearest
from bridge.policies import Policies, ServicesSettings
from bridge.runtime.engine import EngineSettings
from bridge.screen import Bounds, ScreenPolicy
from bridge.targets import Electors, ElectorSettings, Written
from bridge.xds.names import Names
from bridge.xds.server import ServerSettings
from bridge.xds.tls import TlsFiles

ENTRY_POINTS: Final = "bridge.adapters"
EXTRAS: Final = (
    "static",
    "kubernetes",
    "zookeeper",
    "consul",
)  # kinds that this distribution brings, each behind the extra of its name
PLACES: Final = (Path("bridge.yaml"), Path("/etc/registry-bridge/bridge.yaml"))
"""Where the configuration is looked for when nobody names it."""

BOUNDS: Final = Bounds(
    services=100_000,
    endpoints=10_000,
    ports=64,
    weight=1_000_000,
    pairs=MAX_METADATA,
    key=MAX_KEY,
    value=MAX_VALUE,
    metadata=16_384,
)
"""How much one registry may say; beyond it there is a Problem and no more."""

MAX_NAMES: Final = 20_000  # that one stream may subscribe to
MAX_STREAMS: Final = 20_000  # of one address: an Envoy without ADS opens one a cluster, a proxy may stand for many

_ALONE: Final = {"kind": "none"}
_SMALLEST: Final = "{name: vms, kind: static, files: [vms.yaml]}"
M = TypeVar("M", bound=BaseModel)

Adapters = Mapping[str, Callable[[], type[RegistrySettings]]]
"""Kind to what loads its settings class; loading may raise ImportError."""


def _listen(value: HostPort) -> HostPort:
    if value.port == 0:
        raise ValueError("port 0 is not between 1 and 65535")
    try:
        return value if value.host == "localhost" else HostPort(str(ip_address(value.host)), value.port)
    except ValueError:
        raise ValueError(f"{excerpt(value.host)} is a name; write the IP address to listen on, or localhost") from None


Listen = Annotated[HostPort, AfterValidator(_listen)]
"""An IP address or `localhost`, and a port."""


def is_loopback(address: HostPort) -> bool:
    """Whether only this machine reaches what listens there."""
    return address.host == "localhost" or ip_address(address.host).is_loopback


class TlsSettings(Strict):
    """Certificates of the xDS server, PEM; the files are re-read when they change."""

    cert: ConfigPath
    key: ConfigPath
    client_ca: ConfigPath | None = Field(default=None, description="clients must show a certificate of this authority")


class XdsSettings(Strict):
    """Where Envoy asks, and under which names."""

    listen: Listen = HostPort("127.0.0.1", 18000)
    names: str = Field(default="{namespace}/{name}:{port}", description="the default port's name leaves `:{port}` out")
    tls: TlsSettings | None = None
    insecure: bool = Field(default=False, description="plain text on an address that is not loopback")

    @field_validator("names")
    @classmethod
    def _names(cls, value: str) -> str:
        try:
            Names(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return value


class AdminSettings(Strict):
    """Where operators ask: API, metrics, probes; loopback only."""

    listen: Listen = HostPort("127.0.0.1", 8080)

    @field_validator("listen")
    @classmethod
    def _loopback(cls, value: HostPort) -> HostPort:
        if not is_loopback(value):
            raise ValueError(
                f"{value} is not loopback, and whoever reaches the admin port may accept removals; listen on 127.0.0.1 "
                "and reach it by ssh -L or kubectl port-forward; probes: {listen: …} opens /healthz, /readyz, /metrics"
            )
        return value


class ProbesSettings(Strict):
    """/healthz, /readyz and /metrics alone, for those who must not reach the admin port."""

    listen: Listen


class SettleSettings(Strict):
    """How often the catalog may change."""

    interval: Duration = Field(default="100ms", validate_default=True)


class StartSettings(Strict):
    """How long a start waits for registries that do not answer."""

    wait: Duration = Field(default="10s", validate_default=True)


class SnapshotSettings(Strict):
    """Where the last good view and the decisions of operators are kept over restarts."""

    path: ConfigPath | None = Field(
        default=None, description="a folder; default: $STATE_DIRECTORY, else $XDG_STATE_HOME/registry-bridge"
    )
    max_age: Duration = Field(
        default="1h",
        validate_default=True,
        description="an older one does not stand in for a source that does not answer",
    )


class LogSettings(Strict):
    """What the log looks like."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Root(Strict):
    """The configuration of the registry bridge."""

    owner: Annotated[str, AfterValidator(owner_name)] | None = Field(
        default=None, description="marks what is written, and is needed only then; another one for each deployment"
    )
    registries: list[dict[str, Any]] = Field(description="what is read; the first one wins what two know")
    services: ServicesSettings = Field(
        default_factory=dict, description="traffic policy by name or glob (namespace/name); reloads while running"
    )
    xds: XdsSettings = XdsSettings()
    admin: AdminSettings = AdminSettings()
    probes: ProbesSettings | None = None
    settle: SettleSettings = SettleSettings()
    start: StartSettings = StartSettings()
    snapshot: SnapshotSettings = SnapshotSettings()
    leader: dict[str, Any] = Field(
        default_factory=lambda: dict(_ALONE), description="which replica writes; `none` is for a single process"
    )
    log: LogSettings = LogSettings()


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration that is valid as a whole.

    `root.registries` are what `registries` was made of, and `root.leader` what `leader` was.
    """

    path: Path
    root: Root
    registries: tuple[RegistrySettings, ...]
    leader: ElectorSettings

    def written(self) -> tuple[Written, ...]:
        """Every target that is written, in the order of the file."""
        return targets.written(self.registries, self.root.owner or "")

    @property
    def elects(self) -> bool:
        """Whether it takes part in an election: who writes does, and who shares decisions with other replicas."""
        return self.root.owner is not None or "leader" in self.root.model_fields_set

    def elector(self, clock: Clock, folder: Path | None) -> Elector:
        """This replica's part in the election; `folder` is `state_folder`, None when nothing shall outlive us."""
        return self.leader.open(clock, folder)

    def policies(self, previous: Policies | None = None) -> Policies:
        """Service name to traffic policy; what equals a policy of `previous` is the same object."""
        return Policies(self.root.services, previous)

    def differs(self, other: Self) -> list[str]:
        """The top-level keys that differ, but `services`: what a running bridge cannot take over."""
        return sorted(
            key
            for key in Root.model_fields
            if key != "services" and getattr(self.root, key) != getattr(other.root, key)
        )

    def server(self) -> ServerSettings:
        """How the xDS server listens."""
        xds = self.root.xds
        tls = None if xds.tls is None else TlsFiles(xds.tls.cert, xds.tls.key, xds.tls.client_ca)
        return ServerSettings(
            listen=(xds.listen.host, xds.listen.port),
            insecure=xds.insecure,
            tls=tls,
            max_names=MAX_NAMES,
            max_streams=MAX_STREAMS,
        )

    def engine(self, snapshot: Path | None) -> EngineSettings:
        """How the engine runs; `snapshot` is `state_folder`, or None when nothing shall outlive the process."""
        root = self.root
        return EngineSettings(
            settle=root.settle.interval,
            start_wait=root.start.wait,
            snapshot=snapshot,
            max_age=root.snapshot.max_age,
            garbage=snapshot is not None,
        )

    def state_folder(self) -> Path:
        """Where snapshot and decisions are kept: `snapshot.path`, or what systemd or the desktop say, or below home."""
        if self.root.snapshot.path is not None:
            return self.root.snapshot.path
        if given := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
            return Path(given)
        home = os.environ.get("XDG_STATE_HOME", "")
        return Path(home if Path(home).is_absolute() else Path.home() / ".local/state") / "registry-bridge"


def removals(settings: RegistrySettings) -> Removals:
    """The guard's figures for a registry."""
    given = settings.removals
    return Removals(
        settled=given.settled,
        gather=given.gather,
        confirm=given.confirm,
        last=given.last,
        flood_release=given.flood_release,
        small=given.small,
        source=given.source,
        probe=given.probe,
        session_timeout=settings.session_timeout,
    )


def screening(settings: RegistrySettings) -> ScreenPolicy:
    """What a registry may say."""
    return ScreenPolicy(
        addresses=None if settings.addresses is None else Allow(settings.addresses),
        allow_loopback=settings.allow_loopback,
        namespaces=settings.fills(),
        bounds=BOUNDS,
    )


def may_fill(settings: RegistrySettings) -> Callable[[str], bool]:
    """Whether a registry may say something of a namespace."""
    return settings.fills().admit


def installed() -> Adapters:
    """The kinds of registries of all installed distributions."""
    return {entry.name: partial(_load, entry) for entry in sorted(entry_points(group=ENTRY_POINTS))}


def _load(entry: EntryPoint) -> type[RegistrySettings]:
    loaded: type[RegistrySettings] = entry.load()
    return loaded


def find(given: Path | None) -> Path:
    """The configuration file: the one named, else the first of the usual places; ConfigError when there is none."""
    if given is not None:
        return given
    for place in PLACES:
        if place.is_file():
            return place
    raise ConfigError(f"no configuration: name one with --config, or write {' or '.join(map(str, PLACES))}")


def load(path: Path, adapters: Adapters | None = None) -> Config:
    """Read the file; ConfigError has one line for everything that is wrong, with its place and what to do."""
    return parse(_read(path), path, adapters)


def parse(text: str, path: Path, adapters: Adapters | None = None) -> Config:
    """Read `text` as the content of `path`, from whose folder relative paths are taken; raises as `load` does."""
    document = load_document(text, str(path))
    if not isinstance(document.value, dict):
        raise ConfigError(f"{path}: must be a mapping of keys; the smallest is registries: [{_SMALLEST}]")
    context = {"folder": path.absolute().parent}
    found: list[str] = []
    root = _validate(Root, document, (), context, found)
    registries = _registries(document, adapters if adapters is not None else installed(), context, found)
    leader = _leader(document, targets.electors(), context, found)
    if root is not None:
        found += _exposed(root, document)
        found += targets.wrong(document, registries, root.owner)
    if found or root is None or leader is None:
        raise ConfigError("\n".join(_by_line(found)))
    return Config(path, root, tuple(registries.values()), leader)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name another with --config") from None


def _validate(
    model: type[M], document: Document, at: tuple[str | int, ...], context: dict[str, Path], wrong: list[str]
) -> M | None:
    value = document.value
    for part in at:
        value = value[part]
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        wrong += str(explain_errors(error, document, model, at)).split("\n")
        return None


def _registries(
    document: Document, adapters: Adapters, context: dict[str, Path], wrong: list[str]
) -> dict[int, RegistrySettings]:
    """The valid ones by their index in the file."""
    given = document.value.get("registries")
    if not isinstance(given, list):
        return {}
    if not given:
        wrong.append(f"{document.place(('registries',))}: is empty; add one, such as {_SMALLEST}")
    made: dict[int, RegistrySettings] = {}
    seen: set[str] = set()
    for index, one in enumerate(given):
        if not isinstance(one, dict):
            continue
        at = ("registries", index)
        model = _model(one.get("kind"), document, at, adapters, wrong)
        settings = _validate(model, document, at, context, wrong) if model else None
        name = one.get("name")
        if isinstance(name, str):
            if name in seen:
                place = document.place((*at, "name"))
                wrong.append(f"{place}: {excerpt(name)} is the name of another registry too; give each its own")
            seen.add(name)
        if settings is not None:
            made[index] = settings
    return made


def _leader(
    document: Document, electors: Electors, context: dict[str, Path], wrong: list[str]
) -> ElectorSettings | None:
    given = document.value.get("leader", _ALONE)
    if not isinstance(given, dict):
        return None  # which is said already
    kind, place, known = given.get("kind"), document.place(("leader", "kind")), ", ".join(electors)
    if not isinstance(kind, str):
        wrong.append(f"{place}: names the kind of election; known are {known}")
    elif kind not in electors:
        wrong.append(f"{place}: {excerpt(kind)} is no kind of election here; {nearest(kind, list(electors))}")
    elif "leader" not in document.value:
        return cast("ElectorSettings", electors[kind]()())
    else:
        try:
            model = electors[kind]()
        except ImportError as error:
            wrong.append(f"{place}: {excerpt(kind)} cannot be loaded: {error}; {installation(kind)}")
            return None
        return cast("ElectorSettings | None", _validate(model, document, ("leader",), context, wrong))
    return None


def _model(
    kind: object, document: Document, at: tuple[str | int, ...], adapters: Adapters, wrong: list[str]
) -> type[RegistrySettings] | None:
    known = ", ".join(adapters) or "none"
    place = document.place((*at, "kind"))
    if not isinstance(kind, str):
        wrong.append(f"{place}: names the adapter that reads the registry; known are {known}")
    elif kind in adapters:
        try:
            return adapters[kind]()
        except ImportError as error:
            wrong.append(f"{place}: {excerpt(kind)} cannot be loaded: {error}; {installation(kind)}")
    elif kind in EXTRAS:
        wrong.append(f"{place}: {excerpt(kind)} is not installed here; {installation(kind)}")
    else:
        wrong.append(f"{place}: {excerpt(kind)} is no kind of registry that is installed here; {_near(kind, adapters)}")
    return None


def _near(kind: str, adapters: Adapters) -> str:
    return nearest(kind, list(adapters)) if adapters else "none is"


def installation(kind: str) -> str:
    """How a kind of registry that cannot be loaded is made one that can."""
    return (
        f"pip install 'registry-bridge[{kind}]'" if kind in EXTRAS else "install the package that it comes with whole"
    )


def _exposed(root: Root, document: Document) -> list[str]:
    """What would let others in who should stay outside, and what would stand in its own way."""
    wrong = []
    xds = root.xds
    if not is_loopback(xds.listen) and xds.tls is None and not xds.insecure:
        wrong.append(
            f"{document.place(('xds', 'listen'))}: {xds.listen} is not loopback, and plain text is spoken there; "
            "write xds.tls: {cert, key, client_ca}, or insecure: true if the network is yours alone"
        )
    if xds.tls is not None and xds.insecure:
        wrong.append(f"{document.place(('xds', 'insecure'))}: stands beside xds.tls; remove one of them")
    taken: dict[HostPort, str] = {}
    for key, section in (("xds", xds), ("admin", root.admin), ("probes", root.probes)):
        if section is not None and section.listen.port and (other := taken.setdefault(section.listen, key)) != key:
            wrong.append(
                f"{document.place((key, 'listen'))}: {section.listen} is {other}.listen too; choose another port"
            )
    return wrong


def _by_line(wrong: Iterable[str]) -> list[str]:
    """In the order of their lines in the file, each once, with what looks like a password in an URL left out."""

    def line(text: str) -> int:
        found = re.match(r".*?:(\d+):", text)
        return int(found[1]) if found else 0

    return [hide(text) for text in sorted(dict.fromkeys(wrong), key=line)]


def schema(adapters: Adapters | None = None) -> dict[str, Any]:
    """The JSON schema of the configuration, with the registries and the elections of every kind that can be loaded."""
    made = Root.model_json_schema()
    definitions = made.setdefault("$defs", {})
    registries = _schemas(adapters if adapters is not None else installed(), "registry", definitions)
    for kind, one in registries.items():
        one["properties"]["kind"] = {"const": kind, "description": "which adapter reads it"}
    leaders = _schemas(targets.electors(), "leader", definitions)
    made["properties"]["leader"] |= {"anyOf": list(leaders.values())}
    made["properties"]["registries"] |= {"items": {"anyOf": list(registries.values())}, "minItems": 1}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _schemas(
    kinds: Mapping[str, Callable[[], type[BaseModel]]], role: str, definitions: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Kind to its schema; what that refers to goes into `definitions`, under names that no other kind has."""
    found: dict[str, dict[str, Any]] = {}
    for kind, load_kind in kinds.items():
        prefix = f"{kind}_{role}"
        try:
            part = load_kind().model_json_schema(ref_template=f"#/$defs/{prefix}_{{model}}")
        except ImportError:
            continue
        definitions.update({f"{prefix}_{name}": it for name, it in part.pop("$defs", {}).items()})
        found[kind] = part
    return found
