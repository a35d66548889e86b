"""What holds of every guard, whatever happens: hypothesis plays registry, hosts, operator and clock.

Beside the guard stands its rule, written down once more without any cleverness: every number counted anew at every
step from the whole history. Both must end the same holds at the same moments.
"""

from collections import Counter
from dataclasses import replace
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.adapter import Observation
from bridge.guard import Accepted, Event, Frozen, Guard, Lost, Removals, Seen, Verdict
from bridge.guard.values import Key
from bridge.model import Endpoint, EndpointId, Health, Service, ServiceName, Services
from bridge.table import Table
from tests.builders import eid, endpoint, hosts, name
from tests.guards import BLIND, RULES, Watched

NAMES = [name(f"shop/{one}") for one in "abcd"]
HOSTS = {one: hosts(8, net=f"10.{index}") for index, one in enumerate(NAMES)}
RULE_MADE = {"replaced", "small", "confirmed", "released"}


class Plain:
    """The rule by full counts. Times are the guard's: they stand while the source is lost or frozen."""

    def __init__(self, rules: Removals, baseline: Services | None) -> None:
        self.rules = rules
        self.born: dict[Key, float] = dict.fromkeys(keys_of(baseline or Table()), -inf)
        self.missing: dict[Key, float] = {}
        self.history: dict[ServiceName, list[tuple[float, int]]] = {one: [] for one in NAMES}
        self.zero = dict.fromkeys(NAMES, -inf)
        self.loss = dict.fromkeys(NAMES, 0)
        self.seen: set[Key] = set()
        self.first = True
        self.read, self.made = 0, -inf

    def see(self, seen: set[Key], read: int, t: float) -> None:
        for key in seen:
            self.born.setdefault(key, -inf if self.first else t)
            self.missing.pop(key, None)
        for key in self.born.keys() - seen:
            self.missing.setdefault(key, t)
        self.seen, self.first = seen, False
        if read != self.read:
            self.read, self.made = read, t

    def gone(self, key: Key, t: float) -> None:
        self.note(t)
        del self.born[key]
        self.missing.pop(key, None)

    def note(self, t: float) -> None:
        settled = Counter(service for (service, _), born in self.born.items() if t - born >= self.rules.settled)
        for service, history in self.history.items():
            history.append((t, settled[service]))

    def base(self, service: ServiceName, t: float) -> int:
        history = self.history[service]
        ends = [at for at, _ in history[1:]] + [inf]
        return max((n for (_, n), end in zip(history, ends, strict=True) if end + self.rules.settled > t), default=0)

    def judge(self, t: float) -> dict[Key, str]:
        """End all that is to end; what and why."""
        rules, ended = self.rules, {}
        present = Counter(service for service, _ in self.seen)
        while True:
            self.note(t)
            base = {one: self.base(one, t) for one in NAMES}
            for one in NAMES:
                loss = max(0, base[one] - present[one])
                if self.loss[one] and not loss:
                    self.zero[one] = t
                self.loss[one] = loss
            known = {service for service, _ in self.born}
            total = sum(base[one] for one in known)
            lost = sum(self.loss[one] for one in known)
            based = sum(1 for one in known if base[one])
            big = sum(1 for one in known if 2 * self.loss[one] > base[one])
            self.flood = big >= max(2, 0.1 * based) or (not self.seen and bool(self.missing))
            ends = {}
            for key, since in self.missing.items():
                one, age = key[0], t - since
                limit = max(rules.small * base[one], 1 if present[one] else 0)
                small = self.loss[one] <= limit and lost <= max(rules.source * total, 5) and not self.flood
                wait = rules.confirm if present[one] else rules.last
                if self.flood:
                    wait = rules.flood_release
                if present[one] and not self.loss[one] and age >= 1 and t - self.zero[one] >= 1:
                    ends[key] = "replaced"
                elif small and age >= rules.gather:
                    ends[key] = "small"
                elif self.made - since >= wait:
                    ends[key] = "released" if self.flood else "confirmed"
            for key in ends:
                self.gone(key, t)
            ended |= ends
            if not ends:
                return ended


def keys_of(view: Services) -> set[Key]:
    return {(one, each.id) for one in view for each in view[one].endpoints}


def copied(view: Services) -> Services:
    """An equal view that shares nothing."""
    return Table(
        {
            ServiceName(*one): Service(ServiceName(*one), tuple(replace(each) for each in view[one].endpoints))
            for one in sorted(view, reverse=True)
        }
    )


