"""How a configuration says which Consul is meant, and who we are there."""

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from math import inf
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from adapters.consul.access import Access, token
from adapters.consul.client import Api
from bridge.kit import address
from bridge.kit.place import excerpt
from bridge.kit.settings import ConfigPath, Duration, Strict
from bridge.kit.tls import TlsSettings

PORTS: Final = {"http": 8500, "https": 8501}

Word = Annotated[str, Field(min_length=1, max_length=200)]


def _url(text: str) -> str:
    """A server's, with its port filled in and without a slash at the end."""
    said = urlsplit(text)
    form = "write such as http://127.0.0.1:8500 or https://consul.dc2:8501"
    if said.scheme not in PORTS or not said.hostname or said.query or said.fragment:
        raise ValueError(f"{excerpt(text)} is no address of a Consul; {form}")
    if said.username is not None or said.password is not None:
        raise ValueError("holds a user or a password, which belong into a file; write `token_file:`")
    try:
        host, port = address.host(said.hostname), said.port or PORTS[said.scheme]
    except ValueError as error:
        raise ValueError(f"{error}; {form}") from None
    shown = f"[{host}]" if ":" in host else host
    return f"{said.scheme}://{shown}:{port}{said.path.rstrip('/')}"


class EnterpriseSettings(Strict):
    """Where everything is, in Consul Enterprise; the community's has neither."""

    namespace: Word | None = None
    partition: Word | None = None

    def scope(self) -> dict[str, str]:
        """The parameters of each question."""
        said = {"ns": self.namespace, "partition": self.partition}
        return {key: value for key, value in said.items() if value is not None}


class ReachSettings(Strict):
    """A Consul."""

    url: Annotated[str, AfterValidator(_url)] = Field(
        default="http://127.0.0.1:8500",
        description="an agent or a server",
        examples=["http://127.0.0.1:8500", "https://consul.dc2:8501"],
    )
    token_file: ConfigPath | None = Field(default=None, description="a file with the token, read again as it changes")
    tls: TlsSettings | None = None
    datacenter: Word | None = Field(default=None, description="another one than that of whoever answers")
    enterprise: EnterpriseSettings = EnterpriseSettings()
    timeout: Duration = Field(
        default="10s", validate_default=True, description="of a question that does not wait for a change"
    )

    @property
    def consul(self) -> Hashable:
        """The same for whoever means the same datacenter of the same Consul, as far as the configuration says it."""
        return self.url, self.datacenter, *sorted(self.enterprise.scope().items())

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.timeout < 1:
            raise ValueError("`timeout` is less than 1s; a server without a leader needs more to say so")
        if self.tls is not None and self.url.startswith("http:"):
            raise ValueError("`tls` is of a `url` with https:; correct one of them")
        return self

    def ready(self) -> Iterator[Callable[[], object]]:
        """What raises ConfigError while a file will not do that says whom we believe, or who we are."""
        if self.tls is not None:
            yield self.tls.context
        if self.token_file is not None:
            yield partial(token, self.token_file)

    def api(self, where: str, most: float = inf) -> Api:
        """Asks it; `where` is what messages begin with, `most` the seconds for an answer at most."""
        access = Access(self.url, self.token_file, self.tls)
        return Api(where, access, min(self.timeout, most), self.datacenter or "", self.enterprise.scope())
