"""Lines as in /etc/hosts: an address, a name, and behind a `#` the service and its ports, which who looks up ignores.

Of a service only what is usable is listed: nothing that is draining or unhealthy, unless all of it is. Behind the ports
stands through which bridges they came, as in `http:8080@prod-eu1+prod-us1`. Weights, localities and metadata have no
place here.
"""

import re
from collections.abc import Iterable, Sequence

from adapters.static.layouts import words
from adapters.static.layouts.carried import Lack
from adapters.static.layouts.header import comment
from adapters.static.layouts.layout import Layout, Lines
from bridge.kit import address, names
from bridge.kit.mark import Stamp
from bridge.model import Endpoint, Health, Service, ServiceName

_KEY = re.compile(r"\S+\s+\S+\s+# ([a-z0-9-]+/[a-z0-9-]+) .*", re.ASCII)
_LINE = re.compile(r"(\S+)\s+(\S+)\s+# ([a-z0-9-]+/[a-z0-9-]+) (\S+(?: \S+)*)\s*", re.ASCII)
_USABLE = (None, Health.HEALTHY, Health.DEGRADED)


class Hosts(Layout):
    """`host` makes the name: `{name}.{namespace}`, where the namespace may be left out if names stay different."""

    name = "hosts"

    def __init__(self, host: str) -> None:
        self._host = host

    def head(self, stamp: Stamp, *, empty: bool) -> Lines:
        return comment(stamp, self.name)

    @property
    def foot(self) -> Lines:
        return ("# end",)

    def key(self, line: str) -> str:
        found = _KEY.fullmatch(line)
        return found[1] if found else ""

    def fit(self, service: Service) -> tuple[Lines, tuple[Lack, ...]]:
        lines, lacks = super().fit(service)
        if lines:
            try:
                self._name(service.name)
            except ValueError as error:
                return (), (*lacks, Lack("name", f"{error}; the service is left out"))
        return lines, lacks

    def lines(self, service: Service) -> Lines:
        usable = [one for one in service.endpoints if one.health in _USABLE] or service.endpoints
        ports: dict[str, list[str]] = {}
        for endpoint in usable:
            ports.setdefault(endpoint.address, []).append(_word(endpoint))
        host = self._host.format(name=service.name.name, namespace=service.name.namespace)
        return tuple(f"{one} {host} # {service.name} {' '.join(its)}" for one, its in ports.items())

    def read(self, lines: Sequence[str]) -> Service:
        endpoints = []
        key = ""
        for line in lines:
            found = _LINE.fullmatch(line)
            if found is None or (key and key != found[3]):
                raise ValueError("has a line that is not `address name # namespace/name ports`")
            key = found[3]
            where = address.parse(found[1])
            endpoints += [_endpoint(where, word) for word in found[4].split(" ")]
        return Service.of(names.service_name(key), endpoints)

    def names(self, lines: Sequence[str]) -> Iterable[str]:
        return {found[2] for found in map(_LINE.fullmatch, lines) if found}

    def _name(self, service: ServiceName) -> str:
        host = address.host(self._host.format(name=service.name, namespace=service.namespace))
        if address.is_literal(host) or host.split(".")[-1] in ("localhost", "localdomain"):
            raise ValueError(f"{host!r} is no name that a hosts file may give to a service")
        return host


def _word(endpoint: Endpoint) -> str:
    text = words.ports(endpoint.ports)
    return f"{text}@{endpoint.via.replace(' ', '+')}" if endpoint.via or "@" in text else text


def _endpoint(where: str, word: str) -> Endpoint:
    if "@" not in word:
        return Endpoint(where, words.ports_of(word))
    text, _, via = word.rpartition("@")
    return Endpoint(where, words.ports_of(text), via=via.replace("+", " "))
