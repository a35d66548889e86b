"""What a file says to us that a bridge wrote: another's services come `via` it, and our own are never services."""

from dataclasses import replace

from adapters.static.layouts.layout import View
from adapters.static.records import Scope
from bridge.adapter import Problem
from bridge.errors import ConfigError
from bridge.kit.mark import Stamp
from bridge.model import NOWHERE, Endpoint, Service, ServiceName

SHARE_OF_BAD = 0.1
"""A file of whose services more cannot be understood is not what was written, and fails whole."""


def told(view: View, where: str, scope: Scope, owner: str) -> tuple[dict[ServiceName, Service], list[Problem]]:
    """The services of the file, `owner` being us; what came through us once ends here, however far it went.

    ConfigError when the file is not whole.
    """
    stamp = view.header.stamp
    if stamp.owner == owner:
        return {}, []
    if not view.complete:
        raise ConfigError(f"{where}: its end is missing: is the file half written? The bridge {stamp.owner} writes it")
    bad = {key: block.why for key, block in sorted(view.blocks.items()) if block.service is None}
    if len(bad) > len(view.blocks) * SHARE_OF_BAD:
        key = next(iter(bad))
        raise ConfigError(
            f"{where}: {key}: {bad[key]}; {len(bad)} of {len(view.blocks)} services of the bridge {stamp.owner} "
            "cannot be understood: correct the file, or let it be written again"
        )
    services = {}
    for block in view.blocks.values():
        if block.service is not None:
            made = [_told(one, stamp, scope) for one in block.service.endpoints]
            kept = [one for one in made if not owner or owner not in one.via.split()]
            services[block.service.name] = Service.of(block.service.name, kept, block.service.metadata)
    return services, [Problem("record", f"{where}: {key}", f"{why}; it is left out") for key, why in bad.items()]


def _told(endpoint: Endpoint, stamp: Stamp, scope: Scope) -> Endpoint:
    """As it stands in the file, with what the configuration says of everything in it, and through whom it came."""
    return replace(
        endpoint,
        locality=scope.locality if endpoint.locality == NOWHERE else endpoint.locality,
        network=endpoint.network or scope.network,
        via=f"{endpoint.via} {stamp.owner}".strip(),
    )
