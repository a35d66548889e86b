"""How it stands with what is written to one target: the one output of its outlet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bridge.adapter import Problem, Target
from bridge.exports import Mode
from bridge.model import ServiceName, Services, SourceName
from bridge.plan import Plan, Reason, Withheld
from bridge.runtime.writer import Parked, Waits
from bridge.table import Table


class State(Enum):
    """What an outlet does, or why it does not."""

    WAITING = "waiting"  # the target was not read whole yet
    LOST = "lost"  # the registry cannot be read, so that nobody knows what is there
    FROZEN = "frozen"  # by an operator
    DRY_RUN = "dry-run"  # it plans, and writes nothing
    FOLLOWS = "follows"  # this replica does not lead
    WITHDRAWN = "withdrawn"  # the owner's tombstone stands there
    ANOTHER = "another"  # another deployment writes under our owner
    CLAIMS = "claims"  # we lead, and the claim is not there yet
    FAILING = "failing"  # the registry takes no writes; they are tried again
    WRITES = "writes"
    IN_STEP = "in step"  # nothing is left to do but what is withheld or parked


@dataclass(frozen=True, slots=True)
class Exported:
    """One target at one moment.

    `plans` are those that have something to say: changes, or what the naming withholds; `puts` and `removals` are how
    many changes there are in them, parked ones included. `wanted` is what the target should say, `retained` that with
    the endpoints that may not go yet, which `withheld` names and `counts` counts; `budget` is how many more may go at
    once. `unseen` are the sources of the export that were not read whole yet. `complete` says that the plan rests on a
    whole view of the target and of every source, and on the newest of each. `written` is when the last change was made,
    in seconds since the epoch; `made` how many of each kind this process made, and how many failed in which way.
    `same` are those of its sources that are the registry itself, by another name: what they know is there already.
    """

    registry: SourceName
    target: Target
    mode: Mode
    state: State = State.WAITING
    why: str = ""
    leading: bool = False
    complete: bool = False
    unseen: tuple[SourceName, ...] = ()
    wanted: Services = field(default_factory=Table)
    retained: Services = field(default_factory=Table)
    plans: Table[ServiceName, Plan] = field(default_factory=Table)
    puts: int = 0
    removals: int = 0
    withheld: Table[ServiceName, tuple[Withheld, ...]] = field(default_factory=Table)
    counts: Mapping[Reason, int] = field(default_factory=dict)
    budget: int = 0
    records: int = 0
    problems: Table[ServiceName, tuple[Problem, ...]] = field(default_factory=Table)
    parked: tuple[Parked, ...] = ()
    waits: tuple[Waits, ...] = ()
    written: float | None = None
    made: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    same: tuple[SourceName, ...] = ()
