"""What the text of one inventory says."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from adapters.static import (
    ansible,
    ansible_ini,
    ansible_tree,
    blocks,
    bridged,
    consul,
    csv_table,
    endpointslice,
    file_sd,
    native,
    records,
    shapes,
)
from adapters.static.layouts import formats
from adapters.static.layouts.layout import View
from adapters.static.records import IGNORED, Flaw, FlawError, Made, Scope
from adapters.static.shapes import Format
from bridge.adapter import Problem
from bridge.errors import ConfigError
from bridge.kit import strict_yaml
from bridge.kit.document import MAX_DEPTH, Document, load, load_all
from bridge.kit.place import Path, dotted, excerpt
from bridge.kit.problems import bounded
from bridge.kit.settings import nearest
from bridge.model import Service, ServiceName

SHARE_OF_BAD = 0.1
"""A file of whose instances more are bad is not what it was meant to be, and fails whole."""

TOLD = 100
"""How many problems of a file are told one by one; the rest is a number."""


class Inventory(NamedTuple):
    """One file's services. `spelled` says how names stood there that were made into labels; `counted`, whether it ends
    with a `count:`.
    """

    services: Mapping[ServiceName, Service]
    problems: tuple[Problem, ...] = ()
    spelled: Mapping[ServiceName, str] = {}
    counted: bool = False


class _Read(NamedTuple):
    """A block's yield, with the lines of its flaws from its own first line on, counted from 0."""

    made: native.Made
    lines: tuple[int, ...]


class How(NamedTuple):
    """What the configuration says of reading: the format, what is so of everything, and what words mean."""

    form: Format
    scope: Scope
    labels: file_sd.Labels
    groups: ansible.Groups | None = None
    columns: csv_table.Columns = csv_table.Columns()
    owner: str = ""

    def reader(self, where: str) -> "Reader":
        return Reader(
            where, self.form, self.scope, self.labels, groups=self.groups, columns=self.columns, owner=self.owner
        )


