"""A file that a bridge writes, and that is observed as it is written."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from adapters.static.registry import Static
from adapters.static.settings import Settings
from bridge.adapter import Claim, Held, Put, Record, Sink, Target
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Service
from bridge.runtime.clock import SystemClock
from tests.builders import name, service
from tests.observed import Observed, observing

MARK = Mark("prod-eu1", "cluster-a")
OTHER = Mark("prod-us1", "cluster-b")

PAYMENTS = service("shop/payments", "10.0.0.1:8080", "10.0.0.2:8080")
MORE = service("shop/payments", "10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080")
CART = service("shop/cart", "10.0.1.1:80")


def opened(path: Path | None, form: str = "native", *, mark: Mark = MARK, files: list[str] | None = None) -> Static:
    said: dict[str, object] = {"name": "vms", "kind": "static"}
    if path is not None:
        said["export"] = [{"file": str(path), "format": form, "services": ["*"], "from": ["k8s"]}]
    if files:
        said["files"] = files
    source = Settings.model_validate(said).open(Kit("vms", SystemClock(), mark))
    assert isinstance(source, Static)
    assert isinstance(source, Sink)
    return source


class Written(Observed):
    """A sink that is observed, with one target."""

    def __init__(self, path: Path | None, form: str = "native", *, mark: Mark = MARK, files: list[str] | None = None):
        self.sink = opened(path, form, mark=mark, files=files)
        self.target = Target(str(path))
        super().__init__(self.sink)

    @property
    def held(self) -> Held | None:
        held: Held | None = self.seen[-1].held.get(self.target)
        return held

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Those that stand there; none while nothing is known of it."""
        return self.held.claims if self.held is not None else ()

    def record(self, key: str) -> Record | None:
        holding = self.held.holdings.get(name(key)) if self.held is not None else None
        return holding.records[0] if holding is not None else None

    def said(self, key: str) -> list[str]:
        holding = self.held.holdings.get(name(key)) if self.held is not None else None
        return [str(one.id) for one in holding.endpoints] if holding is not None else []

    def change(self, one: Service) -> Put:
        assert self.held is not None
        holding = self.held.holdings.get(one.name)
        (record,), problems = self.sink.fit(self.target, one, holding)
        assert problems == []
        return Put(record, self.record(str(one.name)))

    async def say(self, one: Service) -> None:
        """Write a service, and see it written."""
        change = self.change(one)
        await self.sink.apply(self.target, change)
        await self.until(lambda: self.seems(change.record))

    def seems(self, record: Record) -> bool:
        there = self.record(record.key)
        return there is not None and there.content == record.content


def writing(
    path: Path | None, form: str = "native", *, mark: Mark = MARK, files: list[str] | None = None
) -> AbstractAsyncContextManager[Written]:
    return observing(Written(path, form, mark=mark, files=files))


FILES = {
    "bridge.json": "file_sd",
    "bridge.yaml": "file_sd",
    "vms.yaml": "native",
    "vms.json": "native",
    "vms.csv": "csv",
    "hosts": "hosts",
}
every = pytest.mark.parametrize(("file", "form"), FILES.items())
