"""What is told under which name, and who must look again when it changes.

A resource is made when somebody asks for it, once for all streams whose nodes are of one class, and stands while the
service and its policy are the same objects. What nobody subscribes to is not kept.
"""

from collections.abc import Callable, Collection, Mapping
from hashlib import blake2b

from bridge.merge import EMPTY, Catalog, Merged
from bridge.model import ServiceName, SourceName
from bridge.table import changed
from bridge.traffic import Assignment, Label, NodeClass, Policy, default_port, ports, view
from bridge.xds import wire
from bridge.xds.messages import CDS, EDS, Resource, Store
from bridge.xds.names import Asked, Names
from bridge.xds.session import Session

WILDCARD = "*"
"""Subscribed to as a name of CDS: all clusters."""

Changes = dict[Session, dict[str, list[str]]]
"""Who must look again at what: session to type to names."""


class Resources:
    """All that is told.

    `policies` gives the policy of a service, the same object for as long as it is the same. `required` are the
    sources that readiness waits for, each with what tells whether it may fill a namespace.
    """

    def __init__(
        self,
        names: Names,
        policies: Callable[[ServiceName], Policy],
        required: Mapping[SourceName, Callable[[str], bool]] | None = None,
    ) -> None:
        self.refused: dict[tuple[str, str], str] = {}
        """What could not be made, and why, by type and name; the last good one stands."""
        self._names = names
        self._policies = policies
        self._required = dict(required or {})
        self._catalog = EMPTY
        self._awaited = frozenset(self._required)
        self._known: dict[ServiceName, _Known] = {}  # the services that somebody looks at
        self._topics: dict[tuple[str, str, NodeClass], _Topic] = {}
        self._everything: dict[Session, None] = {}  # who looks at all clusters
        self._clusters: dict[str, _Known] | None = None  # all of them by name, while somebody does
        self._sorted: tuple[str, ...] | None = None  # their names
        self._stores: dict[NodeClass, _Bound] = {}

    # What a session asks.

    def store(self, node: NodeClass) -> Store:
        """What sessions of that class of nodes may ask."""
        return self._stores.setdefault(node, _Bound(self, node))

    def get(self, type_url: str, name: str, node: NodeClass) -> Resource | None:
        """The resource told under that name to that class; None when nobody can answer (rule 8)."""
        topic = self._topics.get((type_url, name, node))
        if topic is not None:
            return topic.resource if topic.made else self._make(topic)
        if type_url == CDS and self._clusters is not None:
            known = self._clusters.get(name)
            return self._cluster(known, name) if known else None
        return self._make(_Topic(type_url, name, node, self._names.parse(name)))

    def clusters(self) -> tuple[str, ...]:
        """The names of all clusters, sorted."""
        if self._clusters is None:
            self._clusters = {}
            for service in sorted(self._catalog.services):
                known = self._known.setdefault(service, _Known(service))
                self._settle(known)
                self._index(known)
        if self._sorted is None:
            self._sorted = tuple(sorted(self._clusters))
        return self._sorted

    def waiting(self) -> bool:
        """Whether a required source has neither been seen nor has a stand-in."""
        return bool(self._awaited)

    def partial(self, name: str) -> bool:
        """Whether such a source may know more of that name's service than can be told (law 3)."""
        asked = self._names.parse(name) if self._awaited else None
        return asked is not None and any(self._required[source](asked.service.namespace) for source in self._awaited)

    def empty(self, name: str) -> Resource:
        """An empty assignment under that name."""
        return _resource(name, wire.assignment(name, Assignment()))

    # What operators ask.

    def served(self, service: ServiceName) -> Label | None:
        """The default port that is told of a service; None while nobody looks at it."""
        known = self._known.get(service)
        return known.default if known is not None and known.merged is not None else None

    def asked(self, service: ServiceName) -> dict[str, tuple[int, str]]:
        """The names of endpoints that streams ask for of a service: how many do, and the version they are told."""
        found: dict[str, tuple[int, str]] = {}
        known = self._known.get(service)
        for topic in known.topics if known is not None else ():
            if topic.type_url == EDS:
                streams, version = found.get(topic.name, (0, ""))
                told = topic.resource.version if topic.resource is not None else version
                found[topic.name] = streams + len(topic.sessions), told
        return found

    # Who looks at what.

    def subscribe(self, type_url: str, name: str, node: NodeClass, session: Session) -> None:
        """The session is told of changes from now on."""
        if type_url == CDS and name == WILDCARD:
            self._everything[session] = None
            self.clusters()
            return
        topic = self._topics.get((type_url, name, node))
        if topic is None:
            topic = self._topics[type_url, name, node] = _Topic(type_url, name, node, self._names.parse(name))
            if topic.asked is not None:
                known = self._known.setdefault(topic.asked.service, _Known(topic.asked.service))
                known.topics[topic] = None
        topic.sessions[session] = None

    def unsubscribe(self, type_url: str, name: str, node: NodeClass, session: Session) -> None:
        """The session is told no more; what nobody looks at any longer is forgotten."""
        if type_url == CDS and name == WILDCARD:
            self._everything.pop(session, None)
            self._forget_clusters()
            return
        topic = self._topics.get((type_url, name, node))
        if topic is None:
            return
        topic.sessions.pop(session, None)
        if topic.sessions:
            return
        del self._topics[type_url, name, node]
        self.refused.pop((type_url, name), None)
        if topic.asked is not None:
            known = self._known[topic.asked.service]
            del known.topics[topic]
            self._forget(known)

    def _forget(self, known: "_Known") -> None:
        if not known.topics and not (self._clusters is not None and known.merged):
            self._known.pop(known.service, None)

    def _forget_clusters(self) -> None:
        """Let go of them when nobody looks at all of them, or asked for them without looking on."""
        if self._clusters is not None and not self._everything:
            self._clusters = self._sorted = None
            for known in list(self._known.values()):
                known.names, known.listed, known.made = (), (), {}
                self._forget(known)

    # What changes.

    def publish(self, catalog: Catalog) -> Changes:
        """Tell this catalog from now on: who must look again at what, where that came out otherwise."""
        self._forget_clusters()
        touched = changed(self._catalog.services, catalog.services)
        awaited = frozenset(self._required) & catalog.waiting
        self._catalog = catalog
        news = _News()
        for service in sorted(touched if self._clusters is not None else self._known.keys() & touched):
            self._renew(self._known.setdefault(service, _Known(service)), news)
        if awaited != self._awaited:
            self._awaited = awaited
            news.everybody = True  # what was held back may be told now
            for topic in self._topics.values():
                news.add(topic)
        return news.changes(self._everything)

    def reload(self, policies: Callable[[ServiceName], Policy]) -> Changes:
        """Tell by these policies from now on: who must look again at what, where that came out otherwise."""
        self._policies = policies
        news = _News()
        for service, known in sorted(self._known.items()):
            if known.policy is None or (policy := policies(service)) is known.policy:
                continue
            known.policy, known.merged = policy, None
            before, known.made = known.made, {}
            self._renew(known, news)
            for name, cluster in before.items():
                if name in known.names and self._cluster(known, name) != cluster:
                    news.clusters.append(name)
        return news.changes(self._everything)

    def _renew(self, known: "_Known", news: "_News") -> None:
        """Make again what stands of a service, and note what came out otherwise."""
        self._settle(known)
        if self._clusters is not None:
            news.clusters += self._index(known)
        for topic in known.topics:
            if topic.made:
                before = topic.resource
                if self._make(topic) != before:
                    news.add(topic)
        self._forget(known)

    # Making.

    def _settle(self, known: "_Known") -> None:
        """Have it know its service as the catalog has it now, and the default port that this comes to."""
        merged = self._catalog.services.get(known.service)
        if merged is known.merged:
            return
        known.merged = merged
        if merged is None:
            known.names = ()
        else:
            served = None if known.policy is None else known.default
            known.policy = known.policy or self._policies(known.service)
            known.default = default_port(merged, known.policy, served)

    def _index(self, known: "_Known") -> Collection[str]:
        """Have `_clusters` and `made` say what clusters the service has now; those that came or went, sorted."""
        before, now = known.listed, self._names_of(known)
        if self._clusters is None or before == now:
            return ()
        self._sorted = None
        for name in before:
            if name not in now:
                del self._clusters[name]
                known.made.pop(name, None)
        self._clusters.update(dict.fromkeys(now, known))
        known.listed = now
        return sorted(set(before) ^ set(now))

    def _names_of(self, known: "_Known") -> tuple[str, ...]:
        """A service's clusters: one for each of its ports, and those that it had while it has no endpoints at all."""
        if known.merged is not None and (known.merged.groups or not known.names):
            names = [self._names.write(known.service)]
            if self._names.ports:
                others = ports(known.merged, known.default)[1:]
                # A port that is called by digits would be taken for a number; no name can say it.
                names += [self._names.write(known.service, port) for port in others if not _digits(port)]
            known.names = tuple(names)
        return known.names

    def _cluster(self, known: "_Known", name: str) -> Resource | None:
        if name not in known.made and known.policy is not None:
            known.made[name] = _resource(name, wire.cluster(name, known.policy.cluster))
        return known.made.get(name)

    def _make(self, topic: "_Topic") -> Resource | None:
        """Have the topic say what is told under its name now."""
        topic.made = True
        if topic.asked is None:
            return None
        known = self._known.get(topic.asked.service) or _Known(topic.asked.service)
        self._settle(known)
        if known.merged is None:
            # Gone by proof: who was told of it is told that it is empty, and so is who asks meanwhile (rule 7).
            topic.resource = self.empty(topic.name) if topic.resource and topic.type_url == EDS else None
        elif topic.type_url == CDS:
            topic.resource = self._cluster(known, topic.name) if topic.name in self._names_of(known) else None
        elif topic.type_url == EDS:
            self._assign(topic, known.merged, topic.asked.port or known.default, known.default)
        return topic.resource

    def _assign(self, topic: "_Topic", service: Merged, port: Label, default: Label) -> None:
        try:
            body = wire.assignment(topic.name, view(service, port, topic.node, default))
        except wire.WireError as error:
            self.refused[EDS, topic.name] = str(error)
            return
        self.refused.pop((EDS, topic.name), None)
        if topic.resource is None or topic.resource.body != body:
            topic.resource = _resource(topic.name, body)


