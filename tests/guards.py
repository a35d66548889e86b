"""A guard with the rules of the documentation, and a world for it to look at."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from bridge.adapter import Held, Holding, Observation, Record, RecordKey, Target
from bridge.guard import Accepted, Elapsed, Event, Frozen, Guard, Lost, Probed, Removals, Seen, Verdict
from bridge.model import EndpointId, Health, Service, Services
from bridge.table import Table, share
from tests.builders import eid, endpoint, hosts, name, service, services

RULES = Removals(
    settled=900,
    gather=3,
    small=0.15,
    source=0.1,
    confirm=60,
    last=1800,
    flood_release=1800,
    probe=True,
    session_timeout=0,
)
BLIND = replace(RULES, probe=False)

S = "shop/a"
TEN = hosts(20)[10:]  # in order as text, too
OTHERS = hosts(20, net="10.7")[10:]
OTHER = service("shop/other", *OTHERS)


@dataclass
class Watched:
    """A guard, its clock, and what was told last; each word moves or asks it.

    `answers` says what a probe finds; while it is None, no round is ever done.
    """

    rules: Removals = RULES
    baseline: Services | None = None
    answers: Callable[[EndpointId], bool | None] | None = None
    now: float = 5000.0
    read: int = 0
    ended: list[tuple[str, str, str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.guard = Guard(self.rules, self.baseline)
        self.seen: Services = services()
        self.ours: Table[Target, Held] = Table()
        self.last: Verdict | None = None

    @property
    def verdict(self) -> Verdict:
        assert self.last is not None
        return self.last

    def tell(self, event: Event) -> Verdict:
        """One step, and the round of probes that it asks for."""
        verdict = self.step(event)
        while verdict.probe and self.answers is not None:
            verdict = self.step(Probed({one: self.answers(one) for one in verdict.probe}))
        return verdict

    def step(self, event: Event) -> Verdict:
        self.last = self.guard.step(event, self.now)
        self.ended += [(str(service), str(one), why, self.now) for service, one, why in self.last.ended]
        return self.last

    def see(self, *them: Service, made: bool = True) -> Verdict:
        """The source says just this, by a reading made anew unless `made` is False."""
        self.seen = share(self.seen, {one.name: one for one in them})
        self.read += made
        return self.tell(Seen(Observation(self.seen, self.read, held=self.ours)))

    def has_ours(self, *them: Service) -> None:
        """From the next look on just this stands there as ours."""
        holdings = {
            one.name: Holding((Record(RecordKey(str(one.name)), one.name, b""),), one.endpoints) for one in them
        }
        self.ours = Table({Target(""): Held(Table(holdings))})

    def again(self) -> Verdict:
        """The source says the same, by a reading made anew."""
        self.read += 1
        return self.tell(Seen(Observation(self.seen, self.read, held=self.ours)))

    def lose(self) -> Verdict:
        return self.tell(Lost())

    def freeze(self, until: float | None) -> Verdict:
        return self.tell(Frozen(until))

    def accept(self, words: Mapping[tuple[str, str], float], health: float | None = None) -> Verdict:
        return self.tell(Accepted({(name(s), eid(e)): stamp for (s, e), stamp in words.items()}, health))

    def wait(self, seconds: float, *, reads: bool = False) -> Verdict:
        """Let time pass, stepping when the guard wants it; with `reads`, a refresh is answered at once."""
        end = self.now + seconds
        while True:
            wake = self.verdict.wake_at
            if wake is None or wake > end:
                break
            assert wake > self.now, "the guard wants to be woken in the past"
            self.now = wake
            if self.tell(Elapsed()).refresh and reads:
                self.again()
        self.now = end
        if self.tell(Elapsed()).refresh and reads:
            self.again()
        return self.verdict

    def served(self, service: str) -> list[str]:
        """The endpoints that are believed, `!` behind those held."""
        found = self.verdict.services.get(name(service))
        return [] if found is None else [f"{one.id}{'!' * one.held}" for one in found.endpoints]

    def held(self, service: str) -> list[str]:
        return [str(one.endpoint.id) for one in self.verdict.holds.get(name(service), ())]

    def why(self, service: str) -> set[str]:
        return {one.why for one in self.verdict.holds.get(name(service), ())}

    def reasons(self, service: str) -> dict[str, str]:
        """What ended each endpoint's last hold."""
        return {one: why for of, one, why, _ in self.ended if of == service}


def watched(
    *them: Service,
    rules: Removals = RULES,
    answers: Callable[[EndpointId], bool | None] | None = None,
) -> Watched:
    """A guard that has seen these from the first."""
    guard = Watched(rules, answers=answers)
    guard.see(*them)
    return guard


def open_at(hosts: Iterable[str]) -> Callable[[EndpointId], bool]:
    """A probe that finds just these open."""
    alive = {eid(host) for host in hosts}
    return lambda one: one in alive


def coloured(health: Health | None, *them: str, of: str = S) -> Service:
    return service(of, *(endpoint(host, health=health) for host in them))
