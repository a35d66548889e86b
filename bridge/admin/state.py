"""What the admin side looks at: the running rooms, and what the process itself has to say."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.adapter import Problem
from bridge.admin.explain import Telling
from bridge.admin.shapes import About
from bridge.kit import Clock
from bridge.model import SourceName
from bridge.policies import Policies
from bridge.runtime.engine import Engine
from bridge.runtime.exported import Exported
from bridge.runtime.keep import Keeper
from bridge.runtime.reading import Reading
from bridge.xds.names import Names
from bridge.xds.resources import Resources
from bridge.xds.server import Server


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts of the process listen; "" for one that does not."""

    xds: str
    admin: str
    probes: str = ""


@dataclass(slots=True)
class State:
    """Read by the API and the metrics; `serving`, `stopping`, `policies` and `notes` are set by the app."""

    clock: Clock
    engine: Engine
    resources: Resources
    server: Server
    about: Mapping[SourceName, About]
    addresses: Addresses
    config: str
    version: str
    started: float
    names: Names
    policies: Policies
    keeper: Keeper
    serving: bool = False  # the xDS port is open
    stopping: bool = False
    notes: dict[str, tuple[Problem, ...]] = field(default_factory=dict)

    def readings(self) -> list[Reading]:
        """The newest reading of each source, in the order of the configuration."""
        return [cell.value for cell in self.engine.readings.values()]

    def exported(self) -> list[Exported]:
        """How it stands with each target that is written, in the order of the configuration."""
        return [cell.value for cell in self.engine.exported.values()]

    def own(self) -> list[Problem]:
        """What is wrong with the bridge itself: its folder, its configuration, what Envoys refuse."""
        refused = [
            Problem("resource", f"{type_url.rpartition('.')[2]} {name}", f"{why}; the last good one stays in force")
            for (type_url, name), why in sorted(self.resources.refused.items())
        ]
        noted = [one for key in sorted(self.notes) for one in self.notes[key]]
        return [*self.engine.problems(), *noted, *self._tls(), *refused, *self._parked()]

    def _parked(self) -> list[Problem]:
        """What clients refused, each content once, with the first error and how many streams said so."""
        if not self.server.sums().parked:
            return []
        found: dict[tuple[str, str, str], tuple[str, int]] = {}
        for stream in self.server.streams():
            for kind in stream.types:
                for name, version, why in kind.parked:
                    key = (kind.type_url.rpartition(".")[2], name, version)
                    first, count = found.get(key, (why, 0))
                    found[key] = first, count + 1
        return [
            Problem(
                "parked", f"{kind} {name}", f"refused by Envoy: {why}; not sent again until it changes", None, count
            )
            for (kind, name, _), (why, count) in sorted(found.items())
        ]

    def _tls(self) -> list[Problem]:
        credentials = self.server.credentials
        if credentials is None or not credentials.problem:
            return []
        return [Problem("tls", "xds.tls", f"{credentials.problem}; the certificates read before stay in use")]

    def frozen_until(self, source: SourceName) -> float | None:
        """Monotonic seconds at which an operator's freeze ends."""
        orders = self.engine.decisions.current.value.get(source)
        return None if orders is None else orders.frozen

    def telling(self) -> Telling:
        """How services are told now, and who asks."""
        return Telling(self.names, self.policies, self.resources.served, self.resources.asked)

    def ailing(self) -> list[str]:
        """The tasks that died and could not be kept running; liveness fails while there is one."""
        return sorted({*self.engine.ailing(), *self.keeper.hopeless()})

    def restarts(self) -> int:
        """How often a task died and was started again."""
        return self.engine.restarts() + self.keeper.restarts