class Reader:
    """Reads one file again and again, and of a native YAML inventory only the services whose text is another."""

    def __init__(
        self,
        where: str,
        form: Format,
        scope: Scope,
        labels: file_sd.Labels,
        *,
        groups: ansible.Groups | None = None,
        columns: csv_table.Columns | None = None,
        owner: str = "",
    ) -> None:
        """`labels`, `groups` and `columns` say what file_sd, Ansible and CSV mean by words; `owner` is ours."""
        self._where = where
        self._form = form
        self._scope = scope
        self._labels = labels
        self._groups = groups
        self._columns = columns or csv_table.Columns()
        self._owner = owner
        self._written: View | None = None
        self._blocks: dict[str, _Read] = {}
        self._column = 0

    def read(self, text: str) -> Inventory:
        """The whole inventory, or ConfigError, which names file, line and field."""
        if not text.strip():
            nothing = "[]" if self._form == "file_sd" else "services: []"
            raise ConfigError(f"{self._where}: is empty; an inventory without services says `{nothing}`")
        self._written = formats.read(text, self._written)
        if self._written is not None:
            services, problems = bridged.told(self._written, self._where, self._scope, self._owner)
            return Inventory(services, bounded(problems, TOLD, self._where))
        if self._form in ("auto", "native") and not self._where.endswith(".json"):
            read = self._by_blocks(text)
            if read is not None:
                return read
        form = shapes.of_text(text, self._where) if self._form == "auto" else self._form
        if form == "csv":
            return self._by_lines(lambda: csv_table.read(text, self._scope, self._columns))
        if form == "ansible" and ansible_ini.is_ini(text, self._where, else_tree=True):
            return self._by_lines(lambda: self._ansible(lambda wanted: ansible_ini.read(text, wanted)))
        return self._whole(*self._document(text, form))

    def _by_lines(self, read: Callable[[], Made]) -> Inventory:
        """A format whose flaws know the number of their line."""

        def place(path: Path) -> str:
            return f"{self._where}:{path[0]}" if path else self._where

        try:
            return gathered(self._where, read(), place)
        except FlawError as error:
            raise ConfigError(f"{place(error.path)}: {error.what}") from None

    def _document(self, text: str, form: Format) -> tuple[Document, Format]:
        """The text as a document, and its format; `auto` when it is of no known shape."""
        if form == "endpointslice":
            return load_all(text, self._where), form
        if form == "ansible":
            return load(text, self._where, ansible_tree.TAGS), form
        if form != "auto":
            return load(text, self._where), form
        try:
            document = load(text, self._where)
        except ConfigError:
            if "!" not in text:
                raise
            document = load(text, self._where, ansible_tree.TAGS)
            if shapes.of_value(document.value) != "ansible":
                raise
        form = shapes.of_value(document.value)
        return (load_all(text, self._where) if form == "endpointslice" else document), form

    def _ansible(self, read: Callable[[frozenset[str]], ansible.Inventory]) -> Made:
        if self._groups is None:
            raise FlawError((), "is an inventory of Ansible; say which of its groups are services: `ansible.groups`")
        return ansible.read(read(self._groups.wanted), self._groups, self._scope)

    def _by_blocks(self, text: str) -> Inventory | None:
        """The same as `_whole`, or None where the text is of another shape or has something wrong with its shape."""
        cut = blocks.cut(text)
        if cut is None:
            return None
        known = self._blocks if cut.column == self._column else {}
        read: dict[str, _Read] = {}
        try:
            for block in cut.blocks:
                read[block] = known.get(block) or self._block(block, cut.column)
            if len(read) < len(cut.blocks):
                return None  # a service stands twice, letter for letter
            tail = strict_yaml.read(cut.tail, self._where, MAX_DEPTH) if cut.tail else {}
            if not isinstance(tail, dict) or tail.keys() - {"count"}:
                return None
            counted = _counted(tail, len(cut.blocks))
        except (ConfigError, FlawError):
            return None
        self._blocks, self._column = read, cut.column
        all_read = [read[block] for block in cut.blocks]

        def placed() -> Iterator[tuple[str, Flaw]]:
            for index, (one, start) in enumerate(zip(all_read, cut.starts(), strict=True)):
                if one.made.flaws:
                    first = text.count("\n", 0, start) + 1
                    for flaw, line in zip(one.made.flaws, one.lines, strict=True):
                        path = ("services", index, *flaw.path)
                        yield f"{self._where}:{first + line}: {dotted(path)}", flaw

        return self._native([one.made for one in all_read], placed, counted)

    def _block(self, block: str, column: int) -> _Read:
        text = blocks.document(block, column)
        value = strict_yaml.read(text, self._where, MAX_DEPTH - 1)  # it stands one deeper in the whole
        if not isinstance(value, list) or len(value) != 1 or not blocks.is_whole(block, column):
            raise ConfigError(f"{self._where}: is not of the plain shape")
        made = native.read(value[0], self._scope)
        if not made.flaws:
            return _Read(made, ())
        document = Document(value, self._where, lambda: strict_yaml.places(text, self._where, MAX_DEPTH))
        return _Read(made, tuple(document.line((0, *flaw.path)) - 1 for flaw in made.flaws))

    def _whole(self, document: Document, form: Format) -> Inventory:
        value, scope = document.value, self._scope
        if value is None or (form == "endpointslice" and not any(value)):
            raise ConfigError(f"{self._where}: is empty; an inventory without services says `services: []`")
        try:
            match form:
                case "native" if isinstance(value, dict):
                    return self._whole_native(document, value)
                case "file_sd" if isinstance(value, list):
                    return gathered(self._where, file_sd.read(value, scope, self._labels), document.place)
                case "ansible":
                    made = self._ansible(lambda wanted: ansible_tree.read(value, wanted))
                    return gathered(self._where, made, document.place)
                case "consul":
                    return gathered(self._where, consul.read(value, scope), document.place)
                case "endpointslice":
                    return gathered(self._where, endpointslice.read(value, scope), document.place)
        except FlawError as error:
            raise ConfigError(f"{document.place(error.path)}: {error.what}") from None
        wanted = {
            "native": "a mapping with `services:`",
            "file_sd": "a list of `targets` and `labels`",
        }.get(form, "an inventory of a kind that is known by its shape; name it with `format:`")
        said = "text" if isinstance(value, str) else excerpt(value)  # a text may be anything, a secret too
        raise ConfigError(f"{document.place()}: {said} is not {wanted}")

    def _whole_native(self, document: Document, value: dict[str, Any]) -> Inventory:
        for key in value:
            if key not in native.DOCUMENT:
                raise FlawError((key,), f"unknown key; {nearest(key, native.DOCUMENT)}")
        if not isinstance(value.get("services"), list):
            raise FlawError(("services",), "must be a list; write [] for none")
        mades = []
        for index, one in enumerate(value["services"]):
            try:
                mades.append(native.read(one, self._scope))
            except FlawError as error:
                raise FlawError(("services", index, *error.path), error.what) from None
        counted = _counted(value, len(mades))

        def placed() -> Iterator[tuple[str, Flaw]]:
            for index, made in enumerate(mades):
                for flaw in made.flaws:
                    yield document.place(("services", index, *flaw.path)), flaw

        return self._native(mades, placed, counted)

    def _native(
        self, mades: list[native.Made], placed: Callable[[], Iterable[tuple[str, Flaw]]], counted: bool
    ) -> Inventory:
        bad = instances = flawed = 0
        services: dict[ServiceName, Service] = {}
        again: list[Service] = []
        for service, flaws, its, its_bad in mades:
            instances += its
            bad += its_bad
            flawed += len(flaws)
            if service is None:
                continue
            if services.setdefault(service.name, service) is not service:
                again.append(service)
        problems = _judged(list(placed()), bad, instances) if flawed else []
        for service in again:
            services[service.name], doubles = records.join(services[service.name], service)
            problems += _doubled(self._where, service.name, doubles, "stands twice in this file")
        return Inventory(services, bounded(problems, TOLD, self._where), {}, counted)


