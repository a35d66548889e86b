"""What the suite asks of the author of an adapter: the other side of their registry."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import NoReturn

import pytest

from bridge.adapter import Record, Sink, Source, Target
from bridge.kit.mark import Mark
from bridge.kit.settings import RegistrySettings
from bridge.model import Service, ServiceName


class Bench(ABC):
    """A registry that is there and empty, and how others than the adapter use it, harm it, and look into it.

    Only what is abstract must be given; a promise that needs more is skipped, and the report says so.
    """

    patience = 60.0
    """Seconds within which what was done must be observed; longer than the adapter's own poll."""

    package: str = ""
    """The adapter's package, whose imports are looked at."""

    settings: type[RegistrySettings] | None = None
    """The adapter's settings, as its entry point names them."""

    fences = False
    """Whether `apply` is fenced by the claim last written."""

    many = 250
    """Endpoints of a service that needs several records, where a record holds several."""

    @abstractmethod
    def open(self, mark: Mark | None = None) -> Source:
        """A new adapter over the registry, as another process would open it; with a mark one that writes.

        Whatever the mark, it reads what all others write.
        """

    @abstractmethod
    async def put(self, *services: Service) -> None:
        """Let others than bridges say these, all at once; a service that stood there is replaced whole."""

    @abstractmethod
    async def drop(self, *names: ServiceName) -> None:
        """Let others no longer say these."""

    def read_as(self, service: Service) -> Service:
        """What the registry says of a service that was put: all of it, or what it has words for."""
        return service

    async def garbage(self, name: ServiceName) -> None:
        """Write a record of this service that nobody can understand, beside what is there."""
        cannot("there is nothing in this registry that could not be understood")

    async def lose(self) -> None:
        """Let the registry be out of reach, until `heal`; what is in it stays."""
        cannot("this registry is never out of reach")

    async def deny(self) -> None:
        """Let the registry refuse the adapter's credentials, until `heal`."""
        cannot("this registry asks for no credentials")

    async def heal(self) -> None:  # noqa: B027  # whoever overrides neither has nothing to undo
        """Undo `lose` and `deny`."""

    # Of a sink only.

    def target(self, mark: Mark) -> Target:
        """Where the sink that was opened with this mark writes."""
        return Target("")

    def written_as(self, service: Service) -> Service:
        """What is read back of a service that was written; only its endpoints count."""
        return self.read_as(service)

    def odd(self) -> Service:
        """A service of which the registry cannot say everything: too long a name, no place for a protocol."""
        cannot("this registry can say everything")

    async def take(self, mark: Mark, service: Service) -> None:
        """Write something without a mark where a sink of this mark would write the service."""
        cannot("in this registry nobody else can have a name of ours")

    async def edit(self, mark: Mark, record: Record) -> None:
        """Change by hand what our record says, and leave its mark."""
        cannot("nobody can edit our records")

    async def erase(self, mark: Mark, record: Record) -> None:
        """Remove our record by hand."""
        cannot("nobody can remove our records")

    def foreign(self) -> Hashable:
        """All that stands in the registry and carries no mark, so that it can be compared."""
        return ()

    async def lose_answer(self) -> None:
        """Let the next write be made, and its answer be lost."""
        cannot("answers of this registry are not lost")

    async def refuse(self) -> None:
        """Let the registry refuse the content of the next write."""
        cannot("this registry refuses no content")


def cannot(why: str) -> NoReturn:
    """Skip the promise at hand, which this registry cannot be asked to keep."""
    pytest.skip(f"not offered: {why}")


def sink_of(source: Source) -> Sink:
    """The source as a sink; what has no `fit`, `apply` and `claim` is skipped."""
    if not isinstance(source, Sink):
        cannot("the adapter writes nothing")
    return source
