"""Inventories that are kept by command: one endpoint at a time is put into a native file, or taken out of it.

A file is ours to change when it begins with our line. Only the block of the service that is meant is written anew;
what else stands in the file, stays as it stands.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from adapters.static import emit, native
from adapters.static.file_sd import Labels
from adapters.static.inventory import Reader
from adapters.static.layouts.header import Header, find
from adapters.static.layouts.layout import Lines, cut
from adapters.static.layouts.native import NativeYaml
from adapters.static.lock import locked
from adapters.static.records import FlawError, Scope
from adapters.static.standing_file import Standing, failure, look, replace
from bridge.errors import BridgeError, ConfigError, Conflict
from bridge.kit import files
from bridge.kit.address import host, is_literal, refused
from bridge.kit.mark import Stamp
from bridge.model import NOWHERE, Service, ServiceName

MANAGED = "# Managed by registry-bridge: `register` and `deregister` change this file."

_HEADER = Header(Stamp("managed"), "native", json=False)  # of no bridge: what stands in the file is native
_SCOPE = Scope("", NOWHERE, "")
_LABELS = Labels("job", "zone", "weight")

Ports = Sequence[tuple[str, int]]


class _Managed(NativeYaml):
    """A native inventory under our line, without an end."""

    def head(self, stamp: Stamp, *, empty: bool) -> Lines:
        return (MANAGED, "services: []" if empty else "services:")

    @property
    def foot(self) -> Lines:
        return ()


class _Inventory(NamedTuple):
    """The file as it stands: its lines by service, and what they say."""

    standing: Standing
    blocks: Mapping[str, Sequence[str]]
    services: Mapping[ServiceName, Service]


def register(
    inventory: Path,
    name: str,
    address: str,
    ports: Ports,
    labels: Mapping[str, str],
    *,
    weight: int = 1,
    zone: str = "",
    adopt: bool = False,
) -> str:
    """Put an endpoint into the file; what was done, in a sentence.

    One that stands there under that address and primary port is replaced. `adopt` takes over a native inventory that
    was written by hand. ConfigError says what will not do, and the file is as it was.
    """
    service = _service(name, address, ports, metadata=dict(labels), weight=weight, zone=zone)
    (endpoint,) = service.endpoints
    if is_literal(endpoint.address) and (why := refused(endpoint.address, allow_loopback=True)):
        raise ConfigError(f"{endpoint.address} {why}, and no bridge would serve it; nothing is written")
    with _locked(inventory):
        was = _read(inventory, adopt)
        known = was.services.get(service.name, Service(service.name))
        if endpoint in known.endpoints and not adopt:
            return f"{inventory}: {service.name} has {endpoint.id} already; nothing is written"
        others = [one for one in known.endpoints if one.id != endpoint.id]
        _write(inventory, was, Service.of(service.name, [*others, endpoint], known.metadata))
    done = "is changed" if len(others) < len(known.endpoints) else "is registered"
    return f"{inventory}: {service.name}: {endpoint.id} {done}"


def deregister(inventory: Path, name: str, address: str, port: int | None = None) -> str:
    """Take the endpoints of that address (and primary port) out of the file; what was done, in a sentence.

    BridgeError when there is none, ConfigError when the file is not managed.
    """
    try:
        address = host(address)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    with _locked(inventory):
        was = _read(inventory, adopt=False)
        wanted = [one for one in was.services if str(one) == name]
        known = was.services[wanted[0]] if wanted else Service(ServiceName("", name))
        kept = [one for one in known.endpoints if one.address != address or port not in (None, one.ports[0].number)]
        if len(kept) == len(known.endpoints):
            at = address if port is None else f"{address}, port {port}"
            raise BridgeError(f"{inventory}: {name} has no endpoint at {at}; nothing is written")
        _write(inventory, was, Service.of(known.name, kept, known.metadata))
    gone = len(known.endpoints) - len(kept)
    return f"{inventory}: {name}: {gone} endpoint{'s are' if gone > 1 else ' is'} deregistered, {len(kept)} left"


def _service(name: str, address: str, ports: Ports, **more: Any) -> Service:
    """The endpoint as the reader of inventories takes it, alone in its service."""
    if len(dict(ports)) < len(ports):
        raise ConfigError(f"{name}: two ports have one name; give each its own")
    endpoint = {"address": address, "ports": dict(ports), **{key: said for key, said in more.items() if said}}
    try:
        made = native.read({"name": name, "endpoints": [endpoint]}, _SCOPE)
    except FlawError as error:
        raise ConfigError(f"{name}: {error.what}") from None
    if made.service is None or made.flaws:
        raise ConfigError(f"{name}: {made.flaws[0].what}")
    return made.service


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone with the file; errors of the file system name it."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        with locked(lock):
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
    except OSError as error:
        raise failure(path, error) from None


def _read(path: Path, adopt: bool) -> _Inventory:
    content = look(path)
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{path}: is not named .yaml, as an inventory that is managed must be")
    if content is None:
        return _Inventory(Standing(), {}, {})
    text = files.text(content.data, str(path))
    header = find(text)
    if header is not None:
        raise ConfigError(f"{path}: is written by the bridge {header.stamp.owner}; name an inventory of your own")
    managed = text.startswith(MANAGED)
    if not managed and not adopt:
        raise ConfigError(
            f"{path}: was not made by `register`; name another file, or take it over with --adopt, "
            "which writes it anew without its comments"
        )
    services = _services(path, text)
    standing = Standing(content, None, path.lstat())
    if adopt:
        return _Inventory(standing, {str(one): _block(services[one]) for one in services}, services)
    view = cut(text, _HEADER, _Managed())
    return _Inventory(standing, {key: block.content.split("\n") for key, block in view.blocks.items()}, services)


def _services(path: Path, text: str) -> Mapping[ServiceName, Service]:
    """All that the file says; ConfigError when some of it cannot be understood, since it could be lost."""
    inventory = Reader(str(path), "native", _SCOPE, _LABELS).read(text)
    if inventory.problems:
        raise ConfigError(f"{inventory.problems[0]}; correct it first")
    return inventory.services


def _block(service: Service) -> Sequence[str]:
    return emit.text([service]).rstrip("\n").split("\n")[1:]


def _write(path: Path, was: _Inventory, service: Service) -> None:
    """Write the file with another view of one service, none where it has no endpoint, if all else says the same."""
    blocks, services = dict(was.blocks), dict(was.services)
    if service.endpoints:
        blocks[str(service.name)], services[service.name] = _block(service), service
    else:
        blocks.pop(str(service.name), None)
        services.pop(service.name, None)
    text = _Managed().whole(_HEADER.stamp, blocks)
    if _services(path, text) != services:
        raise ConfigError(
            f"{path}: is laid out so that a service cannot be changed alone; write each as a block of its own, "
            "or take the file over with --adopt"
        )
    if not replace(path, text.encode(), was.standing):
        raise Conflict(f"{path}: was changed meanwhile; try again")
