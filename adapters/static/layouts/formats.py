"""Which layout a file has, by its configuration or by its own header."""

from typing import Literal

from adapters.static.file_sd import Labels
from adapters.static.layouts.csv import Csv
from adapters.static.layouts.file_sd import FileSd
from adapters.static.layouts.header import Header, find
from adapters.static.layouts.hosts import Hosts
from adapters.static.layouts.layout import Layout, View, cut
from adapters.static.layouts.native import NativeJson, NativeYaml

Written = Literal["file_sd", "native", "csv", "hosts"]
"""The formats that are written."""

HOST = "{name}.{namespace}"

_LABELS = Labels("job", "zone", "weight")  # what is read back does not rest on the labels that are shown


def layout(form: Written, *, as_json: bool, labels: Labels, host: str) -> Layout:
    """`labels` are shown by file_sd, `host` makes the names of a hosts file."""
    match form:
        case "file_sd":
            return FileSd(labels, as_json=as_json)
        case "native":
            return NativeJson() if as_json else NativeYaml()
        case "csv":
            return Csv()
        case "hosts":
            return Hosts(host)


def layout_of(header: Header) -> Layout:
    """The layout that a header names, which may have been another's."""
    match header.layout:
        case "file_sd":
            return FileSd(_LABELS, as_json=header.json)
        case "native":
            return NativeJson() if header.json else NativeYaml()
        case "csv":
            return Csv()
        case _:
            return Hosts(HOST)


def read(text: str, before: View | None = None) -> View | None:
    """A file as its own header says that it is laid out; None when no bridge wrote it."""
    header = find(text)
    return None if header is None else cut(text, header, layout_of(header), before)
