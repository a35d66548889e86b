"""What bridges write to a Consul, seen again: the nodes of each export, those of owners before us, and all claims."""

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any

from adapters.consul import claims, owned, spread
from adapters.consul.client import Api, Unreached
from adapters.consul.objects import OWNER
from adapters.consul.owned import Known
from adapters.consul.part import Failure
from adapters.consul.target import NodeTarget
from adapters.consul.watch import Watch
from bridge.adapter import Claim, Held, Holdings, Problem, Target
from bridge.errors import BridgeError
from bridge.kit import Clock
from bridge.kit.mark import Mark
from bridge.model import ServiceName
from bridge.table import Table


class Node:
    """One node, read by two questions: its services, and their checks. `writes`: it is one of those that we write."""

    def __init__(self, api: Api, name: str, mark: Mark) -> None:
        self.name = name
        self.stands = owned.NOT_THERE
        self.owned = owned.NOTHING
        self.writes = False
        self._api = api
        self._mark = mark
        self._known = Known()
        self.ask()

    def ask(self) -> None:
        """Ask anew, at once: that it is not there any more is nothing for which a Consul of 1.8 ends a wait."""
        self.services = Watch(f"node {self.name}", partial(self._api.node, self.name))
        self.checks = Watch(f"checks of node {self.name}", partial(self._api.checks, self.name))
        self._version: tuple[int, int] | None = None

    @property
    def watches(self) -> tuple[Watch, Watch]:
        return self.services, self.checks

    @property
    def gone(self) -> bool:
        """Whether it said itself that it is not there."""
        return self.services.known and self.services.failure is None and self.services.value is None

    def look(self) -> set[ServiceName] | None:
        """Understand what it says by now; the services of which that is something else, None where it is as before."""
        version = self.services.version, self.checks.version
        if version == self._version:
            return None
        self._version, before = version, self.owned
        said, checks = self.services.value, self.checks.value
        self.stands = owned.stands(said, checks, self._mark)
        self.owned = owned.owned(self.name, said, checks, self._mark, self._known)
        return owned.differing(before, self.owned)


class Nodes:
    """Those of one export, however many there are. `holdings` is what stands there.

    They are found by our mark, and where somebody took that from a node by its number: between those of others, or the
    next one. What was found is followed for as long as it is there, whatever a list says.
    """

    def __init__(self, api: Api, target: NodeTarget) -> None:
        self.target = target
        self.holdings: Holdings = Table()
        self.lists = [
            Watch(f"nodes of {owner}", partial(api.nodes_with, OWNER, owner))
            for owner in (target.mark.owner, *target.mark.former)
        ]
        self._api = api
        self._firsts = (target.node, *target.former)
        self._nodes: dict[str, Node] = {}
        self._listed: frozenset[str] = frozenset()
        self.find()

    @property
    def parts(self) -> list[Watch]:
        """Of each node."""
        return [watch for node in self._nodes.values() for watch in node.watches]

    @property
    def watches(self) -> list[Watch]:
        return [*self.lists, *self.parts]

    def find(self) -> None:
        """Have those that are listed, and may be there; leave out what is no more."""
        listed = frozenset(name for watch in self.lists for name in _names(watch.value))
        for name in self._nodes.keys() & (self._listed - listed):
            self._nodes[name].ask()
        self._listed = listed
        names = {*self._firsts, *self.target.met, *listed, *self._next(listed)}
        names |= {name for name, node in self._nodes.items() if not node.gone or node.owned != owned.NOTHING}
        order = {name: order for name in names if (order := self._order(name)) is not None}
        if order.keys() != self._nodes.keys():
            self._nodes = {
                name: self._nodes.get(name) or Node(self._api, name, self.target.mark)
                for name in sorted(order, key=order.__getitem__)
            }
        for watch in self.parts:
            watch.among = len(self._nodes)

    @property
    def readable(self) -> bool:
        """Whether all of it was read, and nothing fails to be."""
        return all(watch.known and watch.failure is None for watch in self.watches)

    def look(self) -> Node | None:
        """Understand what stands there by now; our first node where somebody else has it."""
        found = [node.look() for node in self._nodes.values()]
        if any(one is not None for one in found):
            self._take({service for one in found for service in one or ()})
        first = self._nodes[self.target.node]
        return first if first.stands.foreign else None

    def _take(self, differs: set[ServiceName]) -> None:
        writes = self.target.seen({name: node.stands for name, node in self._nodes.items()})
        for name, node in self._nodes.items():
            if node.writes != (name in writes):
                node.writes = name in writes
                differs |= owned.differing(owned.NOTHING, node.owned)
        homes = [node.owned for node in self._nodes.values() if node.writes]
        beyond = [node.owned for node in self._nodes.values() if not node.writes and not self._is_former(node.name)]
        former = [node.owned for node in self._nodes.values() if not node.writes and self._is_former(node.name)]
        made = {service: owned.holding(homes, beyond, former, service) for service in differs}
        self.holdings = self.holdings.with_(
            {service: one for service, one in made.items() if one is None or one != self.holdings.get(service)}
        )

    def _next(self, listed: Collection[str]) -> Iterator[str]:
        """Of each owner the nodes up to the last one that is listed, and the next, as they are called."""
        for first in self._firsts:
            last = max((number for name in listed if (number := spread.number(first, name)) is not None), default=-1)
            yield from (spread.named(first, number) for number in range(last + 2))

    def _is_former(self, name: str) -> bool:
        return spread.number(self.target.node, name) is None

    def _order(self, name: str) -> tuple[int, int] | None:
        """Ours before those of owners before us, by number; None where it is called otherwise."""
        for rank, first in enumerate(self._firsts):
            if (number := spread.number(first, name)) is not None:
                return rank, number
        return None


