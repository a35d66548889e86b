"""Changes of a Consul that wait are made together, and each has an answer of its own."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.consul import transaction
from adapters.consul.gather import AT_ONCE, Gather
from adapters.consul.transaction import LARGEST, MOST, NoNodeError, Operation, Outcome, Refusal
from bridge.errors import BridgeError, Conflict, Denied, Rejected, Unavailable

STALE = "index is stale"


def change(name: str, *whys: str, blank: int = 0) -> list[Operation]:
    """Two operations of a change that fails for this, each for one of `whys`, "" for none; `blank` makes it large."""
    said = [*whys, "", ""][:2]
    return [{"Service": {"ID": name, "number": at, "why": why, "blank": " " * blank}} for at, why in enumerate(said)]


class Server:
    """Does a transaction whole or not at all, and names all that fail; `gate` is closed while it does not answer."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.done: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def __call__(self, operations: Sequence[bytes], where: str) -> Outcome:
        said = [one["Service"] for one in json.loads(transaction.body(operations))]
        names = list(dict.fromkeys(one["ID"] for one in said))
        self.sent.append(names)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if any(one["why"] == "malformed" for one in said):
            raise Rejected(f"{where}: is not taken by this Consul")
        refused = [Refusal(at, one["why"]) for at, one in enumerate(said) if one["why"]]
        if not refused:
            self.done += names
        return Outcome((), tuple(refused))


async def make(gather: Gather, changes: dict[str, list[Operation]]) -> dict[str, BaseException | None]:
    """Ask for all of them at once; what became of each."""
    results = await asyncio.gather(*(gather.make(of, name) for name, of in changes.items()), return_exceptions=True)
    return dict(zip(changes, results, strict=True))


async def test_what_waits_together_goes_together() -> None:
    server = Server()
    names = [f"c{number:03}" for number in range(100)]
    assert not any((await make(Gather("consul", server), {name: change(name) for name in names})).values())
    assert sorted(server.done) == names
    assert [len(them) for them in server.sent] == [31, 31, 31, 7]
    assert all(2 * len(them) + 1 <= MOST for them in server.sent), "with what fences them"


