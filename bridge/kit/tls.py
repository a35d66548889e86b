"""Whom a client of TLS believes, and what it shows: the same keys for every registry that is reached so."""

import ssl
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from bridge.errors import ConfigError
from bridge.kit.files import Stamp, stamp
from bridge.kit.strict import ConfigPath, Strict


class TlsSettings(Strict):
    """How a server is believed, and what is shown to it; `{}` believes whom the system does."""

    ca: ConfigPath | None = Field(default=None, description="the authority of the servers; else the system's")
    cert: ConfigPath | None = Field(default=None, description="a certificate of ours, for mTLS")
    key: ConfigPath | None = Field(default=None, description="its key")
    check_hostname: bool = Field(default=True, description="whether a certificate must be for the host that is named")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("`cert` and `key` belong together; write both, or neither")
        return self

    def context(self) -> ssl.SSLContext:
        """What verifies a server; ConfigError names each file that will not do, a line each."""
        wrong = {key: why for key, path in self._files() if (why := _unreadable(path))}
        context = ssl.create_default_context()
        try:
            if self.ca is not None and "ca" not in wrong:
                context = ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError:
            wrong["ca"] = "holds no certificate in PEM; write it anew"
        try:
            if self.cert is not None and not {"cert", "key"} & wrong.keys():
                context.load_cert_chain(self.cert, self.key, password="")
        except ssl.SSLError as error:
            what = f"makes no pair with {self.key} ({_word(error)})"
            wrong["cert"] = f"{what}; write both anew, in PEM and without a password"
        if wrong:
            told = ((key, path) for key, path in self._files() if key in wrong)
            raise ConfigError("\n".join(f"{path}: `tls.{key}` is read from here: {wrong[key]}" for key, path in told))
        context.check_hostname = self.check_hostname
        return context

    def stamps(self) -> tuple[Stamp | None, ...]:
        """The state of the files: other stamps, another context."""
        return tuple(stamp(path) for _, path in self._files())

    def _files(self) -> list[tuple[str, Path]]:
        named = (("ca", self.ca), ("cert", self.cert), ("key", self.key))
        return [(key, path) for key, path in named if path is not None]


def _unreadable(path: Path) -> str:
    """Why a file cannot be read, and what to do; "" where it can."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"{error.strerror}; put it there, or correct the path"
    return ""


def _word(error: ssl.SSLError) -> str:
    """OpenSSL's own, such as `key values mismatch`."""
    return (error.reason or "unreadable").replace("_", " ").lower()
