"""What a registry has no words for any more leaves within the limit of all removals."""

from collections.abc import Sequence

import pytest

from bridge.adapter import Holding, Problem, Record
from bridge.losses import NONE, Losses, unsaid
from bridge.model import EndpointId, Service
from bridge.withhold import AGREEMENT
from tests.builders import eid, held, hosts, name, record, service

PER = 600.0
WEB = name("shop/web")
API = name("shop/api")


def some(number: int) -> frozenset[EndpointId]:
    return frozenset(map(eid, hosts(number)))


def test_what_fits_into_the_limit_goes_at_once_and_is_counted_once() -> None:
    losses = Losses(PER, never=False)
    assert losses.may(WEB, some(15), 20, 0)
    assert losses.may(WEB, some(15), 20, 1)  # not gone yet
    assert not losses.may(API, some(6), 20, 2)
    assert losses.may(WEB, NONE, 20, 3)
    assert not losses.may(API, some(6), 20, 4)
    assert (losses.kept(), losses.wake_at()) == ([API], PER)
    assert losses.may(API, some(6), 20, PER)
    assert (losses.kept(), losses.wake_at()) == ([], None)


def test_what_is_more_stays_whole_for_half_an_hour() -> None:
    losses = Losses(PER, never=False)
    assert not losses.may(WEB, some(100), 20, 0)
    assert losses.wake_at() == AGREEMENT
    assert not losses.may(WEB, some(100), 20, AGREEMENT - 1)
    assert losses.may(WEB, some(100), 20, AGREEMENT)


def test_what_can_be_said_again_meanwhile_begins_anew() -> None:
    losses = Losses(PER, never=False)
    assert not losses.may(WEB, some(100), 20, 0)
    assert losses.may(WEB, NONE, 20, 1000)
    assert not losses.may(WEB, some(100), 20, AGREEMENT)


def test_an_upsert_only_target_loses_nothing_so_either() -> None:
    losses = Losses(PER, never=True)
    assert not losses.may(WEB, some(1), 20, 0)
    assert not losses.may(WEB, some(1), 20, 2 * AGREEMENT)
    assert losses.wake_at() is None


@pytest.mark.parametrize("there", [True, False])
def test_what_stands_there_and_has_no_record_alone_is_unsaid(there: bool) -> None:
    def fit(one: Service, _: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        said = [each for each in one.endpoints if each.address != "10.0.0.2"]
        return ([record("all", str(one.name))] if said else []), ()

    web = service("shop/web", *hosts(3))
    assert unsaid(fit, web, held(web) if there else Holding()) == ({eid("10.0.0.2:80")} if there else NONE)
