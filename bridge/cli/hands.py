"""`adopt --nodes`: what hands registered goes for ours, and what stays says why."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import output
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from bridge.cli.inherit import Found, Inherited
    from bridge.config import Config


def take_over(config: "Config", nodes: Sequence[str], registries: Sequence[str], *, yes: bool, output_: str) -> None:
    """Show what would go and what stays, ask, and take the place of what goes; errors end the command."""
    from bridge.cli import inherit

    owner = config.root.owner or ""
    seen = inherit.look(config, nodes, registries)
    goes = [one for one in seen.found if not one.stranger.stays]
    instances = [one for one in goes if one.stranger.name]
    rows = [_found(one) for one in seen.found]
    if output_ == "table":
        _show(seen.found)
    if not goes:
        none = "none of it can be taken over" if seen.found else "no hand registered anything on such a node"
        output.document(
            output_, {"owner": owner, "found": rows, "removed": [], "empty": [], "failed": list(seen.wrong)}
        )
        raise BridgeError("\n".join((*seen.wrong, f"{none}; nothing was changed")))
    less = sum(1 for one in instances if one.stranger.loses)
    lossy = f" Of {less:,} of them ours has less than they say." if less else ""
    output.confirm(yes, f"Let {output.many(len(instances), 'instance')} go for those of {owner}?{lossy}")
    done = inherit.inherit(config, nodes, registries)
    failed = [*done.failed, *_left(done, owner)]
    told = {"owner": owner, "found": rows, "removed": list(done.cleared), "empty": list(done.empty), "failed": failed}
    if not output.document(output_, told):
        gone = max(len(instances) - len(done.left), 0)
        removed = f"; {output.many(len(done.cleared), 'node')} left empty, and removed" if done.cleared else ""
        output.say(f"{output.many(gone, 'instance')} taken over by {owner}{removed}")
    for line in done.empty:
        output.note(f"note: {line}")
    for line in failed:
        output.note(f"error: {line}")
    if failed:
        raise click.exceptions.Exit(1)


def _left(done: "Inherited", owner: str) -> Iterable[str]:
    """Why some of it stands there yet, by target."""
    for target in dict.fromkeys((one.registry, one.target) for one in done.left):
        count = sum(1 for one in done.left if (one.registry, one.target) == target)
        why = f"nobody writes there as {owner}: start the bridge, or say `registry-bridge apply --once`"
        if target not in done.alone:
            why = "the bridge has not written ours yet; `registry-bridge plan` says what is in its way"
        where = " ".join(target).strip()
        yield f"{where}: {output.many(count, 'instance')} let go and still there; {why}, and `adopt` again"


def _found(one: "Found") -> dict[str, Any]:
    it = one.stranger
    return {
        "registry": one.registry,
        "target": one.target,
        "node": it.place,
        "instance": it.name,
        "service": it.service,
        "where": it.where,
        "goes": not it.stays,
        "why": it.stays,
        "loses": list(it.loses),
    }


def _show(found: Iterable["Found"]) -> None:
    output.rows(
        "",
        ("in", "node", "instance", "of", "at", "goes", "what ours has not"),
        (
            (
                " ".join((one.registry, one.target)).strip(),
                one.stranger.place,
                one.stranger.name or "(empty)",
                one.stranger.service,
                one.stranger.where,
                f"no: {one.stranger.stays}" if one.stranger.stays else "yes",
                "; ".join(one.stranger.loses),
            )
            for one in found
        ),
        "nothing",
    )
