"""How a part of the configuration is written down: strict models, their value types, and how an error is told.

Defaults live in models like these, and nowhere else. Validate with `context={"folder": …}`, the folder of the
configuration file, from which relative paths are taken.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from bridge.adapter import Observation, Source, Target
from bridge.errors import ConfigError
from bridge.kit import Clock, Kit
from bridge.kit.address import Allow, host
from bridge.kit.document import Document
from bridge.kit.names import EVERY_NAMESPACE, Namespaces, Pattern, label
from bridge.kit.place import Path as Place
from bridge.kit.place import excerpt
from bridge.model import Locality

T = TypeVar("T")


class Strict(BaseModel):
    """A model without unknown keys and without guesses: `"1"` is no number, `1` is no text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _several(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Several = Annotated[tuple[T, ...], BeforeValidator(_several)]
"""A list, kept as a tuple."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = r"^([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)$"
_PERCENT = r"^([0-9]{1,3}(?:\.[0-9]{1,9})?)%$"


def _duration(value: Any) -> float:
    match = re.fullmatch(_DURATION[1:-1], value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{excerpt(value)} is not a time; write a number with a unit, such as 500ms, 10s, 15m or 1h")
    return round(float(match[1]) * _UNITS[match[2]], 9)


def _percent(value: Any) -> float:
    match = re.fullmatch(_PERCENT[1:-1], value, re.ASCII) if isinstance(value, str) else None
    if match is None or float(match[1]) > 100:
        raise ValueError(f"{excerpt(value)} is not a share; write a percentage from 0% to 100%, such as 15%")
    return float(match[1]) / 100


def _write_duration(value: float) -> str:
    """In the largest unit that leaves a whole number."""
    for unit in ("d", "h", "m", "s"):
        if value >= _UNITS[unit] and value % _UNITS[unit] == 0:
            return f"{value / _UNITS[unit]:.0f}{unit}"
    return f"{_plain(value * 1000)}ms"


def _write_percent(value: float) -> str:
    return f"{_plain(value * 100)}%"


def _plain(value: float) -> str:
    return f"{value:.6f}".rstrip("0").removesuffix(".")


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(_write_duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION, "examples": ["500ms", "10s", "15m", "1h"]}),
]
"""Seconds, written as `500ms`, `10s`, `15m`, `1h` or `1d`. A default may be written so with `validate_default=True`."""

Percent = Annotated[
    float,
    BeforeValidator(_percent),
    PlainSerializer(_write_percent),
    WithJsonSchema({"type": "string", "pattern": _PERCENT, "examples": ["15%"]}),
]
"""A fraction from 0 to 1, written as `15%`."""


def _config_path(value: Any, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"{excerpt(value)} is not a path")
    folder = (info.context or {}).get("folder", Path())
    try:
        return Path(folder, Path(value).expanduser())
    except RuntimeError:
        raise ValueError(f"{excerpt(value)}: there is no such home folder; write the whole path") from None


ConfigPath = Annotated[
    Path,
    BeforeValidator(_config_path),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
"""A path; a relative one is taken from the folder of the configuration file."""


class HostPort(NamedTuple):
    """Where something listens; port 0 asks the system for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, value: Any) -> Self:
        """`127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`; ValueError when it is none of them."""
        if isinstance(value, cls):
            return value
        form = r"(?:\[([^\[\]]+)\]|([^:]+)):([0-9]{1,5})"
        match = re.fullmatch(form, value, re.ASCII) if isinstance(value, str) else None
        if match is None or int(match[3]) > 65535:
            raise ValueError(f"{excerpt(value)} is not of the form address:port; write such as 127.0.0.1:8080")
        return cls(host(match[1] or match[2]), int(match[3]))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": r":[0-9]{1,5}$", "examples": ["127.0.0.1:8080", "[::1]:8080"]}


_PUT = "put it there, or correct the path"


class Secret:
    """Where a secret is: `{file: path}` or `{env: NAME}`, never the secret itself; it prints as `***`."""

    __slots__ = ("_env", "_file")

    def __init__(self, file: Path | None = None, env: str | None = None) -> None:
        self._file = file
        self._env = env

    def reveal(self) -> str:
        """Read it now, so that a rotated one is seen, and strip white space; ConfigError when it is not there."""
        if self._file is not None:
            try:
                text = self._file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                raise ConfigError(f"{self._file}: a secret is to be read from here: {why}; {_PUT}") from None
            if not text:
                raise ConfigError(f"{self._file}: a secret is to be read from here, and the file is empty; {_PUT}")
            return text
        text = os.environ.get(self._env or "", "").strip()
        if not text:
            raise ConfigError(
                f"environment variable {self._env}: a secret is to be read from it, and it is not set; set it "
                "where the bridge starts, or correct the name"
            )
        return text

    def __repr__(self) -> str:
        return "***"

    @classmethod
    def _of(cls, value: Any, info: ValidationInfo) -> Self:
        if isinstance(value, cls):
            return value
        # no message repeats the value: it may be the secret
        if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= {"file", "env"}:
            raise ValueError("a secret is never written here; write {file: path} or {env: NAME}")
        if "file" in value:
            return cls(file=_config_path(value["file"], info))
        if not isinstance(value["env"], str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value["env"], re.ASCII):
            raise ValueError("env: is not the name of an environment variable")
        return cls(env=value["env"])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(cls._of, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = {"type": "string", "minLength": 1}
        return {
            "type": "object",
            "properties": {"file": text, "env": text},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        }


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
