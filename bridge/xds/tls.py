"""The certificates that the xDS server shows and asks for, read again when their files change."""

import itertools
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from bridge.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files; with `client_ca` a client must show a certificate that it signed."""

    cert: Path
    key: Path
    client_ca: Path | None = None


class _Stamp(NamedTuple):
    """What tells a file from its successor: a rename changes the inode, a write in place the time or the size."""

    inode: int
    modified: int
    size: int


class Credentials:
    """Server credentials that follow their files: what a new connection is shown is what stands there then.

    Files that will not do leave the last good ones in force; `problem` then says why, "" otherwise.
    `say` hears each change and each new problem once, from a thread of gRPC. `handshakes` counts those begun.
    """

    def __init__(self, files: TlsFiles, say: Callable[[str], None], place: str = "xds.tls") -> None:
        """Read the files; ConfigError names the one that will not do."""
        self.problem = ""
        self.handshakes = 0
        self._count = itertools.count(1)  # safe in the threads of gRPC
        self._files, self._say, self._place = files, say, place
        self._stamps, configuration = self._read()
        self.server = grpc.dynamic_ssl_server_credentials(
            configuration, self._current, require_client_authentication=files.client_ca is not None
        )

    def _current(self) -> Any:
        """What gRPC asks before each handshake: a new configuration, or None for the one it has."""
        self.handshakes = next(self._count)
        try:
            if self._stat() == self._stamps:
                self._tell("")
                return None
            self._stamps, configuration = self._read()
        except ConfigError as error:
            self._tell(str(error))
            return None
        self._tell("")
        self._say(f"{self._place}: certificates read again")
        return configuration

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            if problem:
                self._say(f"{problem}; the certificates read before stay in use")

    def _paths(self) -> list[tuple[str, Path]]:
        files = self._files
        named = [("cert", files.cert), ("key", files.key)]
        return named if files.client_ca is None else [*named, ("client_ca", files.client_ca)]

    def _stat(self) -> tuple[_Stamp, ...]:
        stamps = []
        for key, path in self._paths():
            try:
                stat = path.stat()
            except OSError as error:
                raise self._error(key, path, f"{error.strerror}; name a readable PEM file") from None
            stamps.append(_Stamp(stat.st_ino, stat.st_mtime_ns, stat.st_size))
        return tuple(stamps)

    def _read(self) -> tuple[tuple[_Stamp, ...], Any]:
        """The files and what they were; stamps come first, so that a change while reading is seen the next time."""
        stamps, contents = self._stat(), {}
        for key, path in self._paths():
            try:
                contents[key] = path.read_bytes()
            except OSError as error:
                raise self._error(key, path, f"{error.strerror}; name a readable PEM file") from None
        self._check(contents)
        chain = [(contents["key"], contents["cert"])]
        return stamps, grpc.ssl_server_certificate_configuration(chain, contents.get("client_ca"))

    def _check(self, contents: dict[str, bytes]) -> None:
        """gRPC takes anything and then refuses every client; so the files are tried here first."""
        files, context = self._files, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._certificates("cert", files.cert, contents["cert"])
        if b"PRIVATE KEY-----" not in contents["key"]:
            raise self._error("key", files.key, "holds no private key; a PEM file with BEGIN PRIVATE KEY is needed")
        try:
            context.load_cert_chain(files.cert, files.key, password=self._encrypted)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                why = f"does not belong to the certificate in {files.cert}; name the pair that was made together"
            else:
                why = f"cannot be used with {files.cert} ({error.reason or error}); name a matching PEM pair"
            raise self._error("key", files.key, why) from None
        except OSError as error:
            raise self._error("key", files.key, f"{error.strerror or error}; name a readable PEM file") from None
        if files.client_ca is not None:
            self._certificates("client_ca", files.client_ca, contents["client_ca"])

    def _certificates(self, key: str, path: Path, content: bytes) -> None:
        if b"-----BEGIN CERTIFICATE-----" not in content:
            raise self._error(key, path, "holds no certificate; a PEM file with BEGIN CERTIFICATE is needed")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=content.decode("ascii"))
        except UnicodeDecodeError:
            raise self._error(key, path, "is not PEM text; PEM is plain ASCII") from None
        except ssl.SSLError as error:
            why = f"holds a certificate that cannot be read ({error.reason or error}); make the file anew"
            raise self._error(key, path, why) from None

    def _encrypted(self) -> str:
        raise self._error("key", self._files.key, "is encrypted with a passphrase; name a key file without one")

    def _error(self, key: str, path: Path, what: str) -> ConfigError:
        return ConfigError(f"{self._place}.{key}: {path}: {what}")
