"""What an adapter says of ours is looked at before anything that is written rests on it."""

from typing import Any

import pytest

from bridge.adapter import Claim, Held, Holding, Target
from bridge.ours import NOTHING, sound
from bridge.table import Table
from tests.builders import endpoint, held, holdings, hosts, name, record, service

OUT, MORE = Target("out"), Target("more")
WEB = service("shop/web", *hosts(2))
ENDS = WEB.endpoints
RECORD = record("a", "shop/web")
B = record("b", "shop/web")


def test_what_can_be_passes_as_it_is() -> None:
    said = Table({OUT: Held(holdings(WEB), (Claim("prod", "one", 1, 0.0),)), MORE: Held()})
    found = sound(said, NOTHING)
    assert (found.held, found.problems) == (said, ())
    assert found.held is said


@pytest.mark.promise("law-9")
@pytest.mark.parametrize(
    ("garbage", "why"),
    [
        ("garbage", "no attribute"),
        (None, "no attribute"),
        (Holding(("x",), ENDS), "'x' is no record"),  # type: ignore[arg-type]
        (Holding((record("a", "shop/api"),), ENDS), "a is of shop/api"),
        (Holding((B, RECORD), ENDS), "not in the order of their keys"),
        (Holding((RECORD, RECORD), ENDS), "one stands twice"),
        (Holding((RECORD,), ENDS[::-1]), "not in the order of their ids"),
        (Holding((RECORD,), (ENDS[0], ENDS[0])), "one stands twice"),
        (Holding((RECORD,), (endpoint("10.0.0.1:80", held=True),)), "only the guard"),
        (Holding((RECORD,), ("10.0.0.1",)), "is no endpoint"),  # type: ignore[arg-type]
        (Holding((), ENDS), "no record that says them"),
        (Holding((RECORD,), (), ((RECORD.key, "other"),)), "ours and somebody else's"),
        (Holding(None), "TypeError"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_costs_its_target_one_problem(garbage: Any, why: str) -> None:
    good = holdings(service("shop/api", *hosts(2)))
    said = Table({OUT: Held(good.with_({WEB.name: garbage}) if garbage is not None else Table({WEB.name: None}))})  # type: ignore[dict-item]
    said = said.with_({MORE: Held(good)})
    found = sound(said, NOTHING)
    if garbage is None:  # nothing is said of it
        assert found.problems == ()
        return
    assert list(found.held) == [MORE]
    (problem,) = found.problems
    assert problem.where == "out"
    assert "shop/web" in problem.what
    assert why in problem.what
    again = sound(said, found)
    assert again.problems == found.problems  # also where nothing changed
    mended = sound(Table({OUT: Held(holdings(WEB)), MORE: Held(good)}), again)
    assert (set(mended.held), mended.problems) == ({OUT, MORE}, ())


@pytest.mark.parametrize("garbage", ["x", Held("x"), Held(Table(), ("x",)), Held({name("a/b"): held(WEB)})])  # type: ignore[arg-type]
def test_a_target_that_is_none_costs_itself(garbage: Any) -> None:
    found = sound(Table({OUT: garbage, MORE: Held()}), NOTHING)
    assert (list(found.held), [one.where for one in found.problems]) == ([MORE], ["out"])
