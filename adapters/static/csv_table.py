"""A table of comma-separated values, as databases of machines export it: one line an endpoint."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from adapters.static import records
from adapters.static.records import IGNORED, Flaw, FlawError, Group, Made, Scope
from bridge.kit import address
from bridge.kit.place import excerpt
from bridge.kit.settings import nearest
from bridge.model import Endpoint

DELIMITERS = ",;\t|"
"""Of these the one that the header has most of, where the configuration names none."""

MAX_COLUMNS = 1000


class Columns(NamedTuple):
    """Which columns say what. Of an optional one None means the column of that name, if it is there.

    `delimiter` is "" to go by the header; `active` has the values of `status` with which a line counts.
    """

    service: str = "service"
    address: str = "address"
    port: str = "port"
    zone: str | None = None
    weight: str | None = None
    status: str | None = None
    delimiter: str = ""
    active: tuple[str, ...] = ()


class _At(NamedTuple):
    """At which column each thing stands, -1 where none does."""

    service: int
    address: int
    port: int
    zone: int
    weight: int
    status: int


def read(text: str, scope: Scope, columns: Columns) -> Made:
    """Every line below the header; a flaw's path is the number of its line. FlawError when there is no such header."""
    delimiter = columns.delimiter or _delimiter(text)
    rows = _rows(text, delimiter)
    line, header = next(rows, (1, []))
    at = _find(header, columns, line)
    endpoints: dict[str, list[Endpoint]] = {}
    names: dict[str, Group] = {}
    flaws: list[Flaw] = []
    instances = bad = inactive = 0
    for line, row in rows:
        if len(row) == len(header) and at.status >= 0 and row[at.status].strip() not in columns.active:
            inactive += 1
            continue
        instances += 1
        kind = "row"
        try:
            if len(row) != len(header):
                raise ValueError(f"has {len(row)} values, and the header has {len(header)}")
            kind = "name"
            said = row[at.service].strip()
            if said not in names:
                names[said] = Group(*records.foreign_name(said, scope.namespace), ())
            kind = "address"
            endpoint = _endpoint(row, at, scope)
        except ValueError as error:
            flaws.append(Flaw((line,), kind, str(error), "the line is left out"))
            bad += 1
        else:
            endpoints.setdefault(said, []).append(endpoint)
    if inactive and not instances:
        what = f"none of its {inactive} lines is active: {columns.status!r} is never one of {', '.join(columns.active)}"
        flaws.append(Flaw((line,), IGNORED, what, "correct `csv.active`, unless that is meant"))
    groups = tuple(names[said]._replace(endpoints=tuple(found)) for said, found in endpoints.items())
    return Made(groups, tuple(flaws), instances, bad)


def _endpoint(row: Sequence[str], at: _At, scope: Scope) -> Endpoint:
    where = address.host(row[at.address].strip())
    port = records.number_of(row[at.port].strip(), "port", 1, 65535)
    place, weight = scope.locality, 1
    if at.zone >= 0 and (zone := row[at.zone].strip()):
        place = records.locality(place.region, records.word(zone, "zone"), place.sub_zone)
    if at.weight >= 0 and (said := row[at.weight].strip()):
        weight = records.number_of(said, "weight", 1, records.MAX_WEIGHT)
    return Endpoint(where, records.one_port("", port), None, place, scope.network, weight)


def _delimiter(text: str) -> str:
    header = text.lstrip().partition("\n")[0]
    return max(DELIMITERS, key=header.count)


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The line on which each row begins, from 1, and its values; rows without any are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    try:
        for row in reader:
            if len(row) > MAX_COLUMNS:
                raise FlawError((begins,), f"has {len(row)} values; {MAX_COLUMNS} are read")
            if any(value.strip() for value in row):
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as error:
        raise FlawError((begins,), f"is not CSV: {error}; is the file half written?") from None


def _find(header: Sequence[str], columns: Columns, line: int) -> _At:
    places: dict[str, int] = {}
    twice = set()
    for index, name in enumerate(header):
        if places.setdefault(name.strip(), index) != index:
            twice.add(name.strip())
    return _At(**{thing: _place(thing, columns, places, twice, line) for thing in _At._fields})


def _place(thing: str, columns: Columns, places: Mapping[str, int], twice: set[str], line: int) -> int:
    name = getattr(columns, thing)
    if name is None:
        if thing == "status" or thing not in places:
            return -1
        name = thing
    if name not in places:
        remedy = f"{nearest(name, [*places][:30])}: `csv.columns.{thing}` names it"
        raise FlawError((line,), f"the header has no column {excerpt(name)}; {remedy}")
    if name in twice:
        raise FlawError((line,), f"the header has two columns {excerpt(name)}; rename one")
    return places[name]
