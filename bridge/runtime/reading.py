"""What is known of one source: the one output of its intake."""

from dataclasses import dataclass, field

from bridge.adapter import Observation, Problem
from bridge.checks import Counts, Opinions
from bridge.guard import Verdict
from bridge.model import Services, SourceName
from bridge.table import Table


@dataclass(frozen=True, slots=True)
class Reading:
    """One source at one moment.

    `observation` is the last whole view, resolved and screened, and `verdict` what the guard made of it; both are None
    until the source has synced. `since` is when that view came (or the reading began, without one), `lost` when the
    source was lost or None while it is not, both in monotonic seconds; `why` says why it is lost, and `denied` that it
    is credentials. `stand_in` is the snapshot that speaks for a source that has not synced, `age` the seconds that it
    was old when it was read. `problems` are all of the source: the adapter's, those of names, of the screen and
    of checks. `checks` is what is known of the endpoints that are checked from here (in `observation` too, where it is
    the worse), and `counts` how many are in which state.
    """

    source: SourceName
    since: float
    observation: Observation | None = None
    verdict: Verdict | None = None
    lost: float | None = None
    why: str = ""
    denied: bool = False
    stand_in: Services | None = None
    age: float | None = None
    problems: tuple[Problem, ...] = ()
    checks: Opinions = field(default_factory=Table)
    counts: Counts = field(default_factory=Counts)

    @property
    def services(self) -> Services | None:
        """What is believed of the source; None while it is waited for."""
        return self.verdict.services if self.verdict is not None else self.stand_in

    @property
    def seen(self) -> bool:
        """Whether all of the source is spoken for: every part of it was read once, or a snapshot stands in."""
        if self.observation is None:
            return self.stand_in is not None
        return not any(part.never for part in self.observation.unread)

    @property
    def state(self) -> str:
        """`waiting`, `stand-in`, `denied`, `lost` or `synced`."""
        if self.verdict is None:
            return "waiting" if self.stand_in is None else "stand-in"
        if self.lost is None:
            return "synced"
        return "denied" if self.denied else "lost"
