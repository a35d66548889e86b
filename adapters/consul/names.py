"""Names of a Consul as names of services: lower-case labels, none twice, none lost without a word.

A Consul takes any text as a name. What a name was is told where it had to be changed.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from bridge.adapter import Problem
from bridge.kit.names import digested, normalised
from bridge.kit.place import excerpt
from bridge.model import ServiceName


class Named(NamedTuple):
    """`by` are the services by what they are called in the Consul; `apart`, in lower case, came to another's name."""

    by: Mapping[str, ServiceName]
    problems: tuple[Problem, ...]
    apart: frozenset[str]


def name(spelled: Iterable[str], namespace: str, own: Mapping[str, ServiceName], before: Collection[str] = ()) -> Named:
    """The names of what is spelled so; `own` are those that were given by the operator.

    Names that differ in upper and lower case only are one, as they are for Consul, which answers for all of them at
    once. Of others that come to the same name the one has it that was given it or is it already, else the first. The
    rest have a digest behind theirs, and so has what cannot be a label. Who was `apart` `before` stays it when the
    other is gone: nobody inherits a name unasked. Nothing that a Consul says tells who was: it is remembered, and after
    a restart known by what was served before it (`told_apart`).
    """
    once = {text.lower(): text for text in sorted(spelled, key=lambda text: (text in own, text))}
    wanted: dict[ServiceName, list[str]] = {}
    changed: dict[str, str] = {}
    apart = set()
    for text in sorted(once.values()):
        try:
            service = own.get(text) or ServiceName(namespace, normalised(text))
        except ValueError as error:
            changed[text] = str(error)
            continue
        if text.lower() in before and text not in own:
            apart.add(text.lower())
            changed[text] = f"comes to the name {service}, as another did that is gone"
        else:
            wanted.setdefault(service, []).append(text)
    by: dict[str, ServiceName] = {}
    for service, texts in wanted.items():
        first, *others = sorted(texts, key=lambda text: (text not in own, text != service.name, text))
        by[first] = service
        apart.update(map(str.lower, others))
        changed |= {other: f"comes to the name {service}, as {shown(first)} does" for other in others}
    problems, taken = [], set(by.values())
    for text, why in sorted(changed.items()):
        given = _digested(text, namespace)
        if given is None or given in taken:
            fate = "it is left out"
        else:
            by[text] = given
            taken.add(given)
            fate = f"it is {given} here"
        what = f"{why}; {fate}: give it a name of its own under `import.names`"
        problems.append(Problem("name", f"service {shown(text)}", what, given))
    return Named(by, tuple(problems), frozenset(apart))


def told_apart(named: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Of spellings and what their services are called, who has a digest since the name was another's; lower case."""
    return frozenset(text.lower() for text, called in named if _is_apart(text, called))


def _is_apart(text: str, called: str) -> bool:
    try:
        return called == digested(text) and called != normalised(text)
    except ValueError:
        return False  # it has a digest whoever else is there


def shown(text: str) -> str:
    """A name as a message may repeat it."""
    return text if len(text) <= 100 and text.isprintable() else excerpt(text)


def _digested(text: str, namespace: str) -> ServiceName | None:
    """None where not even that can be made of it."""
    try:
        return ServiceName(namespace, digested(text))
    except ValueError:
        return None
