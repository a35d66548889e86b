"""The owners and services that the suite plays with."""

from bridge.kit.mark import Mark
from bridge.model import Endpoint, Port, Service, ServiceName

OURS = Mark("conformance", "one")
OURS_TOO = Mark("conformance", "two")
"""Another deployment under the same owner."""

RENAMED = Mark("renamed", "one", (OURS.owner,))
"""Us, after our owner was given another name."""

THEIRS = Mark("neighbour", "one")
"""Another bridge."""


def service(name: str, *addresses: str, port: int = 8080) -> Service:
    """`service("web", "10.20.0.1")`, of the namespace `shop`."""
    ports = (Port("http", port),)
    return Service.of(ServiceName("shop", name), [Endpoint(address, ports) for address in addresses])


WEB = service("web", "10.20.0.1", "10.20.0.2", "10.20.0.3")
API = service("api", "10.20.1.1", "10.20.1.2")
JOBS = service("jobs", "10.20.2.1")
