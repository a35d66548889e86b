"""A catalog that changes, the resources that follow it, and somebody who looks at them."""

from collections.abc import Mapping
from typing import Any, cast

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from google.protobuf.any_pb2 import Any as AnyMessage

from bridge.merge import Catalog, Input, Inputs, merge
from bridge.model import Endpoint, Port, Service, ServiceName, SourceName
from bridge.traffic import ANY, ClusterPolicy, Policy
from bridge.xds.messages import CDS, EDS, Resource
from bridge.xds.names import Names
from bridge.xds.resources import Resources
from bridge.xds.session import Session
from tests.builders import endpoint, service, services

PLAIN = Policy(None, ClusterPolicy(1.0, "round_robin", None))
VMS = SourceName("vms")


class World:
    """A catalog that changes, the resources that follow it, and somebody who looks at them."""

    def __init__(self, **options: Any) -> None:
        self.policies: dict[ServiceName, Policy] = {}
        self.resources = Resources(Names(), self.policy, **options)
        self.before: tuple[Inputs, Catalog] | None = None

    def policy(self, service: ServiceName) -> Policy:
        return self.policies.get(service, PLAIN)

    def publish(self, *them: Service, seen: bool = True) -> dict[str, dict[str, list[str]]]:
        inputs = Inputs((Input(VMS, services(*them), seen),))
        catalog = merge(inputs, self.before)
        self.before = (inputs, catalog)
        return readable(self.resources.publish(catalog))

    def subscribe(self, who: str, *names: str, type_url: str = EDS) -> None:
        for one in names:
            self.resources.subscribe(type_url, one, ANY, session(who))
            self.resources.get(type_url, one, ANY)

    def unsubscribe(self, who: str, *names: str, type_url: str = EDS) -> None:
        for one in names:
            self.resources.unsubscribe(type_url, one, ANY, session(who))

    def get(self, name: str, type_url: str = EDS) -> Resource | None:
        return self.resources.get(type_url, name, ANY)

    def hosts(self, name: str) -> list[str] | None:
        """What an Envoy reads under that name; None when nobody can answer."""
        resource = self.get(name)
        if resource is None:
            return None
        told = unpacked(resource)
        assert told.cluster_name == resource.name == name
        return [
            f"{host.endpoint.address.socket_address.address}:{host.endpoint.address.socket_address.port_value}"
            for group in told.endpoints
            for host in group.lb_endpoints
        ]


def session(who: str) -> Session:
    return cast("Session", who)  # to resources a session is a key


def readable(changes: Mapping[Session, Any]) -> dict[str, dict[str, list[str]]]:
    return cast("dict[str, dict[str, list[str]]]", dict(changes))


def unpacked(resource: Resource) -> Any:
    packed = AnyMessage.FromString(resource.body)
    kind: Any = {EDS: endpoint_pb2.ClusterLoadAssignment, CDS: cluster_pb2.Cluster}[packed.type_url]
    return kind.FromString(packed.value)


def pay(*endpoints: str | Endpoint) -> Service:
    return service("shop/payments", *endpoints)


BOTH = endpoint("10.0.0.1:80", more=[Port("grpc", 9000)])


def cluster_names(world: World) -> list[str]:
    return list(world.resources.store(ANY).clusters())
