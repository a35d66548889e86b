"""The xDS protocol of one stream: requests in, responses out, no I/O and no clock.

Both protocols share one model: what the stream asks for, what it has and in which version, what must be looked at
again, and whether an answer is still unacknowledged. A response goes out only when none of its type is; meanwhile
names gather, never contents, so that a slow client costs no more than a fast one and is told the newest.
"""

from collections.abc import Iterable, Mapping

from bridge.xds.messages import CDS, EDS, Interest, ProtocolError, Request, Response, Store
from bridge.xds.partial import Partial
from bridge.xds.subscription import Status
from bridge.xds.whole import Whole


class Session:
    """One stream.

    `types` are those that the stream serves: both on ADS, one otherwise. `max_bytes` is what the resources of one
    response may take (a client's default limit is 4 MiB for the whole message); a single larger resource goes alone,
    and clusters in the state of the world cannot be split. `always_resend` sends endpoints to a delta client that
    says it has them already.
    """

    __slots__ = ("_always_resend", "_clusters", "_count", "_delta", "_endpoints", "_rewarmed")

    def __init__(
        self,
        delta: bool,
        store: Store,
        types: frozenset[str],
        *,
        max_names: int,
        max_bytes: int,
        always_resend: bool = False,
    ) -> None:
        self._delta = delta
        self._always_resend = always_resend
        self._count = 0
        self._rewarmed: set[str] = set()  # clusters told before endpoints were first asked for
        self._clusters: Partial | Whole | None = None
        if CDS in types:
            self._clusters = (
                Partial(CDS, store, delta, max_names, max_bytes) if delta else Whole(CDS, store, delta, max_names)
            )
        self._endpoints = Partial(EDS, store, delta, max_names, max_bytes) if EDS in types else None

    def receive(self, request: Request) -> Interest:
        """Take a request: names whatever its nonce, then nothing else unless the nonce is the newest.

        Types that an aggregated stream does not serve are left unanswered. Raises ProtocolError for what ends the
        stream.
        """
        type_url = request.type_url
        if not type_url and (self._clusters is None or self._endpoints is None):
            type_url = EDS if self._clusters is None else CDS
        subscription = self._of(type_url)
        if subscription is None:
            if not type_url:
                raise ProtocolError("a request on an aggregated stream has no type_url")
            if self._clusters is None or self._endpoints is None:
                raise ProtocolError(f"{type_url} is asked for on a stream of another type")
            return Interest(type_url)
        subscription.hear(request.nonce, request.error)
        if not self._delta:
            return subscription.ask(request.names, request.version)
        if request.initial and not subscription.asked:
            subscription.fresh = False  # believed or not, it came with something
        return subscription.ask_delta(request.subscribe, request.unsubscribe, self._believed(subscription, request))

    def _of(self, type_url: str) -> Partial | Whole | None:
        return {CDS: self._clusters, EDS: self._endpoints}.get(type_url)

    def _believed(self, subscription: Partial | Whole, request: Request) -> Mapping[str, str]:
        """What a delta client may be taken to have, by its first request (rule 6).

        A reconnecting Envoy that asks for endpoints before clusters is in the middle of warming: it waits for
        endpoints that it already has. So does a cluster that was told on this stream.
        """
        if subscription.asked or subscription is self._clusters:
            return request.initial
        rewarmed, self._rewarmed = self._rewarmed, set()
        if self._always_resend or self._clusters is None or not self._clusters.asked:
            return {}
        return {name: version for name, version in request.initial.items() if name not in rewarmed}

    def touch(self, type_url: str, names: Iterable[str]) -> None:
        """The content of `names` may have changed; costs those names, whatever else is asked for."""
        subscription = self._of(type_url)
        if subscription is not None:
            subscription.touch(names)

    def take(self) -> Response | None:
        """The next response, clusters before endpoints; to be called until there is None."""
        nonce = str(self._count + 1)
        if self._clusters is not None:
            response = self._clusters.take(nonce)
            if response is not None:
                self._count += 1
                self._rewarmed.difference_update(response.removed)
                self._warm(self._clusters.news(response))
                return response
        response = self._endpoints.take(nonce) if self._endpoints is not None else None
        self._count += response is not None
        return response

    def _warm(self, clusters: Iterable[str]) -> None:
        """Envoy waits for the endpoints of a cluster that it is told anew, though it does not ask again (rule 9)."""
        if self._endpoints is None:
            return
        if self._endpoints.asked:
            self._endpoints.resend(clusters)
        elif self._delta:
            self._rewarmed.update(clusters)

    def close(self) -> tuple[Interest, ...]:
        """The stream has ended: all that it looked at, as dropped."""
        return tuple(
            Interest(each.type_url, (), tuple(each.named), False if each.wildcard else None)
            for each in (self._clusters, self._endpoints)
            if each is not None
        )

    def told(self, type_url: str) -> dict[str, str]:
        """What the client has accepted, or said it has: name to version."""
        subscription = self._of(type_url)
        return subscription.told() if subscription is not None else {}

    def counts(self) -> tuple[int, int]:
        """How many names are asked for, and how many versions were refused and are not sent again."""
        both = [each for each in (self._clusters, self._endpoints) if each is not None]
        return sum(len(each.named) for each in both), sum(len(each.parked) for each in both)

    def status(self) -> tuple[Status, ...]:
        """Each type that was asked for."""
        return tuple(each.status() for each in (self._clusters, self._endpoints) if each is not None and each.asked)
