"""What is written to a Consul, seen again: one node for each export, those of owners before us, and all claims."""

from collections.abc import Iterator, Sequence
from functools import partial

from adapters.consul import claims, owned
from adapters.consul.client import Api, Unreached
from adapters.consul.owned import Known, Owned
from adapters.consul.target import NodeTarget
from adapters.consul.watch import Watch
from bridge.adapter import Held, Holdings, Problem, Target
from bridge.errors import BridgeError
from bridge.kit import Clock
from bridge.table import Table, share


class Node:
    """One node, read by two questions: its services, and their checks."""

    def __init__(self, api: Api, name: str) -> None:
        self.name = name
        self.services = Watch(f"node {name}", partial(api.node, name))
        self.checks = Watch(f"checks of node {name}", partial(api.checks, name))
        self.known: Known = {}

    @property
    def version(self) -> tuple[int, int]:
        return self.services.version, self.checks.version


class Written:
    """`held` is what was seen; a target of which something cannot be read is not in it, and not written."""

    def __init__(self, api: Api, clock: Clock, targets: Sequence[NodeTarget]) -> None:
        self.targets = {one.target: one for one in targets}
        self.held: Table[Target, Held] = Table()
        self._api = api
        self._clock = clock
        self._nodes = {
            one.target: [Node(api, name) for name in dict.fromkeys((one.node, *one.former))] for one in targets
        }
        self._claims = Watch("claims", partial(api.keys, claims.ROOT))
        self._seen: dict[Target, tuple[object, Held | None]] = {}
        self._problems: dict[Target, Problem] = {}

    @property
    def watches(self) -> list[Watch]:
        """All that is to be followed."""
        if not self.targets:
            return []
        nodes = [one for them in self._nodes.values() for one in them]
        return [self._claims, *(watch for one in nodes for watch in (one.services, one.checks))]

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
        found: dict[Target, Held | None] = {}
        for target in self.targets:
            found[target] = self._held(target)
        if any(self.held.get(target) is not held for target, held in found.items()):
            self.held = self.held.with_(found)

    def problems(self) -> Iterator[Problem]:
        """Why a target is not written."""
        yield from (self._problems[target] for target in sorted(self._problems))

    def _held(self, target: Target) -> Held | None:
        one, nodes = self.targets[target], self._nodes[target]
        watches = [self._claims, *(watch for node in nodes for watch in (node.services, node.checks))]
        self._problems.pop(target, None)
        for watch in watches:
            if watch.failure is not None:
                why = str(watch.failure.error).removeprefix(f"{self._api.where}: ")
                self._problems[target] = Problem("target", f"node {one.node}", f"{why}; nothing is written there")
                return None
        if not all(watch.known for watch in watches):
            return None
        ours = nodes[0]
        one.seen(owned.stands(ours.services.value, ours.checks.value, one.mark))
        if one.stands.foreign:
            what = f"belongs to {one.stands.foreign} and is left as it is; name another one under `node`"
            self._problems[target] = Problem("target", f"node {one.node}", what)
            return None
        basis = (self._claims.version, *(node.version for node in nodes))
        known = self._seen.get(target)
        if known is not None and known[0] == basis:
            return known[1]
        held = self._look(one, nodes, known[1] if known is not None else None)
        self._seen[target] = basis, held
        return held

    def _look(self, one: NodeTarget, nodes: Sequence[Node], before: Held | None) -> Held:
        found: list[Owned] = []
        for node in nodes:
            said, checks = node.services.value, node.checks.value
            found.append(owned.owned(node.name, said, checks, one.mark, node.known))
        standing: Holdings = before.holdings if before is not None else Table()
        holdings = share(standing, owned.holdings(found))
        made = Held(holdings, claims.of_node(claims.standing(self._claims.value), one.mark, one.node))
        return before if before is not None and before == made else made
