"""What all converters do with what they read: gather it by services, and say what is left out."""

from collections.abc import Callable, Mapping, Sequence

from adapters.static.inventory import gathered
from adapters.static.records import IGNORED, Flaw, FlawError, Group, Made, Scope
from bridge.adapter import Problem
from bridge.errors import ConfigError
from bridge.kit.place import Path
from bridge.model import NOWHERE, Health, Service, ServiceName

Converted = tuple[Mapping[ServiceName, Service], Sequence[Problem]]

BACKUP = Health.DEGRADED
"""What a backup becomes: Envoy uses degraded endpoints as far as the others do not suffice."""


def scope(namespace: str) -> Scope:
    """Nothing is known of all endpoints but the namespace."""
    return Scope(namespace, NOWHERE, "")


def converted(where: str, place: Callable[[Path], str], read: Callable[[], Made]) -> Converted:
    """What `read` finds; ConfigError when it cannot be understood at all."""
    try:
        inventory = gathered(where, read(), place, judge=False)
    except FlawError as error:
        raise ConfigError(f"{place(error.path)}: {error.what}") from None
    return inventory.services, inventory.problems


def at_line(where: str) -> Callable[[Path], str]:
    """For formats whose flaws know the number of their line."""
    return lambda path: f"{where}:{path[0]}" if path else where


def ignored(words: set[str], of: str) -> list[Flaw]:
    """One flaw that names the settings which nothing here can say."""
    if not words:
        return []
    some = ", ".join(sorted(words)[:20])
    return [Flaw((), IGNORED, f"settings of {of} that an inventory does not have: {some}", "they are left out")]


def made(groups: Sequence[Group], flaws: Sequence[Flaw]) -> Made:
    """Without services of which no endpoint was understood."""
    return Made(tuple(group for group in groups if group.endpoints), tuple(flaws), 0, 0)
