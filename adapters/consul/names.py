"""Names of a Consul as names of services: lower-case labels, none twice, none lost without a word.

A Consul takes any text as a name. What a name was is told where it had to be changed.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bridge.adapter import Problem
from bridge.kit.names import normalised
from bridge.kit.place import excerpt
from bridge.model import ServiceName


class Named(NamedTuple):
    """`by` are the services by what they are called in the Consul."""

    by: Mapping[str, ServiceName]
    problems: tuple[Problem, ...]


def name(spelled: Iterable[str], namespace: str, own: Mapping[str, ServiceName]) -> Named:
    """The names of what is spelled so; `own` are those that were given by the operator.

    Names that differ in upper and lower case only are one, as they are for Consul, which answers for all of them at
    once. Of others that come to the same name the one counts that was given it or is it already, else the first.
    """
    once = {text.lower(): text for text in sorted(spelled, key=lambda text: (text in own, text))}
    wanted: dict[ServiceName, list[str]] = {}
    problems = []
    for text in sorted(once.values()):
        try:
            service = own.get(text) or ServiceName(namespace, normalised(text))
        except ValueError as error:
            what = f"{error}; it is left out: give it a name of its own under `import.names`"
            problems.append(Problem("name", f"service {shown(text)}", what))
            continue
        wanted.setdefault(service, []).append(text)
    by: dict[str, ServiceName] = {}
    for service, texts in wanted.items():
        first, *others = sorted(texts, key=lambda text: (text not in own, text != service.name, text))
        by[first] = service
        for other in others:
            what = (
                f"comes to the name {service}, as {shown(first)} does; it is left out: give it a name of its own "
                "under `import.names`"
            )
            problems.append(Problem("name", f"service {shown(other)}", what, service))
    return Named(by, tuple(problems))


def shown(text: str) -> str:
    """A name as a message may repeat it."""
    return text if len(text) <= 100 and text.isprintable() else excerpt(text)
