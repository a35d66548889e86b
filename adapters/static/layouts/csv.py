"""A table with a row an endpoint, for spreadsheets and scripts; its header stands in comments before the first row."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from adapters.static import records
from adapters.static.layouts import words
from adapters.static.layouts.header import comment
from adapters.static.layouts.layout import Layout, Lines
from bridge.kit import address, names
from bridge.kit.mark import Stamp
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Locality, Service

COLUMNS: Final = (
    "service",
    "address",
    "port",
    "ports",
    "health",
    "weight",
    "region",
    "zone",
    "sub_zone",
    "network",
    "via",
    "metadata",
    "service_metadata",
)
_FREE = ("region", "zone", "sub_zone", "network")
"""Columns that hold whatever a registry says, made harmless for spreadsheets."""


class Csv(Layout):
    """Every endpoint is listed, with its health."""

    name = "csv"

    def head(self, stamp: Stamp, *, empty: bool) -> Lines:
        return (*comment(stamp, self.name), ",".join(COLUMNS))

    @property
    def foot(self) -> Lines:
        return ("# end",)

    def key(self, line: str) -> str:
        first, comma, _ = line.partition(",")
        return first if comma and "/" in first and '"' not in first else ""

    def lines(self, service: Service) -> Lines:
        return tuple(_row(service, endpoint) for endpoint in service.endpoints)

    def read(self, lines: Sequence[str]) -> Service:
        rows = []
        for cells in _cells(lines):
            if len(cells) != len(COLUMNS):
                raise ValueError(f"has a row of {len(cells)} columns instead of {len(COLUMNS)}")
            rows.append(dict(zip(COLUMNS, cells, strict=True)))
        if not rows or any(row["service"] != rows[0]["service"] for row in rows):
            raise ValueError("has no rows, or rows of several services")
        metadata = words.pairs_of(rows[0]["service_metadata"])
        return Service.of(names.service_name(rows[0]["service"]), map(_endpoint, rows), metadata)


def _row(service: Service, endpoint: Endpoint) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(
        (
            service.name,
            endpoint.address,
            endpoint.ports[0].number,
            words.ports(endpoint.ports),
            "" if endpoint.health is None else endpoint.health.name.lower(),
            endpoint.weight,
            *map(words.escaped, (*endpoint.locality, endpoint.network)),
            endpoint.via,
            words.pairs(endpoint.metadata),
            words.pairs(service.metadata),
        )
    )
    return text.getvalue()


def _cells(lines: Sequence[str]) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, strict=True)
    except csv.Error as error:
        raise ValueError(f"is no table: {error}") from None


def _endpoint(row: dict[str, str]) -> Endpoint:
    ports = words.ports_of(row["ports"])
    if row["port"] != str(ports[0].number):
        raise ValueError(f"port {excerpt(row['port'])} is not the first of {excerpt(row['ports'])}")
    if row["health"] and row["health"] not in records.HEALTH:
        raise ValueError(f"{excerpt(row['health'])} is none of {', '.join(records.HEALTH)}")
    region, zone, sub_zone, network = (words.unescaped(row[column]) for column in _FREE)
    return Endpoint(
        address.parse(row["address"]),
        ports,
        records.HEALTH[row["health"]] if row["health"] else None,
        Locality(region, zone, sub_zone),
        network,
        records.number_of(row["weight"], "weight", 1, records.MAX_WEIGHT),
        row["via"],
        metadata=words.pairs_of(row["metadata"]),
    )