def _digits(port: Label) -> bool:
    return isinstance(port, str) and port.isascii() and port.isdigit()


def _resource(name: str, body: bytes) -> Resource:
    """Its version is a digest of its content, so that every replica gives it the same (rule 13)."""
    return Resource(name, blake2b(body, digest_size=8).hexdigest(), body)


class _Known:
    """A service that somebody looks at.

    `merged` is what was made from, None when the catalog has it not; `default` its default port, which stays while
    it can; `names` are its clusters, `listed` those of them that `Resources.clusters` lists, and `made` those that
    somebody was told.
    """

    __slots__ = ("default", "listed", "made", "merged", "names", "policy", "service", "topics")

    def __init__(self, service: ServiceName) -> None:
        self.service = service
        self.merged: Merged | None = None
        self.policy: Policy | None = None
        self.default: Label = ""
        self.names: tuple[str, ...] = ()
        self.listed: tuple[str, ...] = ()
        self.made: dict[str, Resource] = {}
        self.topics: dict[_Topic, None] = {}  # in the order of subscription


class _Topic:
    """A name that somebody looks at, for one class of nodes; `asked` is None when the name means nothing here."""

    __slots__ = ("asked", "made", "name", "node", "resource", "sessions", "type_url")

    def __init__(self, type_url: str, name: str, node: NodeClass, asked: Asked | None) -> None:
        self.type_url = type_url
        self.name = name
        self.node = node
        self.asked = asked
        self.made = False
        self.resource: Resource | None = None
        self.sessions: dict[Session, None] = {}


