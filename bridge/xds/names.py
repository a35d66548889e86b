"""Under which names services are told and asked for."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from bridge.errors import ConfigError
from bridge.model import ServiceName
from bridge.xds.messages import CDS, EDS

DEFAULT = "{namespace}/{name}:{port}"

_TYPES = frozenset(url.partition("/")[2] for url in (CDS, EDS))
_SCHEME = "xdstp:"
_FIELDS = ("namespace", "name", "port")
_PIECE = re.compile(r"\{([^{}]*)\}")
_PUNCTUATION = re.compile(r"[\W_]+")
_PUNCTUATION_END = re.compile(r"[\W_]+$")


class Asked(NamedTuple):
    """What a name asks for; `port` is a number, a port's name, or "" for the default port."""

    service: ServiceName
    port: str | int = ""


class Names:
    """A template and what follows from it.

    A template has `{namespace}`, `{name}` and, if ports are told, `{port}`, with separators between them. The default
    port's name leaves out `{port}` and the punctuation right before it, or right behind it where `{port}` comes first:
    `{namespace}/{name}:{port}` gives `shop/payments:grpc` and `shop/payments`.

    Writing is reversible: punctuation that begins a separator is percent-encoded within a namespace, a name or a port,
    and so is `%`. Only the last field of a template without `{port}` may hold separators as they are.

    Raises ConfigError when the template will not do.
    """

    __slots__ = ("_default", "_ported", "template")

    def __init__(self, template: str = DEFAULT) -> None:
        self.template = template
        fields, literals = _read(template)
        self._ported: _Form | None = None
        if "port" not in fields:
            self._default = _Form(fields, literals, ())
            return
        reserved = sorted({_PUNCTUATION.match(literal)[0] for literal in literals[1:-1]})  # type: ignore[index]
        self._ported = _Form(fields, literals, reserved)
        at = fields.index("port")
        before, after = literals[at : at + 2]
        joined = _PUNCTUATION_END.sub("", before) + after if at else before + _PUNCTUATION.sub("", after)
        self._default = _Form(fields[:at] + fields[at + 1 :], [*literals[:at], joined, *literals[at + 2 :]], reserved)

    @property
    def ports(self) -> bool:
        """Whether a port other than the default one has a name."""
        return self._ported is not None

    def write(self, service: ServiceName, port: str | int = "") -> str:
        """The name of a port of `service`; ValueError for a port that no name can say."""
        if port == "":
            return self._default.write(service._asdict())
        if self._ported is None:
            raise ValueError(f"the template {self.template!r} has no {{port}}")
        if isinstance(port, str) and _is_number(port):
            raise ValueError(f"{service}: the port's name {port!r} would be taken for a number")
        return self._ported.write({**service._asdict(), "port": str(port)})

    def parse(self, text: str) -> Asked | None:
        """What `text` asks for, None when it is no name of this template; `xdstp://` names are understood too."""
        if text.startswith(_SCHEME):
            text = _xdstp(text)
        fields = self._default.parse(text)
        if fields is not None:
            return Asked(ServiceName(**fields))
        fields = self._ported.parse(text) if self._ported is not None else None
        if fields is None:
            return None
        port = fields.pop("port")
        if not _is_number(port):
            return Asked(ServiceName(**fields), port)
        number = int(port) if len(port) <= 5 else 0
        return Asked(ServiceName(**fields), number) if 0 < number < 65_536 and str(number) == port else None


def _xdstp(text: str) -> str:
    """The id of `xdstp://authority/type/id?context`, "" when it is not one of a type that is served.

    The parameters of its context may stand in any order, each once; they choose nothing.
    """
    try:
        parts = urlsplit(text)
        slash, _, rest = parts.path.partition("/")
        type_, _, id_ = rest.partition("/")
        id_ = unquote(id_, errors="strict")
        context = parse_qsl(
            parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), errors="strict", max_num_fields=64
        )
    except ValueError:
        return ""
    if parts.scheme != "xdstp" or slash or parts.fragment or type_ not in _TYPES:
        return ""
    return id_ if len({key for key, _ in context}) == len(context) else ""


