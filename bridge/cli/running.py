"""`run` and `check`: the bridge itself, and a look at its whole configuration before it runs."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import options, output
from bridge.errors import BridgeError, ConfigError

if TYPE_CHECKING:
    from bridge.config import Config
    from bridge.kit.settings import RegistrySettings
    from bridge.targets import ElectorSettings


@click.command(short_help="Run the bridge until SIGTERM.")
@options.config
def run(path: Path | None) -> None:
    """Run the bridge until SIGTERM.

    SIGHUP (and any change of the file) takes over `services:` of the configuration; SIGTERM says "not ready", and
    ends the streams five seconds later, a second one at once.

    Exit codes: 0 stopped as told, 1 failed, 2 the configuration will not do.

    \b
    Example:
      registry-bridge run --config /etc/registry-bridge/bridge.yaml
    """
    from bridge.admin.log import configure
    from bridge.app import run as run_app

    config = options.load(path)
    configure(config.root.log.format, config.root.log.level)
    run_app(config)


@click.command(short_help="Check the configuration and every inventory.")
@options.config
@click.option("--strict", is_flag=True, help="Problems are a failure too: exit 1.")
@click.option("--sample", is_flag=True, help="Look at a few records in the registries too, over the network.")
@click.option(
    "--timeout",
    callback=options.duration,
    default="5s",
    show_default=True,
    metavar="DURATION",
    help="With --sample: how long to wait for a server.",
)
@output.option
def check(path: Path | None, strict: bool, sample: bool, timeout: float, output_: str) -> None:
    """Check the whole configuration and every inventory, without network or a running bridge.

    With --sample a few records are read from each registry of which one has to know how it is written (ZooKeeper), and
    what they look like is said beside what the configuration says; and it is asked who leads.

    Exit codes: 0 it will do, 1 problems were found and --strict is given, 2 it will not do.

    \b
    Examples:
      registry-bridge check --strict --output json
      registry-bridge check --sample
    """
    from bridge.config import find

    config = options.load(find(path))
    wrong = _certificates(config)
    found: list[dict[str, Any]] = []
    for settings in config.registries:
        try:
            found.append(_checked(settings, config.root.owner or ""))
        except ConfigError as error:
            wrong += str(error).split("\n")
    try:
        leader = _leader(config)
    except ConfigError as error:
        wrong += str(error).split("\n")
    if wrong:
        raise ConfigError("\n".join(wrong))
    if sample:
        for row, seen in zip((*found, leader), asyncio.run(_samples(config, timeout)), strict=True):
            row["sample"] = seen
    if not output.document(output_, {"config": str(config.path), "registries": found, "leader": leader}):
        _tell(config, found, leader)
    looked = (*found, leader)
    if strict and any(one["problems"] or not all(seen["fits"] for seen in one.get("sample", ())) for one in looked):
        raise click.exceptions.Exit(1)


def _certificates(config: "Config") -> list[str]:
    from bridge.xds.tls import Credentials

    tls = config.server().tls
    wrong = []
    try:
        if tls is not None:
            Credentials(tls, lambda _: None)
    except ConfigError as error:
        wrong.append(f"{config.path}: {error}")
    for settings in config.registries:
        for one in settings.health:
            try:
                if one.http is not None and one.http.tls is not None:
                    one.http.tls.context()
            except ConfigError as error:
                wrong.append(f"{config.path}: {settings.name}: health: {error}")
    return wrong


def _checked(settings: "RegistrySettings", owner: str) -> dict[str, Any]:
    """What a registry says offline, as it would pass the screen; `read` is False where nothing was read so."""
    from bridge.admin import shapes
    from bridge.config import screening
    from bridge.kit.address import is_literal
    from bridge.screen import screen

    observation = settings.check(owner)
    row: dict[str, Any] = {
        "name": settings.name,
        "kind": settings.kind,
        "read": observation is not None and observation.read > 0,
    }
    row["writes"] = [one.target for one in settings.export]
    if observation is None:
        return row | {"services": 0, "endpoints": 0, "names": 0, "unread": [], "problems": []}
    names = {
        one.address
        for service in observation.services.values()
        for one in service.endpoints
        if not is_literal(one.address)
    }
    screened = screen(_literal(observation.services), screening(settings), None)
    return row | {
        "services": len(observation.services),
        "endpoints": sum(len(service.endpoints) for service in screened.services.values()),
        "names": len(names),
        "unread": [f"{part.part}: {part.why}" for part in observation.unread],
        "problems": [shapes.problem(settings.name, one) for one in (*observation.problems, *screened.problems)],
    }


def _leader(config: "Config") -> dict[str, Any]:
    """What is in the way of the election."""
    from bridge.admin import shapes

    problems = config.leader.check()
    return {"kind": config.leader.kind, "problems": [shapes.problem("leader", one) for one in problems]}


async def _samples(config: "Config", within: float) -> list[list[dict[str, Any]]]:
    """What is seen in each registry, and of the election, all at the same time."""
    registries = [_sampled(one.name, one, within) for one in config.registries]
    return await asyncio.gather(*registries, _sampled("leader", config.leader, within))


async def _sampled(name: str, settings: "RegistrySettings | ElectorSettings", within: float) -> list[dict[str, Any]]:
    """What is seen there, or why nothing is."""
    from bridge.runtime.clock import SystemClock

    try:
        return [one._asdict() for one in await settings.sample(SystemClock(), within)]
    except BridgeError as error:
        return [{"where": name, "says": str(error).removeprefix(f"{name}: "), "fits": False}]


def _literal(services: Any) -> Any:
    """Without the endpoints whose host names would have to be resolved."""
    from bridge.kit.address import is_literal
    from bridge.model import Service
    from bridge.table import Table

    return Table(
        {
            name: Service(name, tuple(one for one in service.endpoints if is_literal(one.address)), service.metadata)
            for name, service in services.items()
        }
    )


def _tell(config: "Config", found: Sequence[dict[str, Any]], leader: dict[str, Any]) -> None:
    for one in found:
        said = _counts(one)
        names = f", {one['names']} names to resolve" if one["names"] else ""
        if one["read"]:
            what = f"{one['services']} services, {one['endpoints']} endpoints{names}, "
            what += f"problems: {said}" if said else "no problems"
        else:
            what = f"is read by a running bridge{f', problems: {said}' if said else ''}"
        output.say(f"{one['name']} ({one['kind']}): {what}{_writes(one)}")
        for unread in one["unread"]:
            output.say(f"  {unread}")
        _tell_more(one)
    if leader["kind"] != "none":
        said = _counts(leader)
        output.say(f"leader ({leader['kind']}): is asked by a running bridge{f', problems: {said}' if said else ''}")
        _tell_more(leader)
    seen = [each for one in (*found, leader) for each in one.get("sample", ())]
    but = "" if all(each["fits"] for each in seen) else ", but what was looked at does not fit it"
    output.say(f"{config.path}: will do{but}")


def _counts(row: dict[str, Any]) -> str:
    """How many problems of which kind there are, "" for none."""
    counts = Counter(problem["kind"] for problem in row["problems"])
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _tell_more(row: dict[str, Any]) -> None:
    """Each problem, and what was seen there."""
    for problem in row["problems"]:
        times = f" ({problem['count']} times)" if problem["count"] > 1 else ""
        output.say(f"  {problem['where']}: {problem['what']}{times}")
    for seen in row.get("sample", ()):
        output.say(f"  {seen['where']}: {seen['says']}")
    if row.get("sample") == [] and not row["read"]:
        output.say("  nothing is looked at here; `registry-bridge show --offline` reads it once")


def _writes(row: dict[str, Any]) -> str:
    return f"; writes {output.many(len(row['writes']), 'target')}" if row["writes"] else ""


def reported(error: BridgeError) -> int:
    """Say what is wrong on standard error, a line each, and return the exit code."""
    for line in str(error).split("\n"):
        output.note(f"error: {line}")
    return 2 if isinstance(error, ConfigError) else 1
