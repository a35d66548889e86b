"""HAProxy's `backend` and `listen` sections: their servers.

Not followed are variables of the environment, `.if` blocks and state files. No line is repeated in a message: a
configuration holds passwords.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.static import records
from adapters.static.convert.converted import BACKUP, Converted, at_line, converted, ignored, made, scope
from adapters.static.records import IGNORED, Flaw, Group, Made, Scope
from bridge.kit import address
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Health

_SECTIONS = (
    "global defaults frontend backend listen peers resolvers userlist program mailers ring http-errors cache fcgi-app "
    "log-forward log-profile crt-store traces acme"
)
_VALUED = (
    "addr agent-addr agent-inter agent-port agent-send alpn ca-file check-alpn check-proto check-sni ciphers "
    "ciphersuites client-sigalgs cookie crl-file crt curves downinter error-limit fall fastinter guid hash-key id "
    "init-addr init-state inter log-bufsize log-proto max-reuse maxconn maxqueue minconn namespace npn observe "
    "on-error on-marked-down on-marked-up pool-low-conn pool-max-conn pool-purge-delay port proto redir resolve-net "
    "resolve-opts resolve-prefer resolvers rise set-proxy-v2-tlv-fmt shard sigalgs slowstart sni socks4 source "
    "ssl-max-ver ssl-min-ver tcp-md5sig tcp-ut track usesrc verify verifyhost weight ws"
)
_IS_SECTION = frozenset(_SECTIONS.split())
_IS_VALUED = frozenset(_VALUED.split())
"""Settings of a server that are followed by a value."""


def convert(text: str, where: str, namespace: str) -> Converted:
    """The servers of every backend; ConfigError when nothing of the text can be understood."""
    return converted(where, at_line(where), lambda: _read(text, scope(namespace)))


@dataclass(slots=True)
class _Server:
    weight: int = 1
    backup: bool = False
    disabled: bool = False

    def set(self, words: Sequence[str], others: set[str]) -> "_Server":
        """The settings over these; what is not known here goes to `others`."""
        weight, backup, disabled = self.weight, self.backup, self.disabled
        at = 0
        while at < len(words):
            word = words[at]
            match word:
                case "weight":
                    weight = records.number_of(words[at + 1] if at + 1 < len(words) else "", "weight", 0, 256)
                case "backup" | "no-backup":
                    backup = word == "backup"
                case "disabled" | "enabled":
                    disabled = word == "disabled"
                case _ if word.replace("-", "").isalnum() and len(word) < 30:
                    others.add(word)
            at += 2 if word in _IS_VALUED else 1
        return _Server(weight, backup, disabled)


@dataclass(slots=True)
class _Section:
    name: str = ""
    has_servers: bool = False
    default: _Server = field(default_factory=_Server)
    endpoints: list[Endpoint] = field(default_factory=list)


def _read(text: str, scope_: Scope) -> Made:
    groups: list[Group] = []
    flaws: list[Flaw] = []
    others: set[str] = set()
    defaults = _Server()
    section = _Section()
    for number, line in enumerate(text.split("\n"), 1):
        try:
            words = shlex.split(line, comments=True)
            if not words:
                continue
            match words[0]:
                case kind if kind in _IS_SECTION:
                    groups += _group(section, scope_)
                    section = _Section()
                    if kind == "defaults":
                        defaults = _Server()
                    if kind in ("backend", "listen"):
                        name = words[1] if len(words) > 1 else ""
                        records.foreign_name(name, scope_.namespace)
                        section = _Section(name, has_servers=True, default=defaults)
                case "default-server":
                    section.default = section.default.set(words[1:], others)
                    if not section.has_servers:
                        defaults = section.default
                case "server" | "server-template" if section.has_servers:
                    section.endpoints.append(_endpoint(words, section, others, scope_))
                case word if word.startswith("."):
                    flaws.append(Flaw((number,), IGNORED, "a condition", "what it holds is read in any case"))
        except ValueError as error:
            what = f"{section.name}: {error}" if section.name else str(error)
            flaws.append(Flaw((number,), "server", what, "the line is left out"))
    groups += _group(section, scope_)
    return made(groups, [*flaws, *ignored(others, "servers")])


def _group(section: _Section, scope_: Scope) -> list[Group]:
    if not section.endpoints:
        return []
    return [Group(*records.foreign_name(section.name, scope_.namespace), tuple(section.endpoints))]


def _endpoint(words: Sequence[str], section: _Section, others: set[str], scope_: Scope) -> Endpoint:
    template = words[0] == "server-template"
    said = words[3:] if template else words[2:]
    if not said:
        raise ValueError("a server without an address")
    name = excerpt(words[1])
    server = section.default.set(said[1:], others)
    if server.disabled:
        raise ValueError(f"server {name} is disabled")
    try:
        where, port = _address(said[0])
    except ValueError as error:
        raise ValueError(f"server {name}: {error}") from None
    health = BACKUP if server.backup else None
    if not server.weight:
        health = Health.DRAINING
    return Endpoint(where, records.one_port("", port), health, scope_.locality, "", max(server.weight, 1))


def _address(text: str) -> tuple[str, int]:
    family, at, rest = text.rpartition("@")
    if at and family not in ("ipv4", "ipv6"):
        raise ValueError(f"{excerpt(text)} is no address of the network")
    if "$" in rest:
        raise ValueError(f"{excerpt(rest)} is taken from the environment; write it out")
    where, colon, port = rest.rpartition(":")
    if where.startswith("[") and where.endswith("]"):
        where = where[1:-1]
    if not colon or port[:1] in ("", "+", "-"):
        raise ValueError(f"{excerpt(rest)} has no port of its own; write it")
    return address.host(where), records.number_of(port, "port", 1, 65535)
