"""Which paths are services, and what the parts of a path say: namespace, name, locality, labels.

A part of a pattern is a word, `{variable}` or `*`, which is any word and says nothing. What a variable stands for goes
through one normalisation; two spellings that come to one name are told, and only one of them is read.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from bridge.adapter import Problem
from bridge.kit import names
from bridge.kit.place import excerpt
from bridge.model import Locality, Metadata, ServiceName

ANY: Final = "*"
_VARIABLE: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}", re.ASCII)
_ENCODED_SLASH: Final = re.compile(r"%(?:2f|5c|2e|00)", re.IGNORECASE)


Words = frozenset[str] | None
"""What a part of a path may be; None is anything."""


class Found(NamedTuple):
    """A service that a path is; `spelled` is its name before it was normalised, `node` the name of its znode."""

    path: str
    service: ServiceName
    spelled: str
    locality: Locality
    metadata: Metadata

    @property
    def node(self) -> str:
        return self.path.rpartition("/")[2]


class Mapped(NamedTuple):
    """What is made of a path's variables: templates such as `{role}`, where no braces are words.

    `where` says which values a variable may have, `labels` which variables become metadata. `names` are names that
    operators give to spellings, which are theirs in both directions.
    """

    namespace: str
    name: str = "{name}"
    namespaces: frozenset[str] | None = None
    where: Mapping[str, frozenset[str]] = {}
    locality: Locality = Locality()
    labels: tuple[str, ...] = ()
    names: Mapping[str, ServiceName] = {}


@dataclass(frozen=True)
class Tree:
    """A pattern of paths, and what they say."""

    parts: tuple[str, ...]
    mapped: Mapped

    @classmethod
    def of(cls, path: str, mapped: Mapped) -> Self:
        """Read `/twitter/service/{role}/{env}/{name}`; ValueError says what is wrong with it, and what to do."""
        if not path.startswith("/") or path == "/":
            raise ValueError(f"{excerpt(path)} is not a path such as /services/{{name}}")
        parts = tuple(path[1:].split("/"))
        for part in parts:
            if part != ANY and not _VARIABLE.fullmatch(part):
                if set(part) & set("{}*"):
                    raise ValueError(f"{excerpt(part)} in {path}: a part is a word, one {{variable}}, or *")
                safe(part)
        if parts[-1] == ANY:
            parts = (*parts[:-1], "{name}")
        _consistent(parts, mapped)
        return cls(parts, mapped)

    @property
    def root(self) -> str:
        """The znode under which all of its services are."""
        return "/" + "/".join(self.parts[: self._first])

    @property
    def depth(self) -> int:
        """How many levels below its root the services are."""
        return len(self.parts) - self._first

    @property
    def _first(self) -> int:
        return next((at for at, part in enumerate(self.parts) if part == ANY or "{" in part), len(self.parts))

    def admits(self, level: int, part: str) -> bool:
        """Whether a znode so many levels below the root, from 0, may lead to a service by its name."""
        said = self.parts[self._first + level]
        if said == ANY:
            return True
        if variable := _VARIABLE.fullmatch(said):
            wanted = self.mapped.where.get(variable[1])
            return wanted is None or part in wanted
        return part == said

    def find(self, below: Sequence[str]) -> Found | None:
        """The service of a znode that is `depth` levels below the root; None when it is not to be read.

        ValueError when its path cannot be a name.
        """
        if not all(self.admits(level, part) for level, part in enumerate(below)):
            return None
        for part in below:
            safe(part)
        whole = (*self.parts[: self._first], *below)
        said = {
            variable[1]: part
            for pattern, part in zip(self.parts, whole, strict=True)
            if (variable := _VARIABLE.fullmatch(pattern))
        }
        path = "/" + "/".join(whole)
        locality = Locality(*(_filled(part, said) for part in self.mapped.locality))
        metadata = tuple(sorted((label, said[label]) for label in self.mapped.labels))
        spelled = _filled(self.mapped.name, said)
        if named := self.mapped.names.get(spelled):
            return Found(path, named, spelled, locality, metadata)
        namespace = names.normalised(_filled(self.mapped.namespace, said))
        if self.mapped.namespaces is not None and namespace not in self.mapped.namespaces:
            return None
        try:
            service = ServiceName(namespace, names.normalised(spelled))
        except ValueError as error:
            raise ValueError(f"{error}; `names:` gives it one of its own") from None
        return Found(path, service, f"{_filled(self.mapped.namespace, said)}/{spelled}", locality, metadata)

    def meets(self, other: "Tree", *, within: bool = False) -> bool:
        """Whether a service of one can stand where one of the other does; with `within` also in its midst."""
        return meet(self.words, other.words, within=within)

    def below(self, chroot: str) -> "Tree":
        """The same tree as who has no chroot knows it."""
        return Tree((*filter(None, chroot.split("/")), *self.parts), self.mapped)

    @property
    def words(self) -> list[Words]:
        """What each part of a path may be."""
        words = dict[str, frozenset[str] | None](self.mapped.where)
        if variable := _VARIABLE.fullmatch(self.mapped.namespace):
            words.setdefault(variable[1], self.mapped.namespaces)
        return [
            None
            if part == ANY
            else words.get(variable[1])
            if (variable := _VARIABLE.fullmatch(part))
            else frozenset([part])
            for part in self.parts
        ]

    def writable(self) -> None:
        """ValueError when a service's name does not say its whole path."""
        namespace, name = (
            "any" if "{" in template else names.normalised(template)
            for template in (self.mapped.namespace, self.mapped.name)
        )
        self.path(ServiceName(namespace, name))

    def path(self, service: ServiceName) -> str:
        """The path at which a service is written; ValueError when it has none in this tree."""
        names.label(service.namespace)
        names.label(service.name)
        spelled = next((spelled for spelled, name in self.mapped.names.items() if name == service), None)
        values: dict[str, str] = {}
        for kind, template, said in (
            ("name", self.mapped.name, spelled or service.name),
            ("namespace", self.mapped.namespace, service.namespace),
        ):
            if variable := _VARIABLE.fullmatch(template):
                values[variable[1]] = said
            elif "{" in template:
                raise ValueError(f"`{kind}: {template}` cannot be undone; write one variable of the path")
            elif spelled is None and names.normalised(template) != said:
                raise ValueError(f"{service} does not have the {kind} {template}, which all of this tree has")
        values |= {name: next(iter(wanted)) for name, wanted in self.mapped.where.items() if len(wanted) == 1}
        made = []
        for part in self.parts:
            variable = _VARIABLE.fullmatch(part)
            if part == ANY or (variable and variable[1] not in values):
                raise ValueError(f"a service does not say what {part} is; say it under `where:`, with one value")
            made.append(safe(values[variable[1]]) if variable else part)
        return "/" + "/".join(made)


