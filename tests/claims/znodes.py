"""Znodes as others and we write them, for tests of the dialects."""

import json
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from adapters.zookeeper import members
from adapters.zookeeper.dialects.dialect import Child, Dialect, Node, Said, Spelled, Written
from adapters.zookeeper.fitting import fit, stem_of
from adapters.zookeeper.members import Scope, Told
from bridge.adapter import Problem, Record
from bridge.kit.mark import Mark
from bridge.model import NOWHERE, Endpoint, Service, ServiceName

WEB = ServiceName("shop", "web")
SPELLED = Spelled("web", "/services/web")
SCOPE = Scope(WEB, "/services/web", NOWHERE, "")
OURS = Mark("prod-eu1", "one")
THEIRS = Mark("prod-us1", "one")

_born = count(1)


def child(name: str, data: bytes | str | dict[str, Any] = b"", branch: str = "", children: int = 0) -> Child:
    """A znode younger than all before it."""
    if isinstance(data, dict):
        data = json.dumps(data)
    raw = data.encode() if isinstance(data, str) else data
    return Child(branch, name, raw, created=next(_born), children=children)


def tell(dialect: Dialect, *children: Child, mark: Mark | None = None, scope: Scope = SCOPE) -> Told:
    """What they say, read for the first time."""
    return members.tell(dialect, members.take(dialect, children, {}), scope, mark)


def said(dialect: Dialect, *children: Child) -> list[Endpoint]:
    """The endpoints that they say; AssertionError when there is a problem with one."""
    told = tell(dialect, *children)
    assert not told.problems, told.problems
    return list(members.service(WEB, [told])[0].endpoints)


def refused(dialect: Dialect, *children: Child) -> str:
    """The only problem with them; AssertionError when they say an endpoint."""
    told = tell(dialect, *children)
    assert not told.others, told.others
    (problem,) = told.problems
    shows(problem)
    return problem.what


def shows(problem: Problem) -> None:
    assert str(problem).isprintable()
    assert len(str(problem)) < 1_000


def fitted(dialect: Written, *endpoints: Endpoint) -> tuple[Sequence[Record], Sequence[Problem]]:
    """What is written where nothing of ours stands."""
    return fit(dialect, SPELLED, Service.of(WEB, endpoints), lambda record: _node(dialect, record).called())


def made(dialect: Written, records: Iterable[Record], owner: str = OURS.owner) -> list[Child]:
    """The znodes of these records, as a server keeps them."""
    them = []
    for record in records:
        node = _node(dialect, record, owner)
        name = f"{node.name}{next(_born):010d}" if node.sequential else node.called()
        them.append(child(name, node.data, node.branch))
    return them


def _node(dialect: Written, record: Record, owner: str = OURS.owner) -> Node:
    return dialect.node(Said(stem_of(record.key), record.content), owner)


def data_of(dialect: Written, endpoint: Endpoint, owner: str = OURS.owner) -> Any:
    """The JSON of the one znode that says an endpoint."""
    (one,) = made(dialect, fitted(dialect, endpoint)[0], owner)
    return json.loads(one.data)


def poisons_nobody(dialect: Dialect, good: Sequence[Child], bad: Sequence[Child]) -> None:
    """Each of the bad ones alone, and all of them at once, cost one problem each and none of the good ones."""
    whole = said(dialect, *good)
    assert len(whole) == len(good)
    for each in ([one] for one in bad):
        _costs(dialect, whole, good, each)
    _costs(dialect, whole, good, bad)


def _costs(dialect: Dialect, whole: list[Endpoint], good: Sequence[Child], bad: Sequence[Child]) -> None:
    told = tell(dialect, *bad[::2], *good, *bad[1::2])
    assert list(members.service(WEB, [told])[0].endpoints) == whole, bad
    assert len(told.problems) == len(bad), bad
    for problem in told.problems:
        shows(problem)
        assert problem.kind == "record"
        assert problem.service == WEB
        assert problem.where.startswith(f"{SCOPE.path}/")
