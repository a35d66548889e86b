"""When a hold ends without proof: rules 2, 3, 5 and 6, over one service at one moment."""

from math import inf
from typing import NamedTuple

from bridge.guard.loss import ROUNDING, Count
from bridge.guard.probes import ROUNDS
from bridge.guard.values import Reason, Removals, Why
from bridge.model import Endpoint, EndpointId, Metadata

REPLACED = 1.0  # seconds without a loss
TICK = 1e-6  # seconds: what is due so soon is due; more than the rounding of a sum of times


class Held:
    """A missing endpoint."""

    __slots__ = ("at", "closed", "endpoint", "since")

    def __init__(self, endpoint: Endpoint, since: float, at: float) -> None:
        self.endpoint = endpoint  # with its mark
        self.since = since  # monotonic, as an operator sees it
        self.at = at  # in the guard's seconds, which stand while the source is lost or frozen
        self.closed = 0


class Track:
    """A service in which something is going on; all others have none."""

    __slots__ = ("count", "due", "held", "metadata", "present")

    def __init__(self, steady: int) -> None:
        self.count = Count(steady)
        self.present = steady  # endpoints seen
        self.held: dict[EndpointId, Held] = {}  # oldest first
        self.metadata: Metadata = ()  # as last seen
        self.due = inf  # when to look at it again, in the guard's seconds


class Light(NamedTuple):
    """What a service is judged by, besides itself; times in the guard's seconds."""

    flood: bool  # of the source
    small: bool  # the loss of the source
    made: float  # when the newest reading was made
    by: float  # now, and what is due with it


class Judgement(NamedTuple):
    """`ended`: the holds that end; `waiting`: one waits for a new reading only; `due`: when time changes anything."""

    ended: list[tuple[EndpointId, Reason]]
    waiting: bool
    due: float


def judge(track: Track, light: Light, rules: Removals) -> Judgement:
    """Judge the holds of one service, each at its age by the loss of all."""
    count = track.count
    limit = max(rules.small * count.base + ROUNDING, 1 if track.present else 0)
    replaced = REPLACED if track.present and not count.loss else inf
    small = rules.gather if light.small and not light.flood and count.loss <= limit else inf
    wait = patience(track, light, rules)
    ended: list[tuple[EndpointId, Reason]] = []
    waiting, due = False, inf
    for endpoint_id, held in track.held.items():
        replaced_at, small_at, confirm_at = max(count.zero, held.at) + replaced, held.at + small, held.at + wait
        if replaced_at <= light.by:
            ended.append((endpoint_id, "replaced"))
        elif small_at <= light.by:
            ended.append((endpoint_id, "small"))
        elif confirm_at <= light.made + TICK:
            ended.append((endpoint_id, "released" if light.flood else "confirmed"))
        else:
            waiting = waiting or confirm_at <= light.by
            later = (date for date in (confirm_at, held.at + rules.gather) if date > light.by)
            due = min(due, replaced_at, *later)
    return Judgement(ended, waiting, due)


def patience(track: Track, light: Light, rules: Removals) -> float:
    """Seconds after which a new reading ends a hold."""
    if light.flood:
        return rules.flood_release
    return max(rules.confirm, 2 * rules.session_timeout) if track.present else rules.last


def why(track: Track, held: Held, light: Light, rules: Removals) -> Why:
    """Why a hold goes on."""
    if light.flood:
        return "flood"
    if held.at + rules.gather > light.by:
        return "gathering"
    return "large" if track.present else "last"


def waits(rules: Removals) -> dict[Why, str]:
    """What would end a hold, in an operator's words."""
    proof = f"{ROUNDS} closed probes, " if rules.probe else ""
    later = max(rules.confirm, 2 * rules.session_timeout)
    return {
        "gathering": f"{rules.gather:g} s, to be judged with what else goes missing",
        "large": f"{proof}or a complete reading {later:g} s after it went missing",
        "last": f"{proof}or a complete reading {rules.last:g} s after it went missing: nobody of its service is left",
        "flood": f"{proof}the end of the flood, `holds accept`, or a reading {rules.flood_release:g} s after",
    }
