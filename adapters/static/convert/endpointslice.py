"""EndpointSlices, as the static adapter reads them."""

from dataclasses import replace

from adapters.static import endpointslice
from adapters.static.convert.converted import Converted, converted, ignored, scope
from adapters.static.records import Made, Scope, interned
from bridge.kit.document import load_all
from bridge.model import Endpoint


def convert(text: str, where: str, namespace: str) -> Converted:
    """The endpoints of every slice; ConfigError when the text has none."""
    documents = load_all(text, where)
    return converted(where, documents.place, lambda: _read(documents.value, scope(namespace)))


def _read(documents: list[object], scope_: Scope) -> Made:
    found = endpointslice.read(documents, scope_)
    spoken = any(port.app_protocol for group in found.groups for one in group.endpoints for port in one.ports)
    groups = tuple(group._replace(endpoints=tuple(map(_plain, group.endpoints))) for group in found.groups)
    return found._replace(groups=groups, flaws=(*found.flaws, *ignored({"appProtocol"} if spoken else set(), "ports")))


def _plain(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, ports=interned(tuple(port._replace(app_protocol="") for port in endpoint.ports)))
