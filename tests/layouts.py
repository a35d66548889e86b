"""The forms of a file that is written, and what they say of services."""

import pytest

from adapters.static.file_sd import Labels
from adapters.static.layouts.formats import HOST, layout, read
from adapters.static.layouts.layout import Layout, View
from bridge.kit.mark import Stamp
from bridge.model import Endpoint, Service

LABELS = Labels("job", "zone", "weight")
STAMP = Stamp("prod-eu1")

LAYOUTS: dict[str, Layout] = {
    "file_sd.json": layout("file_sd", as_json=True, labels=LABELS, host=HOST),
    "file_sd.yaml": layout("file_sd", as_json=False, labels=LABELS, host=HOST),
    "native.json": layout("native", as_json=True, labels=LABELS, host=HOST),
    "native.yaml": layout("native", as_json=False, labels=LABELS, host=HOST),
    "csv": layout("csv", as_json=False, labels=LABELS, host=HOST),
    "hosts": layout("hosts", as_json=False, labels=LABELS, host=HOST),
}
every = pytest.mark.parametrize("form", LAYOUTS)


def text_of(form: str, *them: Service) -> str:
    blocks = {str(one.name): LAYOUTS[form].fit(one)[0] for one in them}
    return LAYOUTS[form].whole(STAMP, blocks)


def view_of(text: str) -> View:
    view = read(text)
    assert view is not None
    return view


def said(text: str) -> dict[str, Service | None]:
    return {key: block.service for key, block in view_of(text).blocks.items()}


def only_ports(one: Service) -> Service:
    """What a hosts file can say of a service that is usable."""
    return Service.of(one.name, [Endpoint(each.address, each.ports, via=each.via) for each in one.endpoints])