async def test_what_is_large_goes_into_several() -> None:
    server = Server()
    names = ["one", "two", "three"]
    await make(Gather("consul", server), {name: change(name, blank=LARGEST // 4) for name in names})
    assert server.sent == [["one"], ["two"], ["three"]]


@pytest.mark.promise("law-9")
async def test_who_is_at_fault_has_an_error_and_the_others_are_made() -> None:
    server = Server()
    whys = {"good": (), "stale": (STALE,), "late": ("", "Permission denied"), "bad": ("no name", STALE), "fine": ()}
    results = await make(Gather("consul", server), {name: change(name, *why) for name, why in whys.items()})
    assert {name: type(one) for name, one in results.items() if one} == {
        "stale": Conflict, "late": Denied, "bad": Rejected,
    }  # fmt: skip
    assert str(results["stale"]) == "consul: stale: 'index is stale'; it is observed again"
    assert server.sent == [list(whys), ["good", "fine"]]
    assert server.done == ["good", "fine"]


@pytest.mark.promise("law-9")
async def test_who_spoils_the_whole_is_found_by_halves() -> None:
    server = Server()
    results = await make(
        Gather("consul", server), {f"c{at}": change(f"c{at}", "malformed" if at == 5 else "") for at in range(9)}
    )
    assert {name: str(one) for name, one in results.items() if one} == {"c5": "c5: is not taken by this Consul"}
    assert sorted(server.done) == [f"c{at}" for at in range(9) if at != 5]


@pytest.mark.parametrize(
    "error", [Unavailable("no answer"), Denied("no token"), Conflict("succeeded"), KeyError("bug")]
)
async def test_what_concerns_all_is_everybodys_and_nothing_is_tried_again(error: Exception) -> None:
    server = Server()
    server.error = error
    results = await make(Gather("consul", server), {name: change(name) for name in ("one", "two")})
    assert results == {"one": error, "two": error}
    assert server.sent == [["one", "two"]]


async def test_while_some_are_under_way_others_gather() -> None:
    server = Server()
    gather = Gather("consul", server)
    server.gate.clear()
    tasks = []
    for at in range(20):
        tasks.append(asyncio.create_task(gather.make(change(f"c{at:02}"), f"c{at:02}")))
        await turns()
    assert server.sent == [[f"c{at:02}"] for at in range(AT_ONCE)]
    server.gate.set()
    await asyncio.gather(*tasks)
    assert server.sent[AT_ONCE] == [f"c{at:02}" for at in range(AT_ONCE, 20)]


async def test_for_who_is_cancelled_nothing_is_sent_any_more() -> None:
    server = Server()
    gather = Gather("consul", server)
    server.gate.clear()
    tasks = {
        name: asyncio.create_task(gather.make(change(name, *why), name))
        for name, why in {"stale": (STALE,), "gone": (), "stays": ()}.items()
    }
    await turns()
    tasks["gone"].cancel()
    await turns()
    server.gate.set()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert server.sent == [["stale", "gone", "stays"], ["stays"]]


async def test_when_nobody_waits_for_it_any_more_a_transaction_is_given_up() -> None:
    server = Server()
    gather = Gather("consul", server)
    server.gate.clear()
    tasks = [asyncio.create_task(gather.make(change(name), name)) for name in ("one", "two")]
    await turns()
    for one in tasks:
        one.cancel()
    await asyncio.wait(tasks)
    await turns()
    server.gate.set()
    await gather.make(change("next"), "next")
    assert server.done == ["next"]


@given(st.lists(st.sampled_from(["", STALE, "malformed", "no name"]), max_size=40))
def test_each_change_has_the_answer_that_it_would_have_alone(whys: list[str]) -> None:
    changes = {f"c{at:02}": change(f"c{at:02}", why) for at, why in enumerate(whys)}

    async def alone() -> tuple[list[str], list[str]]:
        server = Server()
        results = [(await make(Gather("consul", server), {name: of}))[name] for name, of in changes.items()]
        return [repr(one) for one in results], server.done

    async def together() -> tuple[list[str], list[str]]:
        server = Server()
        return [repr(one) for one in (await make(Gather("consul", server), changes)).values()], sorted(server.done)

    assert asyncio.run(together()) == asyncio.run(alone())


async def turns() -> None:
    """Let everybody do what they can."""
    for _ in range(10):
        await asyncio.sleep(0)


REFUSED = {"Results": None, "Errors": [{"OpIndex": 1, "What": "b\n c"}, {"OpIndex": 0, "What": "a"}]}


def test_an_answer_names_all_that_stood_in_the_way() -> None:
    assert transaction.undone(REFUSED, "here", 2).refused == (Refusal(0, "a"), Refusal(1, "b c"))


@pytest.mark.parametrize(
    "said",
    [None, [], {}, {"Errors": None}, {"Errors": [7, {}, {"OpIndex": "0"}, {"OpIndex": -1}, {"OpIndex": 2}]}],
)
def test_a_refusal_without_a_reason_is_a_conflict(said: object) -> None:
    with pytest.raises(Conflict, match="nobody says why"):
        transaction.undone(said, "here", 2)


@pytest.mark.parametrize(
    ("why", "reaction"),
    [
        ('failed to set service "x" on node "n": index is stale', Conflict),
        ('key "registry-bridge/claims/us/n" doesn\'t exist', Conflict),
        ("Missing node registration", NoNodeError),
        ("current modify index: 7, expected 6", Conflict),
        ("Permission denied: token with AccessorID lacks permission 'service:write'", Denied),
        ("Must provide service name (Service.Service) when service ID is provided", Rejected),
    ],
)
def test_what_a_server_says_asks_for_a_reaction(why: str, reaction: type[BridgeError]) -> None:
    error = Refusal(3, why).error("consul: n: key")
    assert type(error) is reaction
    assert str(error).startswith("consul: n: key: ")
