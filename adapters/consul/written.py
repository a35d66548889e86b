"""What is written to a Consul, seen again: the nodes of each export, those of owners before us, and all claims."""

from collections.abc import Iterator, Sequence
from functools import partial

from adapters.consul import claims, owned
from adapters.consul.client import Api, Unreached
from adapters.consul.owned import Known
from adapters.consul.target import NodeTarget
from adapters.consul.watch import Watch
from bridge.adapter import Held, Holdings, Problem, Target
from bridge.errors import BridgeError
from bridge.kit import Clock
from bridge.kit.mark import Mark
from bridge.model import ServiceName
from bridge.table import Table


class Node:
    """One node, read by two questions: its services, and their checks. `among` is how many are read together."""

    def __init__(self, api: Api, name: str, mark: Mark, among: int) -> None:
        self.name = name
        self.services = Watch(f"node {name}", partial(api.node, name), among)
        self.checks = Watch(f"checks of node {name}", partial(api.checks, name), among)
        self.stands = owned.NOT_THERE
        self.owned = owned.NOTHING
        self._mark = mark
        self._known = Known()
        self._version: tuple[int, int] | None = None

    @property
    def watches(self) -> tuple[Watch, Watch]:
        return self.services, self.checks

    def look(self) -> set[ServiceName]:
        """Understand what it says by now; the services of which that is something else than before."""
        version = self.services.version, self.checks.version
        if version == self._version:
            return set()
        self._version, before = version, self.owned
        said, checks = self.services.value, self.checks.value
        self.stands = owned.stands(said, checks, self._mark)
        self.owned = owned.owned(self.name, said, checks, self._mark, self._known)
        return owned.differing(before, self.owned)


class Nodes:
    """Those of one export. `held` is what stands there, as far as `why` is not what is in the way of writing there."""

    def __init__(self, api: Api, target: NodeTarget) -> None:
        among = len(target.nodes) + len(target.former)
        self.target = target
        self.ours = [Node(api, name, target.mark, among) for name in target.nodes]
        self.former = [Node(api, name, target.mark, among) for name in target.former if name not in target.nodes]
        self.holdings: Holdings = Table()

    @property
    def watches(self) -> list[Watch]:
        return [watch for node in (*self.ours, *self.former) for watch in node.watches]

    def look(self) -> Node | None:
        """Understand what stands there by now; one that somebody else has, None where all of ours are."""
        differs = {service for node in (*self.ours, *self.former) for service in node.look()}
        ours, former = [node.owned for node in self.ours], [node.owned for node in self.former]
        made = {service: owned.holding(ours, former, service) for service in differs}
        self.holdings = self.holdings.with_(
            {service: one for service, one in made.items() if one is None or one != self.holdings.get(service)}
        )
        self.target.seen({node.name: node.stands for node in self.ours})
        return next((node for node in self.ours if node.stands.foreign), None)


class Written:
    """`held` is what was seen; a target of which something cannot be read is not in it, and not written."""

    def __init__(self, api: Api, clock: Clock, targets: Sequence[NodeTarget]) -> None:
        self.targets = {one.target: one for one in targets}
        self.held: Table[Target, Held] = Table()
        self._api = api
        self._clock = clock
        self._nodes = {one.target: Nodes(api, one) for one in targets}
        self._claims = Watch("claims", partial(api.keys, claims.ROOT))
        self._problems: dict[Target, Problem] = {}

    @property
    def watches(self) -> list[Watch]:
        """All that is to be followed."""
        if not self.targets:
            return []
        return [self._claims, *(watch for them in self._nodes.values() for watch in them.watches)]

    async def read(self) -> None:
        """Read all of it now; Unreached when there is no answer at all, while others' failures are their own."""
        for watch in self.watches:
            try:
                await watch.read()
            except Unreached:
                raise
            except BridgeError as error:
                watch.failed(error, self._clock.now())

    def update(self) -> None:
        """Look again at what changed."""
        found = {target: self._held(nodes) for target, nodes in self._nodes.items()}
        if any(self.held.get(target) is not held for target, held in found.items()):
            self.held = self.held.with_(found)

    def problems(self) -> Iterator[Problem]:
        """Why a target is not written."""
        yield from (self._problems[target] for target in sorted(self._problems))

    def _held(self, nodes: Nodes) -> Held | None:
        one = nodes.target
        watches = [self._claims, *nodes.watches]
        failure = next((watch.failure for watch in watches if watch.failure is not None), None)
        self._problems.pop(one.target, None)
        if failure is not None:
            why = str(failure.error).removeprefix(f"{self._api.where}: ")
            self._problems[one.target] = Problem("target", f"node {one.node}", f"{why}; nothing is written there")
            return None
        if not all(watch.known for watch in watches):
            return None
        if (node := nodes.look()) is not None:
            what = f"belongs to {node.stands.foreign} and is left as it is; name another one under `node`"
            self._problems[one.target] = Problem("target", f"node {node.name}", what)
            return None
        said = claims.of_node(claims.standing(self._claims.value), one.mark, one.node)
        before: Held | None = self.held.get(one.target)
        if before is not None and before.holdings is nodes.holdings and before.claims == said:
            return before
        return Held(nodes.holdings, said)
