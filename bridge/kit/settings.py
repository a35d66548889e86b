"""How the part of the configuration that every registry has is written down, and how an error in it is told.

Defaults live in models like these, and nowhere else. The types of values are those of `strict`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from bridge.adapter import Observation, Source, Target
from bridge.errors import ConfigError
from bridge.kit import Clock, Kit
from bridge.kit.address import Allow
from bridge.kit.document import Document
from bridge.kit.health import Health
from bridge.kit.names import EVERY_NAMESPACE, Namespaces, Pattern, label
from bridge.kit.place import Path as Place
from bridge.kit.strict import ConfigPath, Duration, HostPort, Percent, Secret, Several, Strict
from bridge.model import Locality

__all__ = [
    "ConfigPath",
    "Duration",
    "ExportSettings",
    "HostPort",
    "LocalitySettings",
    "Name",
    "Percent",
    "RegistrySettings",
    "Sample",
    "Secret",
    "Several",
    "Strict",
    "explain_errors",
    "nearest",
]


class LocalitySettings(Strict):
    """Where everything is that a registry does not place itself."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""

    def value(self) -> Locality:
        return Locality(self.region, self.zone, self.sub_zone)


class RemovalsSettings(Strict):
    """When a disappearance is believed."""

    settled: Duration = Field(
        default="15m", validate_default=True, description="an endpoint seen for so long counts as settled"
    )
    gather: Duration = Field(
        default="3s", validate_default=True, description="what goes missing within it is judged together"
    )
    small: Percent = Field(
        default="15%",
        validate_default=True,
        description="of a service's endpoints: so few may go without further evidence",
    )
    source: Percent = Field(
        default="10%",
        validate_default=True,
        description="of all the source's endpoints: so few may go without further evidence",
    )
    confirm: Duration = Field(
        default="60s", validate_default=True, description="after it a new complete reading confirms a removal"
    )
    last: Duration = Field(
        default="30m", validate_default=True, description="the same where no endpoint of the service is left"
    )
    flood_release: Duration = Field(default="30m", validate_default=True, description="after it a flood is believed")
    probe: bool = Field(default=True, description="whether missing endpoints are probed to prove them closed")


def _allow(cidrs: tuple[str, ...]) -> tuple[str, ...]:
    Allow(cidrs)
    return cidrs


Name = Annotated[str, AfterValidator(label)]
"""A lower-case DNS label."""


def _glob(text: str) -> str:
    Pattern(text)
    return text


class ExportRemovalsSettings(Strict):
    """How many of the endpoints that this bridge wrote may go at once; what is beyond that waits for agreement."""

    at_once: Percent = Field(default="10%", validate_default=True, description="of the endpoints written there")
    floor: int = Field(default=20, ge=0, description="so many may go however few there are")
    per: Duration = Field(default="10m", validate_default=True, description="the time in which so many may go")


class RateSettings(Strict):
    """How quickly changes are written."""

    per_second: float = Field(default=50, gt=0, description="changes a second")
    burst: int = Field(default=200, ge=1, description="changes that need not wait for each other")


class ExportSettings(Strict):
    """One thing that is written, as every kind of registry has it; an adapter adds where and how."""

    services: Annotated[Several[Annotated[str, AfterValidator(_glob)]], Field(min_length=1)] = Field(
        description="globs over namespace/name; nothing is exported by default"
    )
    sources: Annotated[Several[Name], Field(min_length=1)] = Field(
        alias="from", description="names of the registries whose endpoints are written there"
    )
    mode: Literal["sync", "upsert-only", "dry-run"] = Field(
        default="sync", description="whether what is gone is removed, stays for good, or nothing is written at all"
    )
    removals: ExportRemovalsSettings = ExportRemovalsSettings()
    rate: RateSettings = RateSettings()
    relay: bool = Field(default=False, description="whether what other bridges wrote is passed on")

    @property
    def target(self) -> Target:
        """What tells this export from the others of its registry; "" where there can be one only."""
        return Target("")

    @property
    def place(self) -> str | None:
        """What is written, the same for every registry of this kind that says so; None where no two could mean one."""
        return None


class Sample(NamedTuple):
    """What a few records of one place look like; `fits`: the configuration says so too."""

    where: str
    says: str
    fits: bool


