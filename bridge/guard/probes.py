"""Which missing endpoints are proven closed.

A held endpoint is closed when four probes, a second apart, were refused or timed out *while the controls opened*:
endpoints of the same network that are seen healthy, and held ones that answer. Without controls there is no verdict,
since the bridge may be in another network, or a firewall may answer for the dead. An open port proves nothing: the
process may have left the registry on purpose.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from operator import itemgetter

from bridge.guard.values import Key
from bridge.model import Endpoint, EndpointId, Health, Service, ServiceName, Services

ROUNDS = 4  # closed probes that make a proof
APART = 1.0  # seconds between rounds, and between the hold and its first probe
RELAXED = 10.0  # seconds between probes of one that answers and is not needed as a control, or where none proves
FUTILE = 5  # rounds in which a network had no controls, after which its endpoints are probed less often
CONTROLS = 10  # of one network
OPEN_SHARE = 0.9  # of the controls must open
MOST = 1000  # missing endpoints in a round; the others wait their turn
RESEARCH = 10.0  # seconds before too few controls are looked for again


def can_be_probed(endpoint: Endpoint) -> bool:
    """Whether a TCP connection says anything about it."""
    return endpoint.ports[0].protocol == "TCP"


class _Round:
    """What one round asks for, by network."""

    __slots__ = ("ask", "controls", "missing")

    def __init__(self, missing: dict[str, list[Key]], controls: dict[str, list[EndpointId]]) -> None:
        self.missing = missing
        self.controls = controls
        ask = {endpoint for keys in missing.values() for _, endpoint in keys}
        ask.update(endpoint for some in controls.values() for endpoint in some)
        self.ask = tuple(sorted(ask))


class Probes:
    """The missing endpoints that are probed, and the rounds over them; times in the guard's seconds."""

    __slots__ = ("_answering", "_controls", "_futile", "_later", "_network", "_new", "_next", "_round", "_soon")

    def __init__(self) -> None:
        self._network: dict[Key, str] = {}
        self._new: OrderedDict[Key, float] = OrderedDict()  # when each is due, earliest first: not probed yet
        self._soon: OrderedDict[Key, float] = OrderedDict()  # likewise: those that did not answer
        self._later: OrderedDict[Key, float] = OrderedDict()  # likewise: those that answered, or cannot be proven
        self._answering: dict[str, dict[Key, None]] = {}  # in no lane: those that serve as controls, in every round
        self._controls = Controls()
        self._futile: dict[str, int] = {}  # rounds without a verdict, by network
        self._round: _Round | None = None
        self._next = 0.0  # no round before

    def watch(self, key: Key, network: str, t: float) -> None:
        """An endpoint is missing."""
        self._network[key] = network
        self._new[key] = t + APART

    def forget(self, key: Key) -> None:
        """An endpoint is missing no more."""
        network = self._network.pop(key, None)
        if network is None:
            return
        for lane in (self._new, self._soon, self._later):
            lane.pop(key, None)
        answering = self._answering.get(network)
        if answering is not None:
            answering.pop(key, None)
            if not answering:
                del self._answering[network]

    def names_changed(self, names: Iterable[ServiceName], services: Services) -> None:
        """Some services came or went."""
        self._controls.names_changed(names, services)

    def stop(self) -> None:
        """Give up the round under way; what it would find counts for nothing."""
        self.judge({})
        self._futile.clear()

    @property
    def due(self) -> float:
        """When the next round is due; never, while one is under way or none is needed."""
        if self._round is not None or not self._network:
            return inf
        firsts = [next(iter(lane.values())) for lane in (self._new, self._soon, self._later) if lane]
        if self._answering:
            firsts.append(self._next - APART + RELAXED)
        return max(self._next, min(firsts))

    def ask(self, services: Services, t: float, by: float) -> tuple[EndpointId, ...]:
        """The round under way, begun if one is due."""
        if self._round is not None and not self._network:
            self._round = None
        if self.due <= by:
            missing: dict[str, list[Key]] = {network: list(keys) for network, keys in self._answering.items()}
            for key in self._take(by):
                missing.setdefault(self._network[key], []).append(key)
            controls = {network: self._controls.choose(network, services, t) for network in missing}
            self._round = _Round(missing, controls)
            self._next = t + APART
        return self._round.ask if self._round is not None else ()

    def _take(self, by: float) -> list[Key]:
        """The next endpoints in turn; they leave their lanes."""
        taken: list[Key] = []
        while len(taken) < MOST:
            firsts = [(next(iter(lane.values())), lane) for lane in (self._soon, self._new, self._later) if lane]
            due, lane = min(firsts, key=itemgetter(0), default=(inf, self._new))
            if due > by:
                break
            taken.append(lane.popitem(last=False)[0])
        return taken

    def judge(self, results: Mapping[EndpointId, bool | None]) -> tuple[list[Key], list[Key]]:
        """The missing endpoints that this round found closed while its controls opened, and those that answered."""
        asked, self._round = self._round, None
        closed: list[Key] = []
        opened: list[Key] = []
        if asked is None:
            return closed, opened
        for network in sorted(asked.missing):
            keys = [key for key in asked.missing[network] if key in self._network and key not in self._new]
            answers = [key for key in keys if results.get(key[1]) is True]
            told = [result for one in asked.controls[network] if (result := results.get(one)) is not None]
            controls_open = sum(told) + len(answers)
            proof = controls_open > 0 and controls_open >= OPEN_SHARE * (len(told) + len(answers))
            futile = self._futile[network] = 0 if proof else self._futile.get(network, 0) + 1
            opened += answers
            answering = self._answering[network] = dict.fromkeys(answers[:CONTROLS])
            for key in keys:
                result = results.get(key[1])
                if result is False and proof:
                    closed.append(key)
                if key not in answering:
                    relaxed = result or futile > FUTILE
                    lane, pause = (self._later, RELAXED) if relaxed else (self._soon, APART)
                    lane[key] = self._next - APART + pause
            if not answering:
                del self._answering[network]
        return closed, opened


