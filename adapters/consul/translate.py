"""The instances of one name as a service of the catalog: health, weight, place and address as Consul means them.

Pure, and the same whatever the order of instances.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from adapters.consul.names import shown
from adapters.consul.objects import COMMON, PREFIX, VIA, Broken, Instance, Status
from adapters.consul.selection import SYNC_TAG, Selection, from_kubernetes
from bridge.adapter import Problem
from bridge.kit import address, tags
from bridge.kit.names import port_name
from bridge.model import Endpoint, EndpointId, Health, Locality, Metadata, Port, Service, ServiceName

EXTERNAL: Final = "external-node"
PROBED: Final = "external-probe"
"""Keys of a node's meta, by which consul-esm knows a host without an agent and what to do with it."""

NODE: Final = "registered-on"
NAME: Final = "registered-as"
"""Keys of metadata: the node, and what the service is called there. No Consul takes one that begins with `consul-`."""

BY_HAND: Final = "by-hand"
"""Who has what is to go for ours. It counts as another bridge's: where a source says it too, ours is wanted there."""

SHOWN: Final = 20
"""How many bad instances of one service are told one by one."""


class Scope(NamedTuple):
    """What the configuration says of everything that is read.

    `places` are the keys of meta that say region, zone and sub-zone where Consul's own fields do not; `tagged` which of
    the further addresses counts, "" for the plain one; `port` what the only port is called; `warning` how that state
    looks; `owners` are we.
    """

    selection: Selection
    locality: Locality
    network: str
    places: Locality
    tagged: str
    port: str
    warning: Health
    owners: frozenset[str]


class Translated(NamedTuple):
    """What a name comes to: None when nothing of it is the catalog's. `yields` are the instances that go for ours."""

    service: Service | None
    problems: tuple[Problem, ...]
    yields: tuple[Instance, ...] = ()


class _Flaw(NamedTuple):
    kind: str
    where: str
    why: str


def translate(name: ServiceName, spelled: str, said: Sequence[Instance | Broken], scope: Scope) -> Translated:
    """The endpoints of all instances that count, ours left out, those of other bridges `via` them."""
    flaws = [_Flaw("record", one.where, one.why) for one in said if isinstance(one, Broken)]
    wanted = [one for one in said if isinstance(one, Instance) and _counts(one, scope)]
    endpoints: dict[EndpointId, Endpoint] = {}
    twice: Counter[EndpointId] = Counter()
    for one in sorted(wanted, key=lambda instance: (bool(_via(instance, scope)), instance.key)):
        try:
            made = endpoint(one, scope, "" if spelled == name.name else spelled)
        except BadError as error:
            flaws.append(_Flaw(error.kind, shown("/".join(one.key)), str(error)))
            continue
        if endpoints.setdefault(made.id, made) != made:
            twice[made.id] += 1
    service = Service.of(name, endpoints.values()) if endpoints else None
    yields = tuple(one for one in wanted if _goes(one, scope))
    return Translated(service, (*_told(name, spelled, flaws), *_doubled(name, twice)), yields)


def endpoint(one: Instance, scope: Scope, spelled: str = "") -> Endpoint:
    """One instance of a service that is `spelled` otherwise there; BadError when it cannot be an endpoint."""
    host, port = _address(one, scope.tagged)
    try:
        where = address.host(host)
    except ValueError as error:
        raise BadError("address", str(error)) from None
    ports = _ports(one, scope.port)
    said = one.extras
    if said.ports and ports and said.ports[0].number == ports[0].number:
        ports = said.ports
    if port:
        ports = (ports[0]._replace(number=port), *ports[1:]) if ports else (Port(scope.port, port),)
    if not ports:
        raise BadError("port", "a Unix socket cannot be reached from elsewhere" if one.socket else "has no port")
    health, weight = _health(one, scope.warning)
    return Endpoint(
        where,
        ports,
        health,
        _place(one, scope),
        said.network or scope.network,
        weight,
        _via(one, scope),
        metadata=_metadata(one, spelled),
    )


class BadError(ValueError):
    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


def _counts(one: Instance, scope: Scope) -> bool:
    ours = one.stamp is not None and (
        one.stamp.owner in scope.owners or not scope.owners.isdisjoint(dict(one.meta).get(VIA, "").split())
    )
    return not ours and scope.selection.admits(one)


def _goes(one: Instance, scope: Scope) -> bool:
    """Whether a hand's instance is to go for one of ours."""
    return one.stamp is None and one.yields in scope.owners


def _via(one: Instance, scope: Scope) -> str:
    if one.stamp is not None:
        return f"{dict(one.meta).get(VIA, '')} {one.stamp.owner}".strip()
    return BY_HAND if _goes(one, scope) else ""


