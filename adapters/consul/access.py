"""How a Consul is reached, and who asks there: the token and the certificates are read again as they change."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from bridge.errors import ConfigError, Denied
from bridge.kit import files
from bridge.kit.place import in_a_line
from bridge.kit.tls import TlsSettings

BUFFER: Final = 1024 * 1024
"""Bytes of an answer that are taken before whoever reads it has come so far."""

LONGEST: Final = 4096
"""Characters of a token."""


class Login(NamedTuple):
    """What a request needs besides its path; `writing` sends nothing twice by itself."""

    url: str
    session: aiohttp.ClientSession
    writing: aiohttp.ClientSession
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Login({self.url!r}, ***)"


class Access:
    """One Consul's door. `url` has no slash at its end; without a token the anonymous one counts."""

    def __init__(self, url: str, token: Path | None, tls: TlsSettings | None) -> None:
        self.url = url
        self._token = Token(token) if token is not None else None
        self._tls = tls or TlsSettings()
        self._stamps: tuple[Any, ...] = ()
        self._sessions: tuple[aiohttp.ClientSession, ...] = ()
        self._before: tuple[aiohttp.ClientSession, ...] = ()

    async def login(self) -> Login:
        """Who we are now, over connections that fit; Denied says why nobody can log in."""
        token = self._token.now() if self._token is not None else ""
        stamps = self._tls.stamps()
        if not self._sessions or stamps != self._stamps:
            await self._renew(stamps)
        reading, writing = self._sessions
        return Login(self.url, reading, writing, {"X-Consul-Token": token} if token else {})

    async def close(self) -> None:
        """Release every connection."""
        sessions = (*self._sessions, *self._before)
        self._sessions = self._before = ()
        for session in sessions:
            await session.close()

    async def _renew(self, stamps: tuple[Any, ...]) -> None:
        """Connections with the certificates that are there now; while those are bad, the ones of before go on."""
        try:
            context = self._tls.context() if self.url.startswith("https:") else None
        except ConfigError as error:
            if not self._sessions:
                raise Denied(in_a_line(error)) from None
            return
        before, self._before, self._stamps = self._before, self._sessions, stamps
        self._sessions = _session(self.url, context), _session(self.url, context)
        self._sessions[1]._retry_connection = False  # PUT may be repeated, says HTTP; whether it was made is then lost
        for session in before:
            await session.close()


def _session(url: str, context: ssl.SSLContext | None) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, ssl=context or True)
    return aiohttp.ClientSession(connector=connector, proxy=_proxy(url), read_bufsize=BUFFER)


def _proxy(url: str) -> str | None:
    """The one that the environment names for a server. It is looked for once: aiohttp would do it in a thread for each
    question, which costs more than the question."""
    said = urlsplit(url)
    return None if proxy_bypass(said.hostname or "") else getproxies().get(said.scheme)


class Token:
    """A token in a file; what it last was stands while the file cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: files.Stamp | None = None
        self._said = ""

    def now(self) -> str:
        """The token; Denied while there was never one."""
        stamp = files.stamp(self._path)
        if stamp is None or stamp != self._stamp:
            try:
                self._said = token(self._path)
                self._stamp = stamp
            except ConfigError as error:
                if not self._said:
                    raise Denied(str(error)) from None
        return self._said


def token(path: Path) -> str:
    content = files.read(path, str(path)) or files.read(path, str(path))
    if content is None:
        raise ConfigError(f"{path}: changes while it is read; it is read again")
    text = files.text(content.data, str(path)).strip()
    if not text:
        raise ConfigError(f"{path}: a token is to be read from here, and the file is empty; write it anew")
    if len(text) > LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(f"{path}: a token is to be read from here, and this is none: one word of plain letters is")
    return text
