"""How a configuration says which ZooKeeper is meant, and who we are there."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from adapters.zookeeper.access import Access, Auth
from bridge.kit.address import host_port
from bridge.kit.place import excerpt
from bridge.kit.settings import ConfigPath, Duration, Secret, Strict
from bridge.kit.tls import TlsSettings

PORT: Final = 2181
EXAMPLE: Final = "zk1:2181,zk2:2181/app"


def _no_list(value: object) -> object:
    if isinstance(value, list):
        raise ValueError(f"is a list; write one text with commas, such as {EXAMPLE}")  # noqa: TRY004  # told like the rest
    return value


def _hosts(text: str) -> str:
    """`zk1:2181,zk2` with an optional chroot behind; ports are filled in."""
    hosts, slash, chroot = text.partition("/")
    if "," in chroot:
        raise ValueError(
            f"has a host behind {excerpt(slash + chroot.partition(',')[0])}; write such as {EXAMPLE}, "
            "the chroot once, behind the last host"
        )
    made = []
    for one in hosts.split(","):
        said = one.strip()
        try:
            host, port = host_port(said if re.search(r":[^\]]*$", said) else f"{said}:{PORT}")
        except ValueError as error:
            raise ValueError(f"{error}; write such as {EXAMPLE}") from None
        made.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    if slash and not re.fullmatch(r"(?:[^/\s]+/?)+", chroot):
        raise ValueError(f"{excerpt(slash + chroot)} is no chroot; write such as {EXAMPLE}, or no slash")
    return ",".join(made) + (slash + chroot.rstrip("/") if chroot else "")


class AuthSettings(Strict):
    """Who we are there: `user:password`, in a file or in the environment."""

    scheme: Literal["digest", "sasl"] = Field(
        default="digest", description="digest is ZooKeeper's own; sasl is DIGEST-MD5, which a server may demand"
    )
    file: ConfigPath | None = Field(default=None, description="a file with user:password")
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None, description="an environment variable with user:password"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("say where user:password is; write `file:` or `env:`, one of them")
        return self

    def value(self) -> Auth:
        return Auth(self.scheme, Secret(file=self.file, env=self.env))


class ReachSettings(Strict):
    """A ZooKeeper."""

    hosts: Annotated[str, AfterValidator(_hosts), BeforeValidator(_no_list)] = Field(
        description="the servers, with commas between them, and a chroot behind the last one where there is one",
        examples=["zk1.dc1:2181,zk2.dc1:2181,zk3.dc1:2181/app"],
    )
    session: Duration = Field(
        default="10s", validate_default=True, description="how long a server waits for us; from 1s to 60s"
    )
    tls: TlsSettings | None = None
    auth: AuthSettings | None = None

    @model_validator(mode="after")
    def _patient(self) -> Self:
        if not 1 <= self.session <= 60:
            raise ValueError("`session` is not between 1s and 60s; a server allows from 2 to 20 of its ticks")
        return self

    @property
    def servers(self) -> frozenset[str]:
        """All of them; who has one in common means the same ZooKeeper."""
        return frozenset(self.hosts.partition("/")[0].split(","))

    @property
    def chroot(self) -> str:
        """What stands before every path, "" for nothing."""
        return self.hosts.partition("/")[2]

    def access(self) -> Access:
        return Access(self.hosts, self.session, self.tls, None if self.auth is None else self.auth.value())