class _Form:
    """Fields with a literal before each and one behind the last; nothing of `reserved` within a field."""

    __slots__ = ("_fields", "_literals", "_reserved")

    def __init__(self, fields: Sequence[str], literals: Sequence[str], reserved: Iterable[str]) -> None:
        self._fields = tuple(fields)
        self._literals = tuple(literals)
        self._reserved = tuple(reserved)

    def write(self, values: Mapping[str, str]) -> str:
        pieces = [self._literals[0]]
        for place, field in enumerate(self._fields, 1):
            separators = set(self._reserved)
            if place < len(self._fields):
                separators.add(self._literals[place])
            pieces += (_escape(values[field], sorted(separators)), self._literals[place])
        text = "".join(pieces)
        return f"%78{text[1:]}" if text.startswith(_SCHEME) else text

    def parse(self, text: str) -> dict[str, str] | None:
        first, *separators, last = self._literals
        if not (text.startswith(first) and text.endswith(last) and len(text) > len(first) + len(last)):
            return None
        rest = text[len(first) : len(text) - len(last)]
        values = []
        for separator in separators:
            value, found, rest = rest.partition(separator)
            if not (value and found):
                return None
            values.append(value)
        try:
            fields = {
                field: unquote(value, errors="strict")
                for field, value in zip(self._fields, (*values, rest), strict=True)
            }
        except ValueError:
            return None
        # Only the spelling that would be written counts: one name for one thing, and one thing for one name.
        return fields if all(fields.values()) and self.write(fields) == text else None


def _escape(value: str, separators: Iterable[str]) -> str:
    value = value.replace("%", "%25")
    for separator in separators:
        # A separator begins with punctuation other than %, so what is found is never part of an escape.
        while (at := (value + separator).find(separator)) < len(value):
            value = value[:at] + "".join(f"%{byte:02X}" for byte in value[at].encode()) + value[at + 1 :]
    return value


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _read(template: str) -> tuple[list[str], list[str]]:
    """The fields of a template and the literals around them; ConfigError when names could not be read back."""

    def refuse(why: str) -> ConfigError:
        return ConfigError(f"xds.names: {template!r} {why}, for example {DEFAULT!r}")

    pieces = _PIECE.split(template)
    literals, fields = pieces[::2], pieces[1::2]
    for field in fields:
        if field not in _FIELDS:
            raise refuse(f"has the placeholder {{{field}}}; use {{namespace}}, {{name}} and {{port}}")
        if fields.count(field) > 1:
            raise refuse(f"has {{{field}}} twice; use each placeholder once")
    for field in ("namespace", "name"):
        if field not in fields:
            raise refuse(f"lacks {{{field}}}, without which two services would share a name; add it")
    for literal in literals:
        if any(char in "{}%" or char.isspace() or not char.isprintable() for char in literal):
            raise refuse("has a brace without its partner, a percent sign or a blank; take it out")
    separators = literals[1:-1]
    for (before, after), separator in zip(pairwise(fields), separators, strict=True):
        if not separator:
            raise refuse(f"has {{{before}}} and {{{after}}} side by side; put a separator between them")
        if not _PUNCTUATION.match(separator):
            raise refuse(f"separates {{{before}}} and {{{after}}} by {separator!r}; begin it with punctuation")
    nested = any(one != other and one in other for one in separators for other in separators)
    if nested and "port" in fields[:-1]:
        raise refuse("has a separator within another; put {port} last, or use separators that differ")
    if literals[0] and (literals[0].startswith(_SCHEME) or _SCHEME.startswith(literals[0])):
        raise refuse("begins like an xdstp name, which is understood anyway; begin it otherwise")
    return fields, literals