class Written:
    """`held` is what was seen; a target of which something cannot be read is not in it, and not written.

    `others` are the claims of bridges beside us, where nothing is written that would have them.
    """

    def __init__(self, api: Api, clock: Clock, targets: Sequence[NodeTarget], ours: Collection[str] = ()) -> None:
        """`ours` are the owners whose claims are our own."""
        self.targets = {one.target: one for one in targets}
        self.held: Table[Target, Held] = Table()
        self.others: tuple[tuple[str, Claim], ...] = ()
        self._api = api
        self._clock = clock
        self._nodes = {one.target: Nodes(api, one) for one in targets}
        self._ours = frozenset(ours)
        self._claims = Watch("claims", partial(api.keys, claims.ROOT), f'key_prefix "{claims.ROOT}"')
        self._problems: dict[Target, Problem] = {}
        self._terms: dict[Target, int] = {}
        self._bells: list[Any] = []

    @property
    def watches(self) -> list[Watch]:
        """All that is to be followed."""
        return [self._claims, *(watch for them in self._nodes.values() for watch in them.watches)]

    async def claim(self, target: Target, claim: Claim) -> None:
        """See `bridge.adapter.Sink`. What somebody wrote right before he was succeeded is seen before anything else."""
        one = self.targets[target]
        await one.claim(claim)
        if claim.owner == one.mark.owner and claim.term != self._terms.get(target):
            await self._read(self._nodes[target])
            self._terms[target] = claim.term

    async def read(self) -> None:
        """Read all of it now; Unreached when there is no answer at all, while others' failures are their own."""
        await self._ask(self._claims)
        for nodes in self._nodes.values():
            await self._read(nodes)

    def update(self) -> None:
        """Look again at what changed."""
        for nodes in self._nodes.values():
            nodes.find()
        found = {target: self._held(nodes) for target, nodes in self._nodes.items()}
        if any(self.held.get(target) is not held for target, held in found.items()):
            self.held = self.held.with_(found)
        if not self.targets:
            self.others = claims.of_others(claims.standing(self._claims.value), self._ours)

    def rung(self) -> bool:
        """Whether something was let go for ours since this was asked last."""
        bells = [claims.bell(self._claims.value, one.mark.owner) for one in self.targets.values()]
        before, self._bells = self._bells, bells
        return self._bells != before

    def problems(self) -> Iterator[Problem]:
        """Why a target is not written, and where none is why nobody knows which bridges are no more."""
        yield from (self._problems[target] for target in sorted(self._problems))
        if not self.targets and (failure := self._claims.failure) is not None:
            what = f"{self._bare(failure)}; what a bridge left that is no more cannot be told from what stands"
            yield Problem("claims", self._api.where, what)

    async def _read(self, nodes: Nodes) -> None:
        sent = nodes.target.sent()
        for watch in nodes.lists:
            await self._ask(watch)
        nodes.find()
        for watch in nodes.parts:
            await self._ask(watch)
        if nodes.readable:
            nodes.look()
            nodes.target.lost(sent)

    def _bare(self, failure: Failure) -> str:
        return str(failure.error).removeprefix(f"{self._api.where}: ")

    async def _ask(self, watch: Watch) -> None:
        try:
            await watch.read()
        except Unreached:
            raise
        except BridgeError as error:
            watch.failed(error, self._clock.now())

    def _held(self, nodes: Nodes) -> Held | None:
        one = nodes.target
        watches = [self._claims, *nodes.watches]
        failure = next((watch.failure for watch in watches if watch.failure is not None), None)
        self._problems.pop(one.target, None)
        if failure is not None:
            what = f"{self._bare(failure)}; nothing is written there"
            self._problems[one.target] = Problem("target", f"node {one.node}", what)
            return None
        before: Held | None = self.held.get(one.target)
        if not all(watch.known for watch in watches):
            return before  # of a node that was just made nothing is known yet
        if (node := nodes.look()) is not None:
            what = f"belongs to {node.stands.foreign} and is left as it is; name another one under `node`"
            self._problems[one.target] = Problem("target", f"node {node.name}", what)
            return None
        said = claims.of_node(claims.standing(self._claims.value), one.mark, one.node)
        if before is not None and before.holdings is nodes.holdings and before.claims == said:
            return before
        return Held(nodes.holdings, said)


def _names(said: object) -> Iterator[str]:
    """The nodes of a list."""
    for one in said if isinstance(said, list) else ():
        if isinstance(one, dict) and isinstance(one.get("Node"), str):
            yield one["Node"]