def pattern(path: str) -> list[Words]:
    """What each part of a path may be, as far as the pattern alone says it."""
    return [None if part == ANY or "{" in part else frozenset([part]) for part in path[1:].split("/")]


def meet(one: Sequence[Words], other: Sequence[Words], *, within: bool) -> bool:
    """Whether there is a path that is one of both; with `within` also one that lies within one of the other."""
    some = zip(one, other, strict=False)
    return (within or len(one) == len(other)) and all(mine is None or its is None or mine & its for mine, its in some)


def safe(part: str) -> str:
    """`part` itself, if it can be one part of a path; ValueError when it would be more, or lead elsewhere."""
    if part in ("", ".", "..") or "/" in part or _ENCODED_SLASH.search(part):
        raise ValueError(f"{excerpt(part)} is no part of a path: it is empty, dots, or holds a slash")
    if not part.isprintable():
        raise ValueError(f"{excerpt(part)} holds control characters, or half a character")
    return part


def distinct(found: Iterable[Found]) -> tuple[tuple[Found, ...], tuple[Problem, ...]]:
    """What may be read, sorted by path: of two spellings of one name the one that is the name, else the first.

    One spelling under several paths is one service, as where a part of the path is its zone.
    """
    spelled: dict[ServiceName, dict[str, list[Found]]] = {}
    for one in found:
        spelled.setdefault(one.service, {}).setdefault(one.spelled, []).append(one)
    kept: list[Found] = []
    problems = []
    for service, them in sorted(spelled.items()):
        first, *others = sorted(them, key=lambda text: (text != str(service), text))
        kept += them[first]
        problems += [
            Problem(
                "name",
                each.path,
                f"comes to the name {service}, as {them[first][0].path} does; it is left out: give it a name of its "
                "own under `names:`",
                service,
            )
            for other in others
            for each in sorted(them[other])
        ]
    return tuple(sorted(kept)), tuple(problems)


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda variable: values[variable[1]], template)


def _consistent(parts: tuple[str, ...], mapped: Mapped) -> None:
    """ValueError when a template asks for what the path does not have, or a part of the path says nothing."""
    listed = [variable[1] for part in parts if (variable := _VARIABLE.fullmatch(part))]
    has = set(listed)
    if len(has) < len(listed):
        raise ValueError("a variable stands twice in the path")
    templates = {"namespace": mapped.namespace, "name": mapped.name, **mapped.locality._asdict()}
    asked = {name: kind for kind, template in templates.items() for name in _VARIABLE.findall(template)}
    asked |= dict.fromkeys(mapped.where, "where") | dict.fromkeys(mapped.labels, "labels")
    for name, kind in asked.items():
        if name not in has:
            raise ValueError(
                f"`{kind}` asks for {{{name}}}, which is no part of the path; put it there, or say another `{kind}`"
            )
    if unused := sorted(has - set(asked)):
        raise ValueError(
            f"{{{unused[0]}}} of the path says nothing; use it in `namespace`, `name`, `locality`, `labels` or "
            "`where`, or write *"
        )
    if "{" in mapped.namespace and mapped.namespaces is None:
        raise ValueError("a namespace that is taken from the path needs `namespaces:`, a list of those that it may be")
    if not mapped.namespace:
        raise ValueError("a tree needs `namespace:`, a word or a variable of its path")