class RegistrySettings(Strict, ABC):
    """What every registry's settings have in common; an adapter adds its own, and `open`."""

    inventory_schema: ClassVar[Mapping[str, Any] | None] = None
    """The JSON schema of what operators write for this kind of registry, where they do."""

    name: Name = Field(description="how it is called everywhere else")
    kind: str = Field(description="which adapter reads it")
    required: bool = Field(default=True, description="readiness waits for it")
    addresses: Annotated[Several[str], AfterValidator(_allow)] | None = Field(
        default=None, description="allow list of networks; an endpoint outside them is refused"
    )
    allow_loopback: bool = Field(default=False, description="admits loopback addresses; for development")
    namespace: Name | None = Field(default=None, description="for services named without one")
    namespaces: Several[Name] | None = Field(default=None, description="the only namespaces that it may fill")
    locality: LocalitySettings = LocalitySettings()
    network: str = Field(default="", description="which addresses reach each other")
    removals: RemovalsSettings = RemovalsSettings()
    health: Health = ()
    export: Several[ExportSettings] = Field(default=(), description="what is written there")

    def fills(self) -> Namespaces:
        """The namespaces that it may fill: those of `namespaces`, else any but `kube-*`, which must be named."""
        return EVERY_NAMESPACE if self.namespaces is None else Namespaces.of(self.namespaces)

    @property
    def session_timeout(self) -> float:
        """Seconds after which the registry itself drops the records of those that it does not hear from, at most."""
        return 0.0

    @abstractmethod
    def open(self, kit: Kit) -> Source:
        """The registry, ready to be read; nothing is connected before it is observed."""

    def check(self, owner: str = "") -> Observation | None:
        """Read offline what can be read so, for `registry-bridge check`; None where that is nothing.

        An observation whose `read` is 0 is none, and its problems are what would be in the way of one.

        What has the mark of `owner` is ours, and no service. ConfigError names every file that will not do, one a line.
        """
        return None

    def clashes(self, other: Self) -> Iterable[tuple[Place, str]]:
        """What this one is not to do beside another of its kind, which stands before it in the configuration.

        Each with the keys that lead to it here, and a sentence that says what is wrong and what to do.
        """
        return ()

    async def sample(self, clock: Clock, within: float) -> Sequence[Sample]:
        """Look at a few records in the registry itself, for `check --sample`; none where that is no use.

        `within` so many seconds a server is there. Raises Unavailable or Denied.
        """
        return ()


def explain_errors(
    error: ValidationError, document: Document, model: type[BaseModel], at: Sequence[str | int] = ()
) -> ConfigError:
    """All that pydantic found, one `file:line: dotted.key: what; what to do` a line, in the order of the lines.

    `model` was validated against what stands at `at` in `document`.
    """
    schema = model.model_json_schema()
    told = []
    for one in error.errors(include_url=False, include_input=False):
        place = _place(document.value, [*at, *one["loc"]], one["type"])
        what = _what(one, schema, place[len(at) :])
        told.append((document.line(place), f"{document.place(place)}: {what}"))
    return ConfigError("\n".join(dict.fromkeys(text for _, text in sorted(told))))


def _place(value: Any, loc: Sequence[str | int], kind: str) -> Place:
    """The part of pydantic's location that stands in the document; it names members of unions too."""
    place: list[str | int] = []
    for part in loc:
        inside = part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value))
        if inside:
            value = value[part]
            place.append(part)
    if kind == "missing":
        place.append(loc[-1])
    return tuple(place)


def _what(error: ErrorDetails, schema: Mapping[str, Any], place: Place) -> str:
    match error["type"]:
        case "extra_forbidden":
            return f"unknown key; {nearest(str(place[-1]), _keys(schema, place[:-1]))}"
        case "missing":
            return "is required; add it"
        case "string_type":
            return "must be text; put it into quotes"
        case "bool_type":
            return "must be true or false"
        case "int_type":
            return "must be a whole number"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "must be a mapping of keys"
        case "tuple_type" | "list_type":
            return "must be a list, such as [one, another]"
        case _:
            message = error["msg"].removeprefix("Value error, ")
            return message.replace("Input should be", "must be", 1)


def nearest(key: str, known: Sequence[str]) -> str:
    """`did you mean 'files'?`, or which keys there are."""
    close = get_close_matches(key, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"


def _keys(schema: Mapping[str, Any], place: Place) -> list[str]:
    """The keys that may stand at `place`, by the JSON schema of the model."""
    found: list[Mapping[str, Any]] = [schema]
    for part in (*place, None):
        for one in found:  # grows meanwhile
            if "$ref" in one:
                found.append(schema["$defs"][one["$ref"].rpartition("/")[2]])
            found += [*one.get("anyOf", ()), *one.get("oneOf", ()), *one.get("allOf", ())]
        if part is None:
            break
        inner = [
            one.get("items")
            if isinstance(part, int)
            else one.get("properties", {}).get(part, one.get("additionalProperties"))
            for one in found
        ]
        found = [one for one in inner if isinstance(one, Mapping)]
    return [key for one in found for key in one.get("properties", ())]
