"""Whether a server answers a GET as it should: no redirect is followed, and nothing but the status is read."""

import errno
import os
import ssl

from aiohttp import (
    ClientError,
    ClientOSError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)
from yarl import URL

from bridge.checks import Failed, Hindered, Passed, Result
from bridge.errors import ConfigError
from bridge.kit.files import Stamp
from bridge.kit.health import HttpCheckSettings
from bridge.kit.tls import TlsSettings
from bridge.model import EndpointId
from bridge.runtime.probe import failed, silent

_AGENT = {"User-Agent": "registry-bridge health check", "Connection": "close"}

_OURS = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.EACCES,
    errno.EPERM,
}
"""Errors that speak of this machine, wherever they come up on the way to an answer."""


class HttpProbe:
    """One way of asking, for every endpoint that is asked so."""

    def __init__(self, how: HttpCheckSettings) -> None:
        self._how = how
        self._passes = how.passes()
        self._headers = _AGENT | ({"Host": how.host} if how.host else {})
        self._name = _bare(how.host) if how.host else None
        self._trust = _Trust(how.tls) if how.tls is not None else None

    async def __call__(self, at: EndpointId, seconds: float) -> Result:
        """Ask it once, and tell what came of it."""
        try:
            trust = True if self._trust is None else self._trust.context()
        except ConfigError as error:
            return Hindered(str(error))
        url = URL(f"{'http' if self._trust is None else 'https'}://{at}{self._how.path}", encoded=True)
        try:
            async with (
                ClientSession(
                    connector=TCPConnector(force_close=True, ssl=trust),
                    cookie_jar=DummyCookieJar(),
                    timeout=ClientTimeout(total=seconds),
                    auto_decompress=False,
                ) as session,
                session.get(
                    url,
                    headers=self._headers,
                    allow_redirects=False,
                    server_hostname=self._name if self._trust is not None else None,
                ) as response,
            ):
                status = response.status
                response.close()
        except TimeoutError:
            return silent(seconds)
        except ClientOSError as error:
            return _refused(error)
        except ServerDisconnectedError:
            return Failed("hung up without an answer" + ("" if self._trust else " (a port of TLS wants `tls`)"))
        except ClientError as error:
            return Failed(f"no answer of HTTP: {str(error) or type(error).__name__}")
        return Passed() if status in self._passes else Failed(f"status {status}, not {self._how.expect}")


class _Trust:
    """Whom to believe, read again when the files change."""

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        self._stamps: tuple[Stamp | None, ...] | None = None
        self._context = ssl.create_default_context()

    def context(self) -> ssl.SSLContext:
        """ConfigError names the file that will not do."""
        stamps = self._tls.stamps()
        if stamps != self._stamps:
            self._context = self._tls.context()
            self._stamps = stamps
        return self._context


def _refused(error: ClientOSError) -> Failed | Hindered:
    inner: OSError = getattr(error, "os_error", error)
    if isinstance(inner, ssl.SSLError):
        return Failed(f"TLS: {getattr(inner, 'verify_message', '') or inner.reason or inner}")
    if inner.errno in _OURS:
        return failed(inner)
    return Failed(os.strerror(inner.errno).lower() if inner.errno else f"no answer of HTTP: {error}")


def _bare(host: str) -> str:
    """The name without a port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).strip("[]")
