"""`withdraw` and `adopt`: what was written elsewhere is taken back, or taken over."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.adapter import Claim, Target
from bridge.cli import hands, options, output
from bridge.cli.exporting import place
from bridge.errors import BridgeError
from bridge.model import SourceName

if TYPE_CHECKING:
    from bridge.cli.once import Seen
    from bridge.config import Config
    from bridge.runtime.exported import Exported

Place = tuple[SourceName, Target]

SHOWN = 10
"""Services that are named one by one."""

_registries = click.option(
    "--registry",
    "registries",
    multiple=True,
    metavar="NAME",
    help="Only there; may be repeated.  [all that are written]",
)
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_force = click.option(
    "--force", is_flag=True, help="Even where another bridge seems to write under that name, or none ever did."
)


def _owner(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    from bridge.kit.mark import owner_name

    try:
        return None if value is None else owner_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(short_help="Remove what this bridge wrote to other registries.")
@_registries
@click.option("--owner", callback=_owner, metavar="OWNER", help="Of this owner.  [owner of the configuration]")
@_yes
@_force
@options.config
@output.option
def withdraw(
    *, registries: tuple[str, ...], owner: str | None, yes: bool, force: bool, path: Path | None, output_: str
) -> None:
    """Remove every record that the owner has in the targets of the configuration.

    What will go is shown first. A tombstone is left in the claim, so that a running bridge does not write it all again:
    it says `withdrawn` until `registry-bridge adopt`. Records of others stay. An owner that another bridge seems to use
    is refused, for its claim was renewed within the last minute; so is one that never wrote there.

    Exit codes: 0 nothing of it stands there any more, 1 something does, or was refused, 2 the configuration will
    not do.

    \b
    Examples:
      registry-bridge withdraw
      registry-bridge withdraw --registry vms --owner retired-bridge --yes
    """
    from bridge.cli import once

    config = options.load(path)
    ending = once.Ending(owner or config.root.owner or "", registries)
    seen = once.plan(config, ending)
    deployments = _deployments(config, seen, ending.owner, force)
    if not deployments:
        raise BridgeError("\n".join((*seen.wrong, "nothing was withdrawn")))
    rows = [row for row in _rows(seen, ending.owner) if (row["registry"], row["target"]) in deployments]
    records = sum(row["records"] for row in rows)
    if owner not in (None, config.root.owner) and not records and not force and _unknown(seen, ending.owner):
        what = f"no bridge has written there as {owner}; correct --owner, or say --force; nothing was changed"
        raise BridgeError("\n".join((*seen.wrong, what)))
    failed = list(seen.wrong)
    left: dict[Place, int] = {}
    if records or not all(row["tombstone"] for row in rows):
        for line in _going(one for one in seen.exported if (one.registry, one.target) in deployments):
            output.note(line)
        output.confirm(yes, _question(records, ending.owner))
        after = once.withdraw(config, ending, deployments)
        failed += once.failures(after)
        left = {(one.registry, one.target): one.records for one in after.exported}
    if not output.document(output_, {"owner": ending.owner, "withdrawn": rows, "failed": failed}):
        for row in rows:
            stays = left.get((row["registry"], row["target"]), 0)
            but = f"; {output.many(stays, 'record')} still there" if stays else ""
            output.say(f"{place(row)}: withdrawn: {output.many(row['records'] - stays, 'record')}{but}")
        output.say(f"a bridge of {ending.owner} writes nothing there until `registry-bridge adopt`")
    for line in failed:
        output.note(f"error: {line}")
    if failed:
        raise click.exceptions.Exit(1)


def _unknown(seen: "Seen", owner: str) -> bool:
    return not any(claim.owner == owner for claims in seen.claims.values() for claim in claims)


def _question(records: int, owner: str) -> str:
    if records:
        return f"Remove all {output.many(records, 'record')} of {owner}?"
    return f"{owner} has no records there; keep it from writing any until `adopt`?"


def _rows(seen: "Seen", owner: str) -> list[dict[str, Any]]:
    return [
        {
            "registry": one.registry,
            "target": one.target,
            "records": one.records,
            "services": len(one.plans),
            "tombstone": any(it.tombstone for it in seen.claims[one.registry, one.target] if it.owner == owner),
        }
        for one in seen.exported
    ]


def _going(them: Iterable["Exported"]) -> Iterable[str]:
    """What will be removed where, its first services by name."""
    for one in them:
        names = [str(name) for name in sorted(one.plans) if one.plans[name].changes]
        named = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        where = f"{one.registry} {one.target}".strip()
        yield f"{where}: {output.many(one.records, 'record')} will be removed{f': {named}' if named else ''}"


def _deployments(config: "Config", seen: "Seen", owner: str, force: bool) -> dict[Place, str]:
    """In whose name each target that was read is written: ours, or with --force that of whoever claims it."""
    from bridge.cli import once

    ours = once.deployment(config)
    chosen: dict[Place, str] = {}
    alive: list[str] = []
    for one in seen.exported:
        key = one.registry, one.target
        theirs = _of(seen.claims[key], owner)
        if not one.complete:
            continue
        if theirs is None or theirs.deployment == ours:
            chosen[key] = ours
        elif force or theirs.tombstone:
            chosen[key] = theirs.deployment
        elif once.fresh(theirs, seen.wall):
            alive.append(_alive(key, theirs, seen.wall))
        else:
            chosen[key] = ours
            where = " ".join(key).strip()
            output.note(f"note: {where}: for a minute it is watched whether {theirs.deployment} still renews its claim")
    if alive:
        raise BridgeError("\n".join((*alive, "stop that bridge, or say --force; nothing was changed")))
    return chosen


def _of(claims: Sequence[Claim], owner: str) -> Claim | None:
    return max((one for one in claims if one.owner == owner), key=lambda one: one.term, default=None)


def _alive(key: tuple[str, ...], claim: Claim, wall: float) -> str:
    return (
        f"{' '.join(key).strip()}: another bridge (deployment {claim.deployment}) writes there as {claim.owner}: "
        f"it renewed its claim {max(0.0, wall - claim.beat):.0f} s ago"
    )


@click.command(short_help="Take over what another owner wrote, or end a withdrawal.")
@click.option("--from", "former", callback=_owner, metavar="OWNER", help="What `owner:` was before it was renamed.")
@click.option(
    "--nodes",
    multiple=True,
    metavar="GLOB",
    help="What hands registered on nodes of these names, for which ours is to stand; may be repeated.",
)
@_registries
@_yes
@_force
@options.config
@output.option
def adopt(
    *,
    former: str | None,
    nodes: tuple[str, ...],
    registries: tuple[str, ...],
    yes: bool,
    force: bool,
    path: Path | None,
    output_: str,
) -> None:
    """Take over the records of another owner, after `owner:` was renamed; without --from, end a withdrawal.

    Every record gets the mark of the owner that the configuration has now, and stays what it says; the claim of the old
    one is closed. An owner that never wrote there is refused. What nobody wants any more is then withheld as any orphan
    is: see `registry-bridge plan`.

    With --nodes, take the place of what hands registered in a Consul without an agent: each instance that an export
    says too goes in the moment in which ours is written, by the bridge that runs; all others stay, and each says why.
    What will go is shown first, with what ours does not have of it. Nodes that are left empty go last. It may be
    interrupted at any time, and said again.

    Exit codes: 0 taken over, 1 something was not, or was refused, 2 the configuration will not do.

    \b
    Examples:
      registry-bridge adopt --from prod-old
      registry-bridge adopt --registry vms
      registry-bridge adopt --nodes "db-*" --nodes mail-1
    """
    from bridge.cli import once, takeover
    from bridge.runtime.clock import SystemClock

    config = options.load(path)
    if nodes:
        if former is not None or force:
            raise click.UsageError("--nodes is about what no bridge wrote; leave out --from and --force")
        hands.take_over(config, nodes, registries, yes=yes, output_=output_)
        return
    owner = config.root.owner
    if former is not None and former == owner:
        raise click.UsageError(f"{former} is the owner that the configuration has; --from names the one before")
    seen, failed = takeover.look(config, former or "", registries)
    ours, wall = once.deployment(config), SystemClock().wall()
    alive = [
        _alive((one.registry, one.target), one.former, wall)
        for one in seen
        if one.former is not None and one.former.deployment != ours and once.fresh(one.former, wall) and not force
    ]
    if alive:
        raise BridgeError("\n".join((*alive, "stop that bridge, or say --force; nothing was changed")))
    if not seen:
        raise BridgeError("\n".join((*failed, "nothing was changed")))
    if former is None and not any(one.withdrawn for one in seen):
        what = f"{owner} was withdrawn from none of them; say --from to take over what another owner wrote"
        raise BridgeError("\n".join((*failed, what)))
    if former is not None and not force and all(one.former is None for one in seen):
        what = f"no bridge has written there as {former}; correct --from, or say --force; nothing was changed"
        raise BridgeError("\n".join((*failed, what)))
    rows: list[dict[str, Any]] = [
        {"registry": one.registry, "target": one.target, "records": one.records, "withdrawn": one.withdrawn}
        for one in seen
    ]
    for row in rows:
        what = f"{output.many(row['records'], 'record')} of {former} and {owner}" if former else "the withdrawal ends"
        output.note(f"{place(row)}: {what}")
    question = f"Take over what {former} wrote, as {owner}?" if former else f"Let {owner} write there again?"
    output.confirm(yes, question)
    failed = takeover.adopt(config, former or "", registries).failed
    if not output.document(output_, {"owner": owner, "from": former, "adopted": rows, "failed": list(failed)}):
        for row in rows:
            done = (
                f"{output.many(row['records'], 'record')} with the mark of {owner}" if former else f"{owner} may write"
            )
            output.say(f"{place(row)}: {done}")
    for line in failed:
        output.note(f"error: {line}")
    if failed:
        raise click.exceptions.Exit(1)