class Controls:
    """Seen, healthy endpoints that show whether a network can be reached from here.

    Spread over the services, the same ones for as long as they are seen healthy, and chosen in a decided order.
    """

    __slots__ = ("_chosen", "_names", "_retry")

    def __init__(self) -> None:
        self._names: list[ServiceName] | None = None  # sorted; made when first needed
        self._chosen: dict[str, list[Key]] = {}
        self._retry: dict[str, float] = {}

    def names_changed(self, names: Iterable[ServiceName], services: Services) -> None:
        """Keep the order of the services up to date."""
        if self._names is None:
            return
        names = list(names)
        if len(names) > 100:
            self._names = None
            return
        for name in names:
            at = bisect_left(self._names, name)
            there = at < len(self._names) and self._names[at] == name
            if name in services and not there:
                insort(self._names, name)
            elif name not in services and there:
                del self._names[at]

    def choose(self, network: str, services: Services, t: float) -> list[EndpointId]:
        """Up to ten, sorted."""
        chosen = [key for key in self._chosen.get(network, ()) if self._serves(key, network, services)]
        if len(chosen) < CONTROLS and t >= self._retry.get(network, t):
            chosen = self._walk(network, services)
            if len(chosen) < CONTROLS:
                self._retry[network] = t + RESEARCH
            else:
                self._retry.pop(network, None)
        self._chosen[network] = chosen
        return sorted({endpoint for _, endpoint in chosen})

    def _serves(self, key: Key, network: str, services: Services) -> bool:
        service: Service | None = services.get(key[0])
        if service is None:
            return False
        at = bisect_left(service.endpoints, key[1], key=lambda one: one.id)
        found = service.endpoints[at] if at < len(service.endpoints) else None
        return found is not None and found.id == key[1] and _fit(found, network)

    def _walk(self, network: str, services: Services) -> list[Key]:
        """One endpoint of each of ten services far apart; more of a service only where there are too few."""
        if self._names is None:
            self._names = sorted(services)
        firsts: list[Key] = []
        others: list[Key] = []
        for name in _spread(self._names):
            fit = [one.id for one in services[name].endpoints if _fit(one, network)]
            firsts += [(name, one) for one in fit[:1]]
            if len(firsts) == CONTROLS:
                return firsts
            others += [(name, one) for one in fit[1:CONTROLS]][: CONTROLS - len(others)]
        return (firsts + others)[:CONTROLS]


def _fit(endpoint: Endpoint, network: str) -> bool:
    healthy = endpoint.health is None or endpoint.health is Health.HEALTHY
    return healthy and endpoint.network == network and can_be_probed(endpoint)


def _spread(names: list[ServiceName]) -> Iterator[ServiceName]:
    """All the names, beginning with ten that are far apart."""
    step = max(1, len(names) // CONTROLS)
    for first in range(step):
        yield from names[first::step]
