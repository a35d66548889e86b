"""Our own inventory, in YAML or JSON: all that is known of a service but the protocols of its ports."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from adapters.static import native
from adapters.static.layouts.header import comment
from adapters.static.layouts.layout import Layout, Lines
from adapters.static.records import FlawError, Scope
from bridge.errors import ConfigError
from bridge.kit.document import load
from bridge.kit.mark import Stamp
from bridge.model import NOWHERE, Endpoint, Metadata, Service

_NOTHING = Scope("", NOWHERE, "")
_KEY = re.compile(r"  - name: ([a-z0-9/-]+)\s*", re.ASCII)
_JSON_KEY = re.compile(r'\{"name": "([a-z0-9/-]+)"', re.ASCII)


class _Native(Layout):
    name = "native"
    only_tcp = True

    def again(self, text: str) -> Iterable[Service]:
        try:
            value = load(text, self.name).value
        except ConfigError as error:
            raise ValueError(str(error)) from None
        services = value.get("services") if isinstance(value, dict) else None
        if not isinstance(services, list):
            raise ValueError("has no list of services")  # noqa: TRY004  # somebody's edit, told like the rest
        return [_service(one) for one in services]


class NativeYaml(_Native):
    """A service's name, and each of its endpoints, on a line of its own."""

    def head(self, stamp: Stamp, *, empty: bool) -> Lines:
        return (*comment(stamp, self.name), "services: []" if empty else "services:")

    @property
    def foot(self) -> Lines:
        return ("# end",)

    def key(self, line: str) -> str:
        found = _KEY.fullmatch(line)
        return found[1] if found else ""

    def lines(self, service: Service) -> Lines:
        return block(service)

    def read(self, lines: Sequence[str]) -> Service:
        try:
            return _service(_quickly(lines))
        except (ValueError, IndexError):
            pass  # laid out by another hand: as YAML it is slow to read, and may say the same
        try:
            (value,) = load("\n".join(lines) + "\n", self.name).value
        except (ConfigError, TypeError, ValueError) as error:
            raise ValueError(str(error)) from None
        return _service(value)


class NativeJson(_Native):
    """Each service on a line of its own."""

    comma = ","

    def head(self, stamp: Stamp, *, empty: bool) -> Lines:
        return (f'{{"mark": {json.dumps(str(stamp))}, "services": [',)

    @property
    def foot(self) -> Lines:
        return ("]}",)

    def key(self, line: str) -> str:
        found = _JSON_KEY.match(line)
        return found[1] if found else ""

    def lines(self, service: Service) -> Lines:
        value = {"name": str(service.name), **_metadata(service.metadata)}
        return (_text({**value, "endpoints": [_endpoint(one) for one in service.endpoints]}),)

    def read(self, lines: Sequence[str]) -> Service:
        try:
            return _service(json.loads("".join(lines)))
        except json.JSONDecodeError as error:
            raise ValueError(f"is not JSON: {error.msg}") from None


def block(service: Service) -> Lines:
    """A service as an item of a native inventory's `services:`."""
    lines = [f"  - name: {service.name}"]
    if service.metadata:
        lines.append(f"    metadata: {_text(dict(service.metadata))}")
    lines.append("    endpoints:" if service.endpoints else "    endpoints: []")
    lines += [f"      - {_text(_endpoint(one))}" for one in service.endpoints]
    return tuple(lines)


def _endpoint(said: Endpoint) -> dict[str, Any]:
    value: dict[str, Any] = {"address": said.address}
    if len(said.ports) == 1 and not said.ports[0].name:
        value["port"] = said.ports[0].number
    else:
        value["ports"] = {port.name: port.number for port in said.ports}
    if said.health is not None:
        value["health"] = said.health.name.lower()
    if said.locality != NOWHERE:
        value["locality"] = {key: part for key, part in zip(native.LOCALITY, said.locality, strict=True) if part}
    if said.network:
        value["network"] = said.network
    if said.weight != 1:
        value["weight"] = said.weight
    if said.via:
        value["via"] = said.via
    return {**value, **_metadata(said.metadata)}


def _metadata(pairs: Metadata) -> dict[str, Any]:
    return {"metadata": dict(pairs)} if pairs else {}


def _text(value: Any) -> str:
    """JSON, which is YAML too as long as no text holds what is not printable."""
    return json.dumps(value, ensure_ascii=False)


def _quickly(lines: Sequence[str]) -> dict[str, Any]:
    """What `block` wrote, without a reader of YAML; ValueError or IndexError when it did not."""
    found = _KEY.fullmatch(lines[0])
    at = 2 if lines[1].startswith("    metadata: ") else 1
    items = lines[at + 1 :]
    if found is None or lines[at] != "    endpoints:" or not all(line.startswith("      - {") for line in items):
        raise ValueError("is not laid out as it was written")
    value: dict[str, Any] = {"name": found[1]}
    if at == 2:
        value["metadata"] = json.loads(lines[1].partition(": ")[2])
    return {**value, "endpoints": [json.loads(line[8:]) for line in items]}


def _service(value: Any) -> Service:
    try:
        made = native.read(value, _NOTHING)
    except FlawError as error:
        raise ValueError(error.what) from None
    if made.service is None or made.flaws:
        raise ValueError(made.flaws[0].what)
    return made.service
