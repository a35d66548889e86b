"""Never do two lead by one Lease, whatever is late, lost, paused, deleted or edited by hand."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.kit.candidate import Candidate, Standing, Timing, Write

TIMING = Timing(lease=15.0, renew=10.0, retry=2.0)
THREE = 3


@dataclass
class Server:
    """One Lease, compared and set; `revision` is that of the object, which a deletion ends too."""

    standing: Standing | None = None
    revision: int = 0

    def write(self, write: Write, replaces: int | None) -> Standing | None:
        """The Lease as it is then, None for a conflict."""
        if replaces != (self.revision if self.standing else None):
            return None
        return self.put(write.holder, write.seconds, write.transitions)

    def put(self, holder: str, seconds: float, transitions: int) -> Standing:
        self.revision += 1
        self.standing = Standing(holder, seconds, transitions, self.revision)
        return self.standing


@dataclass
class Replica:
    """A candidate with a clock of its own, and what it has on the way."""

    name: str
    ahead: float  # of its clock
    candidate: Candidate = field(init=False)
    known: int | None = None  # the revision of what it saw last
    asked: tuple[Write | None, int | None, float] | None = None  # what, what it replaces, when
    answer: tuple[Standing | None, int | None, bool] | None = None  # the Lease, its revision, made or conflict

    def __post_init__(self) -> None:
        self.candidate = Candidate(self.name, TIMING)

    def ask(self, now: float) -> None:
        """Send the next request, which may be long on its way."""
        self.asked, self.answer = (self.candidate.next(now + self.ahead), self.known, now + self.ahead), None

    def arrive(self, server: Server) -> None:
        """The request comes to the server, however late."""
        if self.asked is None or self.answer is not None:
            return
        write, replaces, _ = self.asked
        made = write is None or server.write(write, replaces) is not None
        self.answer = server.standing, server.revision if server.standing else None, made

    def hear(self, now: float) -> None:
        if self.asked is None or self.answer is None:
            return
        (write, _, sent), (standing, revision, made) = self.asked, self.answer
        self.asked = self.answer = None
        self.known = revision
        if write is not None and made:
            assert standing is not None
            self.candidate.wrote(standing, sent, now + self.ahead)
        else:
            self.candidate.see(standing, now + self.ahead)

    def leads(self, now: float) -> bool:
        term = self.candidate.term
        return term is not None and now + self.ahead < term[1]


TURNS = (*["all"] * 10, *["ask", "arrive", "hear"] * 3, "lost", "give back", "deleted", "emptied", "taken")
PASSES = (*[0.0] * 4, 0.5, 1.0, 2.0, 2.0, 4.0, 9.0, 15.0, 60.0)
STEPS = st.lists(
    st.tuples(st.integers(0, THREE - 1), st.sampled_from(TURNS), st.sampled_from(PASSES)), min_size=10, max_size=60
)
CLOCKS = st.lists(st.floats(-1e6, 1e6), min_size=THREE, max_size=THREE)


def step(server: Server, one: Replica, what: str, now: float) -> None:
    standing = server.standing
    match what:
        case "ask":
            one.ask(now)
        case "arrive":
            one.arrive(server)
        case "hear":
            one.hear(now)
        case "all":
            one.ask(now)
            one.arrive(server)
            one.hear(now)
        case "lost":  # the answer, or the request
            one.asked = None
        case "give back":
            one.candidate.lose(now + one.ahead)
            write = one.candidate.release()
            if write is not None:
                server.write(write, one.known)
        case "deleted":
            server.standing = None
        case "emptied" if standing is not None:
            server.put("", standing.seconds, standing.transitions)
        case "taken":
            server.put("somebody", 15.0, 0)


def elected(clocks: list[float]) -> tuple[Server, float, list[Replica]]:
    """Replicas of which the first one leads, and the others have seen it."""
    server, replicas = Server(), [Replica(f"r{number}", ahead) for number, ahead in enumerate(clocks)]
    for now in (0.0, 0.0, 15.0):
        replicas[0].ask(now)
        replicas[0].arrive(server)
        replicas[0].hear(now)
    for one in replicas[1:]:
        step(server, one, "all", 15.0)
    assert [one.leads(15.0) for one in replicas] == [True, False, False]
    return server, 15.0, replicas


@pytest.mark.promise("law-6")
@settings(max_examples=1_500, deadline=None)
@given(STEPS, CLOCKS)
def test_whatever_the_order_at_most_one_leads(steps: list[tuple[int, str, float]], clocks: list[float]) -> None:
    server, now, replicas = elected(clocks)
    for who, what, passes in steps:
        now += passes
        step(server, replicas[who], what, now)
        assert len([one.name for one in replicas if one.leads(now)]) <= 1


@pytest.mark.promise("law-6")
@settings(max_examples=300, deadline=None)
@given(STEPS, CLOCKS)
def test_whatever_was_before_one_comes_to_lead_and_stays(
    steps: list[tuple[int, str, float]], clocks: list[float]
) -> None:
    server, now, replicas = elected(clocks)
    for who, what, passes in steps:
        now += passes
        step(server, replicas[who], what, now)
    numbers = set()
    for turn in range(60):
        now += 1.0
        for one in replicas:
            step(server, one, "all", now)
        if turn >= 40:
            leaders = [one for one in replicas if one.leads(now)]
            assert len(leaders) == 1
            numbers.add((leaders[0].name, leaders[0].candidate.term and leaders[0].candidate.term[0]))
    assert len(numbers) == 1
