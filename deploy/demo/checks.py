"""What `make demo ONCE=1` checks by itself, with requests running all the while."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp

from deploy.demo.stage import FRONT, LEDGER, PAYMENTS, Stage

RATE = 100  # requests a second and service


class Answer(NamedTuple):
    """When a request was answered (seconds, monotonic), and by whom; "" when it failed."""

    at: float
    instance: str


class Check(NamedTuple):
    """A line of the table."""

    what: str
    seen: str
    holds: bool


@asynccontextmanager
async def load(service: str) -> AsyncIterator[list[Answer]]:
    """Requests through Envoy, RATE a second, for as long as the context is open."""
    answers: list[Answer] = []
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as group:

        async def ask() -> None:
            try:
                async with http.get(f"http://{FRONT}/", headers={"x-service": service}) as response:
                    await response.read()
                    instance = response.headers.get("x-instance", "") if response.status == 200 else ""
            except (aiohttp.ClientError, TimeoutError):
                instance = ""
            answers.append(Answer(time.monotonic(), instance))

        async def pace() -> None:
            while True:
                group.create_task(ask())
                await asyncio.sleep(1 / RATE)

        pacing = group.create_task(pace())
        try:
            yield answers
        finally:
            pacing.cancel()


def failed(answers: list[Answer]) -> int:
    return sum(not answer.instance for answer in answers)


async def check(stage: Stage) -> list[Check]:
    """Every check in turn; each leaves the stage as it found it, but for the removed and the stopped instance."""
    return [
        await _add(stage),
        await _write_out(stage),
        *await _remove(stage),
        await _stop_a_sample(stage),
        await _empty_the_file(stage),
        await _restart_the_bridge(stage),
    ]


async def _add(stage: Stage) -> Check:
    added = LEDGER[1]
    async with load("shop/ledger") as answers:
        await asyncio.sleep(0.3)
        text = (stage.folder / "targets.json").read_text("utf-8")
        began = time.monotonic()
        stage.write("targets.json", text.replace(f'"{LEDGER[0]}"', f'"{LEDGER[0]}", "{added}"'))
        await _while(lambda: all(answer.instance != added for answer in answers), 5)
    took = next((answer.at - began for answer in answers if answer.instance == added), None)
    seen = "never served" if took is None else f"first request after {took * 1000:.0f} ms, {failed(answers)} failed"
    return Check(
        "add an endpoint: served in under a second", seen, took is not None and took < 1 and not failed(answers)
    )


async def _write_out(stage: Stage) -> Check:
    """What Envoy has stands in a file for Prometheus and in a hosts file too, and an edit by hand does not last."""
    has = {one for service in ("shop/payments", "shop/ledger") for one in await stage.clusters(service)}
    addresses = {one.rpartition(":")[0] for one in has}
    await _while(lambda: stage.targets() != has or stage.addresses() != addresses, 10)
    same = stage.targets() == has and stage.addresses() == addresses
    text = (stage.folder / "hosts").read_text("utf-8")
    began = time.monotonic()
    stage.write(
        "hosts", "".join(line for line in text.splitlines(keepends=True) if PAYMENTS[0].partition(":")[0] not in line)
    )
    await _while(lambda: stage.addresses() != addresses, 10)
    took = time.monotonic() - began
    right = (stage.folder / "hosts").read_text("utf-8") == text
    files = f"{len(stage.targets())} targets and {len(stage.addresses())} hosts for Envoy's {len(has)}"
    return Check(
        "written for Prometheus and as a hosts file; an edit is put right",
        f"{files}; {f'put right after {took * 1000:.0f} ms' if right else 'the edit stands'}",
        same and right and bool(has),
    )


async def _remove(stage: Stage) -> list[Check]:
    removed = PAYMENTS[3]
    async with load("shop/payments") as answers:
        await asyncio.sleep(0.5)
        text = (stage.folder / "vms.yaml").read_text("utf-8")
        began = time.monotonic()
        stage.write("vms.yaml", text.replace(f"      - {removed.partition(':')[0]}\n", ""))
        gone = None
        while gone is None and time.monotonic() < began + 10:
            await asyncio.sleep(0.05)
            if removed not in await stage.clusters("shop/payments"):
                gone = time.monotonic() - began
    before = sum(answer.instance == removed for answer in answers if answer.at < began)
    late = [answer.at - began for answer in answers if answer.instance == removed and answer.at > began + 1]
    last = max((answer.at - began for answer in answers if answer.instance == removed), default=0.0)
    return [
        Check(
            "remove one of the four: no more requests at once",
            f"{before} before, the last {max(0.0, last) * 1000:.0f} ms after, {failed(answers)} failed",
            before > 0 and not late and not failed(answers),
        ),
        Check(
            "remove one of the four: out of /clusters within 5 s",
            "still there after 10 s" if gone is None else f"after {gone:.1f} s (held meanwhile)",
            gone is not None and gone <= 5,
        ),
    ]


async def _stop_a_sample(stage: Stage) -> Check:
    async with load("shop/payments") as answers:
        await asyncio.sleep(0.5)
        await stage.end(PAYMENTS[2])
        stopped = time.monotonic()
        await asyncio.sleep(2)
    before = sum(answer.instance == PAYMENTS[2] for answer in answers if answer.at < stopped)
    after = sum(answer.at > stopped for answer in answers)
    return Check(
        "stop a sample service: no failed request",
        f"{after} requests after it ended, {failed(answers)} failed",
        before > 0 and after > 0 and not failed(answers),
    )


async def _empty_the_file(stage: Stage) -> Check:
    text = (stage.folder / "vms.yaml").read_text("utf-8")
    said = len(_lines_about(stage, "vms.yaml"))
    had = await stage.clusters("shop/payments")
    async with load("shop/payments") as answers:
        (stage.folder / "vms.yaml").write_bytes(b"")
        await _while(lambda: len(_lines_about(stage, "vms.yaml")) == said, 10)
        await asyncio.sleep(6)  # longer than a removal that is believed takes
        has = await stage.clusters("shop/payments")
    lines = _lines_about(stage, "vms.yaml")[said:]
    line = lines[0].strip() if lines else "no line"
    stage.write("vms.yaml", text)
    return Check(
        "empty the file: nothing lost, one line says why",
        f"{len(has)} of {len(had)} endpoints, {failed(answers)} failed of {len(answers)}; {line}",
        has == had and bool(answers) and not failed(answers) and len(lines) == 1,
    )


async def _restart_the_bridge(stage: Stage) -> Check:
    had = await stage.clusters("shop/payments")
    async with load("shop/payments") as answers:
        await stage.end("bridge")
        await stage.start_bridge()
        await asyncio.sleep(2)
        has = await stage.clusters("shop/payments")
    return Check(
        "restart the bridge: no failed request",
        f"{len(answers)} requests, {failed(answers)} failed; {len(has)} of {len(had)} endpoints after it",
        bool(answers) and not failed(answers) and has == had,
    )


def _lines_about(stage: Stage, what: str) -> list[str]:
    return [line for line in stage.log("bridge").read_text("utf-8", "replace").splitlines() if what in line]


async def _while(holds: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while holds() and time.monotonic() < deadline:
        await asyncio.sleep(0.005)
