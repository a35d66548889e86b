"""What hands registered without an agent, and what of it a record of ours can take the place of.

Pure: what `/v1/catalog/node/NAME` and `/v1/health/node/NAME` say in, values out. Consul's words for such a host are an
external node; a hand's is any that is no agent's, and that no program of a kind that we know keeps.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from adapters.consul.objects import OWNER, YIELDS, Instance, Status, instance_of, yielding
from adapters.consul.probes import definition
from adapters.consul.selection import OWN, SYNC_NODE, from_kubernetes
from adapters.consul.transaction import Operation
from adapters.consul.translate import EXTERNAL
from bridge.adapter import Record, Stranger
from bridge.errors import Conflict
from bridge.kit import address
from bridge.model import EndpointId, ServiceName, Services

MONITOR: Final = "consul-esm"
"""What the monitor of external nodes is called as a service."""

PING: Final = "externalNodeHealth"
"""Its check of a node."""

_NOMAD: Final = "nomad"


class Whose(NamedTuple):
    """What the configuration says of what is written and read.

    `service` is what a name of Consul comes to, None where it is not read; `spelled` what we call a service there,
    and `fitted` the records that say one that is wanted.
    """

    owner: str
    service: Callable[[str], ServiceName | None]
    spelled: Callable[[ServiceName], str]
    fitted: Callable[[ServiceName], Sequence[Record]]


class Found(NamedTuple):
    """Where an instance stands, and of which service it is."""

    node: str
    service: str


class _Entry(NamedTuple):
    """An instance as Consul says it, its node, and the checks of both."""

    node: Mapping[str, Any]
    service: Mapping[str, Any]
    checks: list[Mapping[str, Any]]


def strangers(said: Any, checks: Any, wanted: Services, whose: Whose) -> Iterator[Stranger]:
    """The instances on one node, in order of their ids; the node where all of them went for ours."""
    entry, services = _node(said), _services(said)
    every = _maps(checks)
    theirs = _keeper(entry, every)
    if emptied(said, checks, whose.owner):
        yield Stranger(str(entry["Node"]), "", "", "", yields=True)
    for its in sorted(services):
        yield _stranger(_Entry(entry, services[its], _of(every, its)), theirs, wanted, whose)


def marking(stranger: Stranger, owner: str) -> list[Operation]:
    """What lets it go: one more check, which passes; nothing that stands there is written anew.

    The second operation, which may be left out, marks its node likewise, by which `emptied` knows it again.
    """
    found = _found(stranger)
    said = {"Name": "registry-bridge", "Status": "passing", "Node": found.node}
    goes = {
        "CheckID": yielding(owner, stranger.name),
        "Notes": f"goes as soon as {owner} has its own in its place",
        "ServiceID": stranger.name,
        "ServiceName": found.service,
        "ModifyIndex": 0,
    }
    node = {"CheckID": yielding(owner), "Notes": f"goes as soon as nothing is left on it: {owner} has its own"}
    return [{"Check": {"Verb": "cas", "Check": said | goes}}, {"Check": {"Verb": "set", "Check": said | node}}]


def stands_for(one: Instance, record: Record) -> bool:
    """Whether what a hand registered is the instance that a record of ours says, under the same name."""
    said = json.loads(record.content)["Service"]
    try:
        where = address.host(one.address or one.node.address)
    except ValueError:
        return False
    return where == said["Address"] and any(port.number == said["Port"] for port in one.ports)


def leaving(said: Any, checks: Any, one: Instance, where: str) -> list[Operation]:
    """What takes it away, as it stands on its node now; nothing where it is gone. Conflict where it is another."""
    if not _node(said):
        raise Conflict(f"{where}: the node {one.node.name}, which has another in its place, cannot be read")
    service = _services(said).get(one.id)
    if service is None:
        return []
    now = instance_of({"Node": _node(said), "Service": service, "Checks": _of(_maps(checks), one.id)})
    if (now.address, now.ports, now.node.address) != (one.address, one.ports, one.node.address):
        raise Conflict(f"{where}: what stands on the node {one.node.name} in its place has changed")
    if now.yields != one.yields:
        raise Conflict(f"{where}: what stands on the node {one.node.name} in its place goes for nobody any more")
    gone = {"ID": one.id, "Service": service.get("Service"), "ModifyIndex": service.get("ModifyIndex")}
    return [{"Service": {"Verb": "delete-cas", "Node": one.node.name, "Service": gone}}]


def emptied(said: Any, checks: Any, owner: str) -> list[Operation]:
    """What takes away a node of which something went for ours, and on which nothing is left; else nothing."""
    node = _node(said)
    if not is_empty(said, checks) or not _is_marked(_maps(checks), owner):
        return []
    return [{"Node": {"Verb": "delete-cas", "Node": {"Node": node["Node"], "ModifyIndex": node.get("ModifyIndex")}}}]


def is_empty(said: Any, checks: Any) -> bool:
    """Whether nothing is left on a hand's node."""
    node = _node(said)
    return bool(node) and not _services(said) and not _keeper(node, _maps(checks))


