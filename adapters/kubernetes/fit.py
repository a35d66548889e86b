"""A service as EndpointSlices beside its Service, and as that Service where the bridge is to make it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import NamedTuple

from adapters.kubernetes import services, slices
from adapters.kubernetes.objects import BESIDE, Key
from adapters.kubernetes.owned import FAMILIES, Facts, Writing
from adapters.kubernetes.packing import Pack, pack
from adapters.kubernetes.rows import Group, Lack, Said, Terms, UnsaidError, say
from adapters.kubernetes.services import Made
from adapters.kubernetes.slices import Line, Slice
from bridge.adapter import Holding, Problem, Record, RecordKey
from bridge.kit import names
from bridge.kit.names import Namespaces
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Service, ServiceName

Fitted = tuple[Sequence[Record], Sequence[Problem]]


@dataclass(frozen=True, slots=True)
class Form:
    """How a target is written: `size` endpoints a slice, and whether Services are made, and how."""

    writing: Writing
    namespaces: Namespaces
    create: bool
    headless: bool
    opt_in: bool
    size: int


class _Standing(NamedTuple):
    """The slices of ours that are there, in the order in which they are filled."""

    packs: dict[RecordKey, Pack[Group]]
    families: dict[RecordKey, str]


def fit(service: Service, holding: Holding, form: Form) -> Fitted:
    """See `bridge.adapter.Sink`.

    What stands there is left as it is where nobody can say what should stand there: while there is no Service, which
    may be away for a moment, and whose end takes its slices along.
    """
    name, facts = service.name, holding.facts
    where = f"service {name}" if str(name).isprintable() else f"service {excerpt(str(name))}"

    def stay() -> list[Record]:
        return [replace(record, revision=None) for record in holding.records]

    def left(kind: str, what: str, records: Sequence[Record] = ()) -> Fitted:
        return records, (Problem(kind, where, what, name),)

    try:
        for part in name:
            names.label(part)
    except ValueError as error:
        return left("name", f"{error}; it is left out")
    if not service.endpoints:
        return stay(), ()
    if not form.namespaces.admit(name.namespace):
        what = f"namespace {name.namespace} is none of `import.namespaces`, and what is written has to be read; name it"
        return left("namespace", what, stay())
    if facts is None:
        if not form.create:
            return left(
                "missing", "there is no such Service; create one without a selector, or `create_services: true`", stay()
            )
        made = services.ports(service.endpoints, ())
        problems = [Problem("port", where, lack, name) for lack in made.lacks]
        return [*_made(name, Made(form.headless, made.ports)), *stay()], problems
    assert isinstance(facts, Facts)
    if facts.asked is False or (form.opt_in and not facts.asked and not facts.ours):
        return (), ()
    if facts.terminating:
        return left("missing", "the Service is being deleted; what is there stays until it is gone", stay())
    if facts.elsewhere:
        return left("service", "the Service is of type ExternalName, a name for another host; it has no endpoints")
    if facts.selects and not facts.beside:
        what = (
            f'the Service has a selector, so that its endpoints are its pods; remove it, or annotate {BESIDE}: "true"'
        )
        return left("selector", what)
    return _slices(service, holding, facts, form, where)


def _made(name: ServiceName, made: Made) -> list[Record]:
    """The record of a Service that is made, none of one without ports: the API refuses those."""
    return [Record(services.record_key(name), name, services.encode(made))] if made.ports else []


def _slices(service: Service, holding: Holding, facts: Facts, form: Form, where: str) -> Fitted:
    name = service.name
    ports, records, lacks = facts.ports, [], []
    if facts.ours:
        made = services.ports(service.endpoints, facts.ports)
        ports = made.ports or facts.ports
        lacks = [(Lack("port", lack), "") for lack in made.lacks]
        if form.headless != facts.headless and form.create:
            is_ = "headless" if facts.headless else "has a cluster IP"
            lacks.append(
                (Lack("service", f"the Service {is_}, which cannot be changed; delete it to have it made anew"), "")
            )
        records += _made(name, Made(facts.headless, ports))
    hints = facts.selects or facts.topology
    terms = Terms(
        f"the Service {name}",
        ports,
        facts.families,
        hints,
        facts.selects and facts.topology,
        Terms.budget_of(form.size),
    )
    groups: dict[Group, dict[str, Line]] = {}
    for endpoint in service.endpoints:
        lacks += _said(endpoint, terms, groups)
    standing = _standing(holding.records)
    for family in FAMILIES:
        wanted = {group: groups[group] for group in sorted(groups) if group.family == family}
        there = {key: pack_ for key, pack_ in standing.packs.items() if standing.families[key] == family}
        fresh = _fresh(name, family, form, standing)
        for key, (group, members) in sorted(
            pack(wanted, there, form.size, fresh).items(), key=lambda one: _order(one[0])
        ):
            lines = [groups[group][member] for member in members]
            said = Slice.of(
                name.name, facts.uid, headless=facts.headless, family=family, ports=group.ports, lines=lines
            )
            records.append(Record(key, name, slices.encode(said)))
    return records, _problems(name, where, lacks)


def _said(endpoint: Endpoint, terms: Terms, groups: dict[Group, dict[str, Line]]) -> Iterator[tuple[Lack, str]]:
    """Put the endpoint into its group, and tell what of it is left out."""
    who = str(endpoint.id)
    try:
        said: Said = say(endpoint, terms)
    except UnsaidError as error:
        yield error.lack, who
        return
    of = groups.setdefault(said.group, {})
    if said.line.address in of:
        yield Lack("duplicate", "stands there with the same ports already; the endpoint is left out"), who
        return
    of[said.line.address] = said.line
    for lack in said.lacks:
        yield lack, who


@lru_cache(maxsize=256)
def _standing(records: tuple[Record, ...]) -> _Standing:
    packs: dict[RecordKey, Pack[Group]] = {}
    families: dict[RecordKey, str] = {}
    for record in sorted(records, key=lambda record: _order(record.key)):
        if record.key.startswith(f"{slices.KIND}/"):
            said = slices.decode(record.content)
            packs[record.key] = Pack(Group(said.family, said.ports), tuple(line.address for line in said.lines))
            families[record.key] = said.family
    return _Standing(packs, families)


def _fresh(name: ServiceName, family: str, form: Form, standing: _Standing) -> Iterator[RecordKey]:
    """Keys of slices that do not stand there, by number."""
    writer = slices.writer(form.writing.mark.owner, form.writing.target, family)
    for number in count():
        key = slices.record_key(Key(name.namespace, str(slices.Name(name.name, writer, number))))
        if key not in standing.packs:
            yield key


def _order(key: RecordKey) -> tuple[int, RecordKey]:
    """Slices of one name by their number, whatever digits it has."""
    return len(key), key


def _problems(name: ServiceName, where: str, lacks: Sequence[tuple[Lack, str]]) -> list[Problem]:
    """One for all endpoints that lack the same."""
    alike: dict[Lack, list[str]] = {}
    for lack, who in lacks:
        alike.setdefault(lack, []).append(who)
    return [
        Problem(lack.kind, where, f"{who[0]}: {lack.what}" if who[0] else lack.what, name, len(who))
        for lack, who in alike.items()
    ]
