"""How names are spelled: labels, patterns over service names, and foreign spellings made into labels."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Self

from bridge.kit.place import excerpt
from bridge.model import Metadata, ServiceName

MAX_LABEL = 63
MAX_KEY = 128
MAX_VALUE = 1024
MAX_METADATA = 64
"""How many pairs of metadata one service or endpoint may carry."""

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_PORT = re.compile(r"(?=.*[a-zA-Z])[a-zA-Z0-9](?:[-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?", re.ASCII)
_FOREIGN = re.compile(r"[^a-z0-9]+")
_PATTERN = re.compile(r"[-a-z0-9*?]{1,63}", re.ASCII)


def label(text: str) -> str:
    """`text` itself, if it is a lower-case DNS label of at most 63 characters; else ValueError offers one."""
    if _LABEL.fullmatch(text):
        return text
    try:
        remedy = f"; write {normalised(text)!r}"
    except ValueError:
        remedy = f": lower-case letters, digits and inner hyphens, at most {MAX_LABEL}"
    raise ValueError(f"{excerpt(text)} is not a lower-case DNS label{remedy}")


def normalised(text: str) -> str:
    """A foreign name as a label: lower case, and a hyphen for the signs that a label may not hold.

    `Node_Exporter` becomes `node-exporter`; what is a label but for its case is spelled as it is, `xn--bcher-kva` too.

    Two spellings may come to the same label: whoever uses this keeps the spelling beside the label and refuses the
    second one. ValueError when nothing is left, or too much; or when a letter would be lost: `über` is not `ber`.
    """
    made = _hyphenated(text)
    lost = next((one for one in text.lower() if not one.isascii()), "")
    if lost:
        raise ValueError(f"{excerpt(text)} cannot be made into a DNS label, which has no {excerpt(lost)}")
    if not _LABEL.fullmatch(made):
        raise ValueError(f"{excerpt(text)} cannot be made into a DNS label of 1 to {MAX_LABEL} characters")
    return made


def digested(text: str) -> str:
    """Any name as a label: what is left of it, and a digest, so that it is no other's. Case makes no other name.

    ValueError when it has no letter and no digit of any script, or control characters.
    """
    made = _hyphenated(text)
    if not any(map(str.isalnum, text)):
        raise ValueError(f"{excerpt(text)} has no letter and no digit")
    digest = blake2b(text.lower().encode(), digest_size=4).hexdigest()
    return f"{made[: MAX_LABEL - len(digest) - 1].strip('-')}-{digest}".lstrip("-")


def _hyphenated(text: str) -> str:
    """In lower case, with a hyphen for what a label may not hold; it may be empty, or too long."""
    if not text.isprintable():
        raise ValueError(f"{excerpt(text)} holds control characters")
    made = text.lower()
    return made if _LABEL.fullmatch(made) else _FOREIGN.sub("-", made).strip("-")


def service_name(text: str, namespace: str = "") -> ServiceName:
    """`shop/payments`, or `payments` in `namespace`; ValueError says what is wrong."""
    before, slash, name = text.rpartition("/")
    if not slash:
        before = namespace
        if not before:
            raise ValueError(f"{excerpt(text)} has no namespace; write namespace/name, or `namespace:` in the registry")
    return ServiceName(label(before), label(name))


def port_name(text: str) -> str:
    """`text` itself, if it can name a port; digits alone would be a number in a resource's name."""
    if not _PORT.fullmatch(text):
        raise ValueError(
            f"{excerpt(text)} does not name a port; write letters, digits, `-`, `_` or `.`, with a letter among them"
        )
    return text


def metadata(pairs: Metadata) -> Metadata:
    """`pairs` themselves, if they are few, short and without control characters; else ValueError names the key."""
    if len(pairs) > MAX_METADATA:
        raise ValueError(f"{len(pairs)} pairs of metadata are more than {MAX_METADATA}")
    for key, value in pairs:
        if not key or len(key) > MAX_KEY or not key.isprintable():
            raise ValueError(f"metadata key {excerpt(key)} is empty, longer than {MAX_KEY}, or has control characters")
        if len(value) > MAX_VALUE or not value.isprintable():
            raise ValueError(f"metadata {excerpt(key)} is longer than {MAX_VALUE}, or has control characters")
    return pairs


ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Which namespaces count: the `named` ones and, when `every`, all others but the excepted and `kube-*`."""

    every: bool
    named: frozenset[str]
    excepted: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[str], excepted: Iterable[str] = ()) -> Self:
        """`names` may hold `*`; ValueError when a name is none, or stands on both sides."""
        said, without = set(names), frozenset(map(label, excepted))
        named = frozenset(label(one) for one in said - {ANY})
        if both := sorted(named & without):
            raise ValueError(f"{excerpt(both[0])} is named and excepted; remove one of them")
        return cls(ANY in said, named, without)

    def admit(self, namespace: str) -> bool:
        return not self.refuse(namespace)

    def refuse(self, namespace: str) -> str:
        """Why a namespace does not count, "" when it does."""
        if namespace in self.named:
            return ""
        if not self.every:
            return f"the namespace {namespace} is not one of `namespaces:`"
        if namespace.startswith("kube-"):
            return f"the namespace {namespace} must be named under `namespaces:` to be filled"
        return f"the namespace {namespace} is excepted" if namespace in self.excepted else ""


EVERY_NAMESPACE: Final = Namespaces.of([ANY])


class Pattern:
    """A glob over service names: `shop/payments`, `shop/*`, `*/metrics-?`; `*` alone is `*/*`."""

    __slots__ = ("_match", "text")

    def __init__(self, text: str) -> None:
        """ValueError when it can match nothing."""
        namespace, slash, name = (text if text != "*" else "*/*").partition("/")
        if not (slash and _PATTERN.fullmatch(namespace) and _PATTERN.fullmatch(name)):
            raise ValueError(f"{excerpt(text)} is not a pattern such as shop/payments, shop/* or */metrics")
        self.text = text
        self._match = _compiled(f"{namespace}/{name}")

    @property
    def exact(self) -> bool:
        """Whether it is the name of one service."""
        return "*" not in self.text and "?" not in self.text

    @property
    def order(self) -> tuple[bool, int, int, str]:
        """Sorts patterns from the least to the most specific: exact names last, else by how much of them is given."""
        any_, one = self.text.count("*"), self.text.count("?")
        return self.exact, len(self.text) - any_ - one, -any_, self.text

    def matches(self, name: ServiceName) -> bool:
        return self._match.fullmatch(f"{name.namespace}/{name.name}") is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


@lru_cache(maxsize=4096)
def _compiled(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", "[^/]*").replace(r"\?", "[^/]"))