def _address(one: Instance, tagged: str) -> tuple[str, int]:
    """Where it is reached, and at which port if another than its own: as Consul itself translates addresses."""
    if tagged:
        for tag in one.tagged:
            if tag.tag == tagged and tag.address:
                return tag.address, tag.port
        node = dict(one.node.tagged).get(tagged)
        if not one.address and node:
            return node, 0
    return one.address or one.node.address, 0


def _ports(one: Instance, default: str) -> tuple[Port, ...]:
    """Named as they are; a name that no port can have is none."""
    return tuple(port._replace(name=_port_name(port.name) or (default if not at else "")) for at, port in
                 enumerate(one.ports))  # fmt: skip


def _port_name(text: str) -> str:
    try:
        return port_name(text) if text else ""
    except ValueError:
        return ""


def _health(one: Instance, warning: Health) -> tuple[Health, int]:
    """How it is, and its weight. A weight of 0 is no disappearance: it is to get nothing for a while."""
    match one.status:
        case Status.PASSING:
            health, weight = Health.HEALTHY, one.passing
        case Status.WARNING:
            health, weight = warning, one.warning
        case Status.MAINTENANCE:
            health, weight = Health.DRAINING, one.passing
        case Status.CRITICAL:
            health, weight = Health.DRAINING if one.extras.draining else Health.UNHEALTHY, one.passing
    if weight == 0:
        return max(health, Health.DRAINING), 1
    return health, weight


def _place(one: Instance, scope: Scope) -> Locality:
    """By the instance's own word, then its node's, then keys of meta, then the configuration."""
    if one.stamp is not None:
        region, zone, sub_zone = one.extras.locality
        return _based(region, zone, sub_zone, scope.locality)
    own, node = one.locality, one.node.locality
    said, around = dict(one.meta), dict(one.node.meta)
    region, zone, sub_zone = (
        known or (key and (said.get(key) or around.get(key))) or ""
        for known, key in zip((own.region or node.region, own.zone or node.zone, ""), scope.places, strict=True)
    )
    return _based(region, zone, sub_zone, scope.locality)


def _based(region: str, zone: str, sub_zone: str, base: Locality) -> Locality:
    sub_zone = sub_zone or ("" if zone else base.sub_zone)
    return Locality(region or base.region, zone or base.zone, sub_zone)


def _metadata(one: Instance, spelled: str) -> Metadata:
    """Its meta without the mark, and its tags; of what no bridge wrote its node and how its service is `spelled` too.

    Of a node without an agent that somebody registered, the meta is what is known of the host; an agent's says how the
    agent is. Tags that an export has for all of its instances, and the one by which consul-k8s knows its own, are no
    instance's: who writes that one elsewhere has a consul-k8s there leave the service out.
    """
    pairs = {key: value for key, value in one.meta if not key.startswith(PREFIX)}
    said = tags.join(_own_tags(one))
    if one.stamp is not None:
        if said:
            pairs.setdefault(tags.KEY, said)  # of a bridge of before it stands in its meta
        return tuple(sorted(pairs.items()))
    around = dict(one.node.meta)
    if around.get(EXTERNAL) == "true":
        pairs = {key: value for key, value in around.items() if key not in (EXTERNAL, PROBED)} | pairs
    if one.node.name:
        pairs.setdefault(NODE, one.node.name)
    if said:
        pairs[tags.KEY] = said
    if spelled:
        pairs.setdefault(NAME, spelled)
    return tuple(sorted(pairs.items()))


def _own_tags(one: Instance) -> frozenset[str]:
    if one.stamp is not None:
        common = dict(one.meta).get(COMMON)
        return frozenset(one.tags).difference(tags.split(common)) if common is not None else frozenset()
    return frozenset(one.tags).difference((SYNC_TAG,) if from_kubernetes(one) else ())


def _told(name: ServiceName, spelled: str, flaws: Iterable[_Flaw]) -> list[Problem]:
    """Each flaw by itself while they are few, and then those of a kind together."""
    ordered = sorted(set(flaws))
    service = f"service {shown(spelled)}"
    problems = [
        Problem(flaw.kind, f"{service}: {flaw.where}", f"{flaw.why}; the instance is left out", name)
        for flaw in ordered[:SHOWN]
    ]
    for kind, count in sorted(Counter(flaw.kind for flaw in ordered[SHOWN:]).items()):
        problems.append(Problem(kind, service, "further instances are left out for the same reason", name, count))
    return problems


def _doubled(name: ServiceName, twice: Counter[EndpointId]) -> list[Problem]:
    return [
        Problem(
            "duplicate", f"{name}: {which}", "stands twice and says two things; the first by node and id counts", name,
            count,
        )
        for which, count in sorted(twice.items())
    ]  # fmt: skip
