"""How the fields of an endpoint are written as one word each, and read again: nothing is lost, nothing collides."""

import re
from functools import lru_cache

from bridge.kit import names
from bridge.kit.place import excerpt
from bridge.model import Metadata, Port

_PORT = re.compile(r"([^:,/]*):([0-9]{1,5})(?:/([^,/]+)(?:/([^,]+))?)?", re.ASCII)
_PLAIN_LABEL = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*", re.ASCII)
_ESCAPED = "U__"
_CODE = re.compile(r"__|_([0-9a-f]{1,6})_", re.ASCII)
_SPECIAL = re.compile(r"[%;=,/\"\\#]|^[-+@ ]| $", re.ASCII)


@lru_cache(maxsize=4096)
def ports(them: tuple[Port, ...]) -> str:
    """`http:8080,dns:53/UDP,rpc:9090/TCP/grpc`; a port without a name begins with the colon."""
    return ",".join(map(_port, them))


def _port(port: Port) -> str:
    text = f"{port.name}:{port.number}"
    if port.app_protocol:
        return f"{text}/{port.protocol}/{port.app_protocol}"
    return text if port.protocol == "TCP" else f"{text}/{port.protocol}"


@lru_cache(maxsize=4096)
def ports_of(text: str) -> tuple[Port, ...]:
    """What `ports` wrote; ValueError when it cannot have."""
    found = []
    for part in text.split(","):
        match = _PORT.fullmatch(part)
        if match is None or not 1 <= int(match[2]) <= 65535:
            raise ValueError(f"{excerpt(part)} is not a port of the form name:number")
        name = names.port_name(match[1]) if match[1] else ""
        found.append(Port(name, int(match[2]), match[3] or "TCP", match[4] or ""))
    return tuple(found)


@lru_cache(maxsize=4096)
def label(key: str) -> str:
    """A key of metadata as part of a label's name, escaped as Prometheus does where it has to be."""
    if _PLAIN_LABEL.fullmatch(key) and not key.startswith(_ESCAPED):
        return key
    return _ESCAPED + "".join(
        "__" if one == "_" else one if one.isascii() and one.isalnum() else f"_{ord(one):x}_" for one in key
    )


@lru_cache(maxsize=4096)
def key_of(label: str) -> str:
    """What `label` was made of."""
    if not label.startswith(_ESCAPED):
        return label
    return _CODE.sub(lambda code: chr(int(code[1], 16)) if code[1] else "_", label[len(_ESCAPED) :])


def escaped(text: str) -> str:
    """`text` without the signs that separate words here, or that a spreadsheet takes for the start of a formula."""
    return _SPECIAL.sub(lambda sign: f"%{ord(sign[0]):02X}", text)


def unescaped(text: str) -> str:
    return re.sub(r"%([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), text)


@lru_cache(maxsize=4096)
def pairs(metadata: Metadata) -> str:
    """`team=payments;version=2`"""
    return ";".join(f"{escaped(key)}={escaped(value)}" for key, value in metadata)


@lru_cache(maxsize=4096)
def pairs_of(text: str) -> Metadata:
    """What `pairs` wrote; ValueError when it cannot have."""
    found = []
    for part in text.split(";") if text else ():
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"{excerpt(part)} is not of the form key=value")
        found.append((unescaped(key), unescaped(value)))
    return names.metadata(tuple(found))