def gathered(where: str, made: Made, place: Callable[[Path], str], *, judge: bool = True) -> Inventory:
    """The groups of a foreign format by their services; unless told not to `judge`, too many bad ones fail the file."""
    placed = [(place(flaw.path), flaw) for flaw in made.flaws]
    problems = _judged(placed, made.bad, made.instances) if judge else _told(placed)
    spelled: dict[ServiceName, str] = {}
    found: dict[ServiceName, list[Any]] = {}
    for group in made.groups:
        first = spelled.setdefault(group.name, group.spelled)
        if first == group.spelled:
            found.setdefault(group.name, []).extend(group.endpoints)
        else:
            problems.append(misspelled(where, group.name, group.spelled, first, len(group.endpoints)))
    services = {}
    for name, endpoints in found.items():
        united = records.unite(endpoints)
        problems += _doubled(where, name, united.doubles, "stands twice in this file")
        services[name] = Service.of(name, united.endpoints)
    return Inventory(services, bounded(problems, TOLD, where), spelled)


def misspelled(where: str, name: ServiceName, spelled: str, first: str, count: int) -> Problem:
    """Two foreign names that come to the same label are two services, of which one cannot be told."""
    what = f"{excerpt(spelled)} comes to {name}, as {excerpt(first)} did before; its endpoints are left out: rename one"
    return Problem("name", where, what, name, max(count, 1))


def _doubled(where: str, name: ServiceName, doubles: Iterable[object], why: str) -> list[Problem]:
    return [Problem("duplicate", where, f"{name}: endpoint {one} {why}; the first counts", name) for one in doubles]


def _judged(flaws: list[tuple[str, Flaw]], bad: int, instances: int) -> list[Problem]:
    """The flaws as problems, unless they are so many that the file fails."""
    if bad > instances * SHARE_OF_BAD:
        place, flaw = next((place, flaw) for place, flaw in flaws if flaw.kind not in ("duplicate", IGNORED))
        raise ConfigError(
            f"{place}: {flaw.what}; {bad} of {instances} instances are bad, "
            f"more than {SHARE_OF_BAD:.0%}, and so is the file: correct them"
        )
    return _told(flaws)


def _told(flaws: list[tuple[str, Flaw]]) -> list[Problem]:
    return [Problem(flaw.kind, place, f"{flaw.what}; {flaw.then}", None, flaw.costs) for place, flaw in flaws]


def _counted(value: Mapping[str, Any], services: int) -> bool:
    """Whether a `count:` is there, and right: it stands at the end, so that half a file has none or a wrong one."""
    if "count" not in value:
        return False
    if type(value["count"]) is not int or value["count"] != services:
        raise FlawError(
            ("count",), f"is {excerpt(value['count'])}, and {services} services are there: is the file half written?"
        )
    return True


def place_of(error: ConfigError, where: str) -> tuple[str, str]:
    """A file's error as a place, with its line where it has one, and what is wrong there."""
    text = str(error)
    if not text.startswith(f"{where}:"):
        return where, text
    line, colon, what = text[len(where) + 1 :].partition(":")
    if colon and line.isdigit():
        return f"{where}:{line}", what.strip()
    return where, text[len(where) + 1 :].strip()