def unmarking(said: Any, checks: Any, owner: str) -> list[Operation]:
    """What takes our mark off a node on which only such is left as stays."""
    ours = [one for one in _maps(checks) if str(one.get("CheckID")).startswith(yielding(owner))]
    if len(ours) != 1 or not _is_marked(ours, owner):
        return []
    return [{"Check": {"Verb": "delete", "Check": {"Node": _node(said).get("Node"), "CheckID": yielding(owner)}}}]


def _is_marked(checks: Iterable[Mapping[str, Any]], owner: str) -> bool:
    return any(one.get("CheckID") == yielding(owner) for one in checks)


def _keeper(node: Mapping[str, Any], checks: Iterable[Mapping[str, Any]]) -> str:
    """Which program keeps a node, "" where none does that we know."""
    meta = node.get("Meta")
    meta = meta if isinstance(meta, dict) else {}
    source = meta.get("external-source")
    if OWNER in meta:
        return f"on the node of the bridge {meta[OWNER]}"
    if any(one.get("CheckID") == "serfHealth" for one in checks):
        return "on an agent's node"
    if source == "kubernetes" or meta.get("synthetic-node") == "true" or node.get("Node") == SYNC_NODE:
        return "on a node of consul-k8s"
    if source == _NOMAD:
        return "on a node of Nomad"
    if node.get("ID") and meta.get(EXTERNAL) != "true":
        return f"on a node with an id, as agents have, and without `{EXTERNAL}`"
    return ""


def _stranger(entry: _Entry, theirs: str, wanted: Services, whose: Whose) -> Stranger:
    node, service, checks = entry
    place, its, called = str(node.get("Node")), str(service.get("ID")), str(service.get("Service"))
    found = Found(place, called)
    try:
        one = instance_of({"Node": node, "Service": service, "Checks": checks})
    except ValueError as error:
        return Stranger(place, its, called, "", f"cannot be understood: {error}", revision=found)
    where = one.address or one.node.address
    if one.ports:
        where = str(EndpointId(where, one.ports[0].number))
    stays = theirs or _keeper_of(one, called) or _unlike(one, service)
    record = None
    if not stays:
        record, stays = _counterpart(one, called, wanted, whose)
    loses = tuple(_losses(one, entry, record)) if record is not None else ()
    return Stranger(place, its, called, where, stays, loses, one.yields == whose.owner and not stays, found)


def _keeper_of(one: Instance, called: str) -> str:
    """Which program keeps an instance, "" where none does that we know."""
    meta = dict(one.meta)
    if one.stamp is not None:
        return f"the bridge {one.stamp.owner}'s"
    if from_kubernetes(one):
        return "consul-k8s's"
    if meta.get("external-source") == _NOMAD or one.id.startswith("_nomad-"):
        return "Nomad's"
    if called == MONITOR:
        return "consul-esm's own"
    if called == OWN:
        return "Consul's own"
    return ""


