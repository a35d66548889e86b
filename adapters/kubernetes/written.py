"""What bridges write in one cluster: what stands there of ours, target by target, and who claims to write."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain

from adapters.kubernetes.claims import KubeClaim, of_others
from adapters.kubernetes.mirror import Broken, Changes
from adapters.kubernetes.objects import OWNER, TARGET, Key, KubeSlice
from adapters.kubernetes.owned import holding, strays
from adapters.kubernetes.seen import Seen
from adapters.kubernetes.target import KubeTarget
from bridge.adapter import Claim, Held, Holding, Problem, Target
from bridge.kit.mark import Mark
from bridge.kit.place import excerpt
from bridge.model import ServiceName
from bridge.table import Table, share


class Written:
    """`held`, `others` (the claims of bridges beside us) and `problems` are as of the last `update`."""

    def __init__(
        self, targets: Sequence[KubeTarget], seen: Seen, home: Callable[[], str], ours: Collection[str] = ()
    ) -> None:
        """`home` says in which namespace claims are kept where no other is configured; ConfigError when it cannot.

        `ours` are the owners whose claims are our own.
        """
        self.targets = {one.target: one for one in targets}
        self.held: Table[Target, Held] = Table()
        self.others: tuple[tuple[str, Claim], ...] = ()
        self._mark = targets[0].form.writing.mark if targets else None
        self._seen = seen
        self._home = home
        self._ours = frozenset(ours)
        self._claims: dict[Key, KubeClaim] = {}
        self._broken: dict[Key, str] = {}
        self._strays: dict[ServiceName, frozenset[str]] = {}

    def located(self) -> list[str]:
        """The namespaces in which our claims are kept; raises ConfigError, and reads a file the first time."""
        for one in self.targets.values():
            one.claim_namespace = one.claim_namespace or self._home()
        return sorted({one.claim_namespace for one in self.targets.values()})

    @property
    def problems(self) -> Iterator[Problem]:
        """Claims that nobody can understand, and slices of ours of which no export knows."""
        for key, why in sorted(self._broken.items()):
            yield Problem("claim", f"lease {key}", why)
        for target, count in sorted(Counter(chain.from_iterable(self._strays.values())).items()):
            delete = f"kubectl delete endpointslices -A -l {_selector(self._mark, target)}"
            what = f"no export is called so, and slices of ours of {count} services are; call one so, or {delete}"
            yield Problem("stray", f"export {excerpt(target)}", what)

    def take_claims(self, changes: Changes[KubeClaim]) -> None:
        for key, (_, new) in changes.items():
            self._broken.pop(key, None)
            self._claims.pop(key, None)
            if isinstance(new, Broken):
                self._broken[key] = new.why
            elif new is not None:
                self._claims[key] = new

    def update(self, names: Collection[ServiceName], known: Collection[str]) -> Iterator[None]:
        """See anew what is ours of these, a step a service, so that whoever iterates may pause between.

        `known` are the claim namespaces that were read: a target whose claims nobody knows is not to be written.
        """
        found: dict[Target, dict[ServiceName, Holding | None]] = {target: {} for target in self.targets}
        for name in names:
            service, slices = self._seen.service(name), self._seen.at_home(name)
            for target, one in self.targets.items():
                found[target][name] = holding(name, service, slices, one.form.writing)
            self._stray(name, slices)
            yield
        for target, one in self.targets.items():
            one.see(self._claims.values(), found[target])
        now = {target: one.held for target, one in self.targets.items() if one.claim_namespace in known}
        self.held = share(self.held, now)
        self.others = of_others(self._claims.values(), self._ours, self.targets)

    def _stray(self, name: ServiceName, slices: Collection[KubeSlice]) -> None:
        found = strays(slices, self._mark, self.targets) if self._mark is not None else None
        if found:
            self._strays[name] = found
        else:
            self._strays.pop(name, None)


def _selector(mark: Mark | None, target: str) -> str:
    """What selects the slices of a target of ours, by label."""
    owner = f"{OWNER}={mark.owner}" if mark is not None else OWNER
    return f"{owner},{TARGET}={target}" if target else f"{owner},!{TARGET}"
