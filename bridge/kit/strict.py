"""Strict models, and the types of what people write in a configuration.

Validate with `context={"folder": …}`, the folder of the configuration file, from which relative paths are taken.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from bridge.errors import ConfigError
from bridge.kit.address import host
from bridge.kit.names import port_name
from bridge.kit.place import excerpt

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


def write_duration(value: float) -> str:
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
    PlainSerializer(write_duration),
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


def _port(value: Any) -> int | str | None:
    if value is None or (isinstance(value, str) and port_name(value)):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise ValueError(f"{excerpt(value)} is neither the name of a port nor a number between 1 and 65535")
    return value


PortLabel = Annotated[int | str | None, BeforeValidator(_port)]
"""A port by its name or by its number; None where none is meant."""


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
