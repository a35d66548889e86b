"""What every observation must be, whatever the registry."""

import re
from itertools import pairwise

from bridge.adapter import Held, Observation, Problem, Target
from bridge.kit import address
from bridge.model import Endpoint, Service, ServiceName
from bridge.table import Table

_KIND = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)


def well_formed(view: Observation) -> None:
    """AssertionError says what is wrong with the observation."""
    assert isinstance(view, Observation), f"{view!r} is no Observation"
    assert isinstance(view.services, Table), "services are a Table, so that versions can share what they have in common"
    for name, service in view.services.items():
        _service(name, service)
    assert isinstance(view.read, int), "`read` is the number of a reading"
    assert isinstance(view.problems, tuple), "problems are a tuple"
    for problem in view.problems:
        told(problem)
    assert view.parts >= len(view.unread), "what is unread is a part"
    for unread in view.unread:
        assert unread.part, "what is unread has a name"
        assert unread.why, f"it is told why {unread.part} cannot be read"
    assert isinstance(view.held, Table), "`held` is a Table"
    for target, held in view.held.items():
        _held(target, held)


def told(problem: Problem) -> None:
    """AssertionError says what is wrong with a problem."""
    assert isinstance(problem, Problem), f"{problem!r} is no Problem"
    assert _KIND.fullmatch(problem.kind), f"{problem.kind!r} is not a short stable word for metrics"
    assert problem.where, "a problem says where"
    assert problem.what, "a problem says what is wrong"
    assert str(problem).isprintable(), f"{str(problem)!r} has line breaks or control characters: it goes to logs"
    assert len(str(problem)) <= 2_000, "a problem is a sentence, not the record itself"
    assert problem.count >= 1, "a problem counts at least itself"


def _service(name: ServiceName, service: Service) -> None:
    assert type(name) is ServiceName, f"{name!r} is no ServiceName"
    assert type(service) is Service, f"{service!r} is no Service"
    assert service.name == name, f"{service.name} stands under {name}"
    hash(service)  # every part of it is immutable
    _endpoints(str(name), service.endpoints)
    assert list(service.metadata) == sorted(service.metadata), f"{name}: metadata are sorted"


def _endpoints(where: str, endpoints: tuple[Endpoint, ...]) -> None:
    assert type(endpoints) is tuple, f"{where}: endpoints are a tuple"
    for endpoint in endpoints:
        assert type(endpoint) is Endpoint, f"{where}: {endpoint!r} is no Endpoint"
        assert type(endpoint.ports) is tuple, f"{where}: ports are a tuple"
        assert endpoint.ports, f"{where}: {endpoint.address} has no port"
        assert endpoint.address == address.host(endpoint.address), f"{where}: {endpoint.address} is not canonical"
        assert all(1 <= port.number <= 65_535 for port in endpoint.ports), f"{where}: {endpoint.id} has a wrong port"
        assert endpoint.weight >= 1, f"{where}: {endpoint.id} has a weight below 1"
        assert not endpoint.held, f"{where}: {endpoint.id} is held, which only the guard says"
        assert list(endpoint.metadata) == sorted(endpoint.metadata), f"{where}: metadata are sorted"
    for one, other in pairwise(endpoints):
        assert one.id < other.id, f"{where}: {one.id} and {other.id} are not in order, or the same"


def _held(target: Target, held: Held) -> None:
    assert isinstance(held, Held), f"{held!r} is not Held"
    assert isinstance(held.holdings, Table), f"{target}: holdings are a Table"
    seen: set[str] = set()
    for name, holding in held.holdings.items():
        where = f"{target} {name}"
        keys = [record.key for record in holding.records]
        assert keys == sorted(set(keys)), f"{where}: records are sorted by key, and no key stands twice"
        assert seen.isdisjoint(keys), f"{where}: a key of another service"
        seen.update(keys)
        for record in holding.records:
            assert record.service == name, f"{where}: {record.key} is of {record.service}"
            assert type(record.content) is bytes, f"{where}: {record.key}: content is bytes"
            assert record.revision is not None, f"{where}: {record.key} has no revision that a write could name"
        _endpoints(where, holding.endpoints)
        taken = [key for key, _ in holding.taken]
        assert set(taken).isdisjoint(keys), f"{where}: a key is ours or taken"
        assert all(who for _, who in holding.taken), f"{where}: it is told who has taken a key"
        hash(holding.facts)
    owners = [(claim.owner, claim.deployment) for claim in held.claims]
    assert owners == sorted(owners), f"{target}: claims are sorted by owner and deployment"
    assert all(claim.revision is not None for claim in held.claims), f"{target}: a claim that was seen has a revision"