class Doubted(Watched):
    """A watched guard whose every step is compared with the plain rule, and with a twin that is told the same."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.twin = Guard(self.rules, None if self.baseline is None else copied(self.baseline))
        self.plain = Plain(self.rules, self.baseline)
        self.lost = False
        self.frozen: float | None = None
        self.pending: Observation | None = None
        self.standing: float | None = None  # since when the guard's clock stands
        self.stood = 0.0
        self.shown = self.baseline or Table()  # the view that the verdict rests on
        self.known: dict[Key, Endpoint] = {}  # as last seen
        self.sick: dict[Key, float] = {}

    @property
    def t(self) -> float:
        return (self.now if self.standing is None else self.standing) - self.stood

    def step(self, event: Event) -> Verdict:
        before = self.last
        verdict = super().step(event)
        again: Event = event
        if isinstance(event, Seen):
            again = Seen(replace(event.observation, services=copied(event.observation.services)))
        assert self.twin.step(again, self.now) == verdict, "equal events give equal verdicts"
        self.follow(event, {(service, one): why for service, one, why in verdict.ended})
        assert verdict.frozen == (self.frozen is not None)
        assert {(one, hold.endpoint.id) for one in verdict.holds for hold in verdict.holds[one]} == set(
            self.plain.missing
        )
        self.check(before, verdict)
        return verdict

    def follow(self, event: Event, ended: dict[Key, str]) -> None:
        """Keep the clock and the plain rule in step; `ended` is what the guard says."""
        if self.frozen is not None and self.frozen <= self.now:
            self.thaw(ended)
        match event:
            case Seen(observation):
                self.lost = False
                if self.frozen is not None and self.shown:
                    self.pending = observation
                else:
                    self.resume()
                    self.take_in(observation, ended)
            case Frozen(until) if until is None:
                self.thaw(ended)
            case Frozen(until):
                self.frozen = until
            case Lost():
                self.lost = True
        for key in sorted(key for key, why in ended.items() if why in {"closed", "accepted"}):
            self.plain.gone(key, self.t)
        if self.lost or self.frozen is not None:
            self.standing = self.now if self.standing is None else self.standing
            assert not RULE_MADE & set(ended.values()), "no hold ages while the source is lost or frozen"
        else:
            assert self.plain.judge(self.t) == {key: why for key, why in ended.items() if why in RULE_MADE}
            assert self.plain.flood == self.verdict.flood

    def resume(self) -> None:
        if self.standing is not None and not self.lost:
            self.stood += self.now - self.standing
            self.standing = None

    def thaw(self, ended: dict[Key, str]) -> None:
        self.frozen = None
        self.resume()
        if self.pending is not None:
            self.take_in(self.pending, ended)
            self.pending = None

    def take_in(self, observation: Observation, ended: dict[Key, str]) -> None:
        self.shown = observation.services
        seen = {(one, each.id): each for one in self.shown for each in self.shown[one].endpoints}
        first = self.plain.first
        vanished = [key for key in self.plain.born if key not in seen and key not in self.plain.missing]
        returned = self.plain.missing.keys() & seen.keys()
        self.plain.see(set(seen), observation.read, self.t)
        for key in vanished:
            health = self.known[key].health if key in self.known else None
            if ended.get(key) == "draining":
                assert health is Health.DRAINING
                self.plain.gone(key, self.t)
            elif ended.get(key) == "unhealthy":
                assert health is Health.UNHEALTHY
                assert not first
                assert self.t - self.sick[key] >= 30
                self.plain.gone(key, self.t)
            else:
                assert health is not Health.DRAINING
        for key, each in seen.items():
            if each.health is not Health.UNHEALTHY:
                self.sick.pop(key, None)
            elif key not in self.sick or key in returned:
                self.sick[key] = self.t
        for key in vanished:
            self.sick.pop(key, None)
        self.known |= seen

    def check(self, before: Verdict | None, verdict: Verdict) -> None:
        served = {(one, each.id): each for one in verdict.services for each in verdict.services[one].endpoints}
        seen = {(one, each.id): each for one in self.shown for each in self.shown[one].endpoints}
        held = {key: each for key, each in served.items() if each.held}
        rows = {(one, hold.endpoint.id): hold for one, holds in verdict.holds.items() for hold in holds}
        assert {key: replace(each, health=None) for key, each in served.items() if not each.held} == {
            key: replace(each, health=None) for key, each in seen.items()
        }, "what is seen is served, with all its fields"
        if not verdict.health_flood:
            assert all(served[key] == each for key, each in seen.items())
        assert not held.keys() & seen.keys(), "held is served and not seen"
        assert held == {key: hold.endpoint for key, hold in rows.items()}
        assert served.keys() <= self.known.keys() | keys_of(self.baseline or Table()), "never seen, never served"
        assert all(one in self.shown or verdict.services[one].endpoints for one in verdict.services)
        assert verdict.wake_at is None or verdict.wake_at > self.now
        assert list(verdict.ended) == sorted(verdict.ended)
        was = {(one, hold.endpoint.id) for one, holds in before.holds.items() for hold in holds} if before else set()
        ended = {(one, each): why for one, each, why in verdict.ended}
        assert rows.keys() - was <= set(verdict.began) | ended.keys()
        assert was - rows.keys() <= ended.keys(), "every hold ends for a reason"
        for key, why in ended.items():
            assert (why == "returned") == (key in served), "what ended otherwise is gone, what returned is not"


class GuardMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.view: dict[ServiceName, dict[str, Health | None]] = {}
        self.dead: set[EndpointId] = set()
        self.ours = False
        self.stamp = 0.0
        self.world = Doubted()

    @initialize(
        blind=st.booleans(),
        sizes=st.tuples(*[st.integers(0, 8)] * 4),
        baseline=st.none() | st.tuples(*[st.integers(0, 8)] * 4),
    )
    def begin(self, blind: bool, sizes: tuple[int, ...], baseline: tuple[int, ...] | None) -> None:
        self.view = {one: dict.fromkeys(HOSTS[one][:n]) for one, n in zip(NAMES, sizes, strict=True) if n}
        known = None
        if baseline is not None:
            known = self.made({o: dict.fromkeys(HOSTS[o][:n]) for o, n in zip(NAMES, baseline, strict=True) if n})
        self.world = Doubted(BLIND if blind else RULES, baseline=known, answers=self.answer)
        self.look()

    @staticmethod
    def made(view: dict[ServiceName, dict[str, Health | None]]) -> Services:
        return Table(
            {
                one: Service.of(one, [endpoint(host, health=health) for host, health in them.items()])
                for one, them in view.items()
            }
        )

    def answer(self, one: EndpointId) -> bool | None:
        return None if self.ours else one not in self.dead

    def look(self, *, made: bool = True) -> None:
        self.world.see(*self.made(self.view).values(), made=made)

    @rule(one=st.sampled_from(NAMES), listed=st.integers(0, 255), made=st.booleans())
    def list_others(self, one: ServiceName, listed: int, made: bool) -> None:
        before = self.view.get(one, {})
        self.view[one] = {host: before.get(host) for i, host in enumerate(HOSTS[one]) if listed >> i & 1}
        self.look(made=made)

    @rule(gone=st.sets(st.sampled_from(NAMES), min_size=1))
    def lose_services(self, gone: set[ServiceName]) -> None:
        self.view = {one: them for one, them in self.view.items() if one not in gone}
        self.look()

    @rule(back=st.sets(st.sampled_from(NAMES), min_size=1))
    def restore_services(self, back: set[ServiceName]) -> None:
        self.view |= {one: dict.fromkeys(HOSTS[one]) for one in back}
        self.look()

    @rule(one=st.sampled_from(NAMES), turned=st.integers(0, 255), health=st.sampled_from([None, *Health]))
    def turn(self, one: ServiceName, turned: int, health: Health | None) -> None:
        them = self.view.get(one, {})
        self.view |= {one: {h: health if turned >> HOSTS[one].index(h) & 1 else them[h] for h in them}} if them else {}
        self.look()

    @rule(seconds=st.sampled_from([1, 1, 2, 3, 5, 30, 60, 61, 300, 899, 900, 1800]), reads=st.booleans())
    def wait(self, seconds: int, reads: bool) -> None:
        self.world.wait(seconds, reads=reads)

    @rule(one=st.sampled_from(NAMES), dead=st.booleans(), ours=st.booleans())
    def hosts_die_or_live(self, one: ServiceName, dead: bool, ours: bool) -> None:
        them = {eid(host) for host in HOSTS[one]}
        self.dead = self.dead | them if dead else self.dead - them
        self.ours = ours

    @rule()
    def lose(self) -> None:
        self.world.lose()

    @rule()
    def read_again(self) -> None:
        self.world.again()

    @rule(seconds=st.none() | st.sampled_from([1, 60, 3600]))
    def freeze(self, seconds: int | None) -> None:
        self.world.tell(Frozen(None if seconds is None else self.world.now + seconds))

    @precondition(lambda self: self.world.verdict.holds)
    @rule(data=st.data(), fresh=st.booleans(), health=st.booleans())
    def accept(self, data: st.DataObject, fresh: bool, health: bool) -> None:
        rows = sorted((one, hold.endpoint.id) for one, holds in self.world.verdict.holds.items() for hold in holds)
        self.stamp += fresh
        words = dict.fromkeys(data.draw(st.lists(st.sampled_from(rows), max_size=4)), self.stamp)
        verdict = self.world.tell(Accepted(words, self.stamp if health else None))
        if fresh:
            assert {(one, each) for one, each, why in verdict.ended if why == "accepted"} == set(words)

    @invariant()
    def probes_are_asked_for_only_while_something_is_held(self) -> None:
        if self.world.last is not None and not self.world.verdict.holds:
            assert self.world.verdict.probe == ()

    def teardown(self) -> None:
        """While complete readings go on, every hold ends."""
        if self.world.last is None:
            return
        self.world.freeze(None)
        self.world.again()
        self.world.wait(1810, reads=True)
        assert not self.world.verdict.holds


GuardMachine.TestCase.settings = settings(stateful_step_count=25)
test_every_guard_keeps_the_laws = GuardMachine.TestCase
