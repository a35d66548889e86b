"""How a ZooKeeper is reached, and who we are there."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kazoo.client import KazooClient
from kazoo.retry import KazooRetry

from adapters.zookeeper.ear import Ear, Threads
from adapters.zookeeper.operations import OPEN, Acl
from bridge.errors import ConfigError
from bridge.kit.settings import Secret
from bridge.kit.tls import TlsSettings

CONNECT_DELAY = 0.1
CONNECT_MAX_DELAY = 2.0
"""Seconds between two tries to connect; left alone, kazoo waits up to an hour, and is blind for as long."""


class Auth(NamedTuple):
    """Who we are: `user:password` for `digest` or `sasl`."""

    scheme: str
    secret: Secret

    def pair(self) -> tuple[str, str]:
        """User and password, as they are now; ConfigError when there are none."""
        user, colon, password = self.secret.reveal().partition(":")
        if not (user and colon and password):
            raise ConfigError("auth: what is read is no user:password; write both, with a colon between them")
        return user, password


class Access(NamedTuple):
    """One ZooKeeper; `hosts` may end with a chroot. `session` is in seconds."""

    hosts: str
    session: float = 10.0
    tls: TlsSettings | None = None
    auth: Auth | None = None
    tries: int = -1
    """How often all servers are tried before the client ends; -1: until one takes us."""

    def once(self) -> "Access":
        """For a look, after which nobody waits for a server."""
        return self._replace(tries=1)

    @property
    def acl(self) -> tuple[Acl, ...]:
        """That of what only we may change: everybody may read it, and where nobody knows us, change it too."""
        if self.auth is None:
            return OPEN
        return (Acl("auth", "", "cdrwa"), Acl("world", "anyone", "r"))

    def ready(self) -> Iterator[Callable[[], object]]:
        """What raises ConfigError while a file will not do that says whom we believe, or who we are."""
        if self.tls is not None:
            yield self.tls.context
        if self.auth is not None:
            yield self.auth.pair

    def client(self, name: str, ear: Ear, listener: Callable[[str], None]) -> KazooClient:
        """A client of that name that is not started; `listener` is told its states, by threads of its own.

        Raises ConfigError when a file will not do, or a secret cannot be read.
        """
        options: dict[str, Any] = {}
        if self.tls is not None:
            self.tls.context()  # kazoo says not which file will not do, or asks a terminal for a password
            options |= {"use_ssl": True, "verify_certs": True, "check_hostname": self.tls.check_hostname}
            files = {"ca": self.tls.ca, "certfile": self.tls.cert, "keyfile": self.tls.key}
            options |= {option: str(path) for option, path in files.items() if path is not None}
        if self.auth is not None:
            user, password = self.auth.pair()
            if self.auth.scheme == "sasl":
                options["sasl_options"] = {"mechanism": "DIGEST-MD5", "username": user, "password": password}
            else:
                options["auth_data"] = [(self.auth.scheme, f"{user}:{password}")]
        retry = KazooRetry(max_tries=self.tries, delay=CONNECT_DELAY, max_delay=CONNECT_MAX_DELAY)
        made = KazooClient(
            hosts=self.hosts,
            handler=Threads(name, ear),
            timeout=self.session,
            connection_retry=retry,
            logger=ear.logger,
            **options,
        )
        made.add_listener(listener)
        return made