def _unlike(one: Instance, service: Mapping[str, Any]) -> str:
    """What it is that no record of ours says."""
    connect = service.get("Connect")
    if one.kind or (isinstance(connect, dict) and connect.get("Native")):
        return "of the mesh, which the bridge writes nothing for"
    if one.socket or len(one.ports) != 1 or service.get("Ports"):
        return "has not one port, which is all that the bridge writes"
    if one.tagged:
        return f"has further addresses ({', '.join(tag.tag for tag in one.tagged)}), which the bridge does not write"
    try:
        host = address.host(one.address or one.node.address)
    except ValueError as error:
        return str(error)
    if not address.is_literal(host):
        return "its address is a name, and the bridge writes addresses: it goes on to be read"
    return ""


def _counterpart(one: Instance, called: str, wanted: Services, whose: Whose) -> tuple[Record | None, str]:
    """The record that would take its place; or None, and why there is none."""
    name = whose.service(called)
    if name is None:
        return None, "its service is not read here; see `import:`"
    if name not in wanted:
        return None, f"no export says {name} here; put it into an inventory first (`registry-bridge convert`)"
    if whose.spelled(name) != called:
        return None, f"ours would be called {whose.spelled(name)}; give it its name under `import.names`"
    record = next((it for it in whose.fitted(name) if stands_for(one, it)), None)
    if record is None:
        return None, f"no export says it of {name} here; put it into an inventory first (`registry-bridge convert`)"
    return record, ""


def _losses(one: Instance, entry: _Entry, record: Record) -> Iterator[str]:
    """What ours has not of it, or says otherwise."""
    whole = json.loads(record.content)
    ours = whole["Service"]
    status = one.status.name.lower() if one.status is not Status.MAINTENANCE else "critical"
    if status != whole["Status"]:
        yield f"{status} becomes {whole['Status']}"
    if gone := sorted(set(one.tags).difference(ours["Tags"])):
        yield f"tags {', '.join(gone)}"
    if gone := sorted(key for key, value in one.meta if ours["Meta"].get(key) != value):
        yield f"meta {', '.join(gone)}"
    if (one.passing, one.warning) != (ours["Weights"]["Passing"], ours["Weights"]["Warning"]):
        yield f"weights {one.passing}/{one.warning}"
    if entry.service.get("Locality") or entry.node.get("Locality"):
        yield "the field Locality"
    for check in entry.checks:
        its = str(check.get("CheckID"))
        if not its.startswith(YIELDS):
            yield "the ping of consul-esm" if its == PING else f"check {check.get('Name') or its}{_probe(check)}"


def _probe(check: Mapping[str, Any]) -> str:
    """What consul-esm looks at for a check, in brackets; "" where somebody else says how it is."""
    kind, at, _ = definition(check)
    return f" ({kind} {at}, by consul-esm)" if kind else ""


def _found(stranger: Stranger) -> Found:
    if not isinstance(stranger.revision, Found):
        raise Conflict(f"node {stranger.place}: {stranger.name}: was never seen")
    return stranger.revision


def _maps(said: Any) -> list[Mapping[str, Any]]:
    return [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []


def _of(checks: Iterable[Mapping[str, Any]], its: str) -> list[Mapping[str, Any]]:
    """The checks of the node, and those of an instance."""
    return [one for one in checks if one.get("ServiceID") in ("", None, its)]


def _node(said: Any) -> dict[str, Any]:
    node = said.get("Node") if isinstance(said, dict) else None
    return node if isinstance(node, dict) else {}


def _services(said: Any) -> dict[str, dict[str, Any]]:
    found = said.get("Services") if isinstance(said, dict) else None
    return {its: one for its, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}
