"""How the data of a znode become values, strictly: what is not what it should be is a ValueError that says so."""

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2s
from typing import Any

from bridge.adapter import RecordKey
from bridge.errors import ConfigError
from bridge.kit import address, strict_json, strict_yaml
from bridge.kit.mark import Stamp
from bridge.kit.place import excerpt
from bridge.model import Locality, Metadata, Port

MAX_DATA = 64 * 1024
"""Bytes of one record; real ones have a few hundred."""

MAX_DEPTH = 16
MAX_WEIGHT = 65_535

_DATA = "data"
_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object that the data are; a byte order mark before it is let pass."""
    value = json_value(text_of(data))
    if not isinstance(value, dict):
        raise ValueError(f"{excerpt(value)} is not an object of JSON")  # noqa: TRY004  # told like the rest
    return value


def text_of(data: bytes) -> str:
    """The data as text."""
    if len(data) > MAX_DATA:
        raise ValueError(f"holds more than {MAX_DATA:,} bytes, of which no record is read that has so many")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"is not UTF-8 text; it begins with the bytes {data[:12].hex(' ')}") from None


def json_value(text: str) -> Any:
    """The value of a JSON text without duplicate keys, NaN, half characters or great depth."""
    if not text.strip():
        raise ValueError("is empty")
    try:
        return strict_json.read(text, _DATA, MAX_DEPTH)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg}") from None
    except ConfigError as error:
        raise ValueError(str(error)) from None


def yaml_value(text: str) -> Any:
    """The value of a YAML text, as `strict_yaml` reads it, which is not very deep."""
    try:
        return strict_yaml.read(text, _DATA, MAX_DEPTH)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def compact(value: Any) -> bytes:
    """JSON in the order of its keys and without blanks: old readers of ServerSets know it by its first two bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def mapping(value: Any, kind: str) -> dict[str, Any]:
    """`value` itself."""
    if not isinstance(value, dict):
        raise ValueError(f"{kind} {excerpt(value)} is not an object")  # noqa: TRY004  # told like the rest
    return value


def text(value: Any, kind: str) -> str:
    """`value` itself, which is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{kind} is missing" if value in (None, "") else f"{kind} {excerpt(value)} is not text")
    return value


def host(value: Any, kind: str = "host") -> str:
    """A canonical IP address or a host name; brackets around IPv6 are let pass."""
    said = text(value, kind)
    if said.startswith("[") and said.endswith("]") and ":" in said:
        said = said[1:-1]
    return _host(said)


@lru_cache(maxsize=65536)
def _host(said: str) -> str:
    return address.host(said)


def port(value: Any, kind: str = "port") -> int:
    """A whole number that a port can have."""
    return number(value, kind, 1, 65_535)


def number(value: Any, kind: str, lowest: int, highest: int) -> int:
    """A whole number in its bounds."""
    if type(value) is not int:
        raise ValueError(f"{kind} is missing" if value is None else f"{kind} {excerpt(value)} is not a whole number")
    if not lowest <= value <= highest:
        raise ValueError(f"{kind} {excerpt(value)} is not between {lowest} and {highest}")
    return value


def number_of(said: str, kind: str, lowest: int, highest: int) -> int:
    """A whole number that is written in decimal digits."""
    if not _INTEGER.fullmatch(said):
        raise ValueError(f"{kind} {excerpt(said)} is not a whole number")
    return number(int(said), kind, lowest, highest)


def finite(value: Any, kind: str) -> float:
    """A number that is no infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{kind} {excerpt(value)} is not a number")
    return float(value)


def texts(value: Any, kind: str) -> dict[str, str]:
    """A map of texts; numbers and truths become text as Java writes them, and null is left out."""
    said = mapping(value, kind)
    if all(type(one) is str for one in said.values()):
        return said
    return {key: _as_text(one, f"{kind} {excerpt(key)}:") for key, one in said.items() if one is not None}


def _as_text(value: Any, kind: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    raise ValueError(f"{kind} {excerpt(value)} is not text")


def digest(*parts: str | bytes) -> str:
    """Sixteen hexadecimal digits that stand for all of these."""
    made = blake2s(digest_size=8)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        made.update(len(raw).to_bytes(4, "big"))
        made.update(raw)
    return made.hexdigest()


def stamp_in(data: bytes) -> Stamp | None:
    """The first mark in data of whatever form; its key ends where a text of JSON does."""
    if b"registry-bridge/" not in data:
        return None
    found = Stamp.find(data.decode("utf-8", "replace"))
    if found is None:
        return None
    return found._replace(key=RecordKey(found.key.partition('"')[0]))


@lru_cache(maxsize=16384)
def one_port(name: str, number: int) -> tuple[Port, ...]:
    """The same object each time, as are all values that endpoints share."""
    return (Port(name, number),)


@lru_cache(maxsize=16384)
def interned(ports: tuple[Port, ...]) -> tuple[Port, ...]:
    return ports


@lru_cache(maxsize=4096)
def locality(region: str, zone: str, sub_zone: str) -> Locality:
    return Locality(region, zone, sub_zone)


def metadata(pairs: Mapping[str, str]) -> Metadata:
    """Sorted pairs."""
    return _metadata(tuple(sorted(pairs.items())))


@lru_cache(maxsize=16384)
def _metadata(pairs: Metadata) -> Metadata:
    return pairs