class _News:
    """Gathers who must look again at what; in the order of services and names, then of subscription."""

    def __init__(self) -> None:
        self.clusters: list[str] = []  # of the wildcard
        self.everybody = False  # whether those who look at all clusters must look again, whatever changed
        self._topics: dict[_Topic, None] = {}

    def add(self, topic: _Topic) -> None:
        self._topics[topic] = None

    def changes(self, everything: Collection[Session]) -> Changes:
        changes: Changes = {}
        for topic in self._topics:
            for session in topic.sessions:
                changes.setdefault(session, {}).setdefault(topic.type_url, []).append(topic.name)
        if self.clusters or self.everybody:
            for session in everything:
                changes.setdefault(session, {}).setdefault(CDS, []).extend(self.clusters)
        return changes


class _Bound:
    """The store of one class of nodes."""

    __slots__ = ("_node", "_resources")

    def __init__(self, resources: Resources, node: NodeClass) -> None:
        self._resources, self._node = resources, node

    def get(self, type_url: str, name: str) -> Resource | None:
        return self._resources.get(type_url, name, self._node)

    def clusters(self) -> Collection[str]:
        return self._resources.clusters()

    def waiting(self) -> bool:
        return self._resources.waiting()

    def partial(self, name: str) -> bool:
        return self._resources.partial(name)

    def empty(self, type_url: str, name: str) -> Resource:
        if type_url != EDS:
            raise ValueError(f"{type_url}: only assignments can be empty")
        return self._resources.empty(name)
