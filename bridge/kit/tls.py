"""Whom a client of TLS believes, and what it shows: the same keys for every registry that is reached so."""

import ssl
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from bridge.errors import ConfigError
from bridge.kit.files import Stamp, stamp
from bridge.kit.settings import ConfigPath, Strict


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
        """What verifies a server; ConfigError names the file that will not do."""
        context = ssl.create_default_context()
        what, path = "ca", self.ca
        try:
            if self.ca is not None:
                context = ssl.create_default_context(cafile=self.ca)
            what, path = "cert", self.cert
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key, password="")
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{path}: `tls.{what}` is to be read from here: {_why(error)}") from None
        context.check_hostname = self.check_hostname
        return context

    def stamps(self) -> tuple[Stamp | None, ...]:
        """The state of the files: other stamps, another context."""
        return tuple(None if path is None else stamp(path) for path in self._paths())

    def _paths(self) -> tuple[Path | None, ...]:
        return self.ca, self.cert, self.key


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "it is no PEM, or the key is another's; write it anew"
    return f"{error.strerror}; put it there, or correct the path"
