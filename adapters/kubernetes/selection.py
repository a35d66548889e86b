"""Which Services count: by namespace, name, labels and their own word."""

from dataclasses import dataclass

from adapters.kubernetes.objects import MULTICLUSTER, SYNC, KubeService
from adapters.kubernetes.selector import Selector
from bridge.adapter import Problem
from bridge.kit.names import ANY, Namespaces, Pattern
from bridge.kit.place import excerpt
from bridge.model import ServiceName


@dataclass(frozen=True, slots=True)
class Selection:
    """Which Services count; with `opt_in` those only that say so of themselves. Any of the `services` is enough."""

    namespaces: Namespaces
    services: tuple[Pattern, ...]
    selector: Selector
    opt_in: bool

    def admits(self, service: KubeService) -> bool:
        """Whether the Service counts.

        One that is a name for another host never does; nor does one that stands for a service of several clusters
        (Multi-Cluster Services derive it, under a name that nobody chose): each cluster says its own.
        """
        labels = dict(service.labels)
        if service.type == "ExternalName" or MULTICLUSTER in labels:
            return False
        if not self.namespaces.admit(service.key.namespace):
            return False
        said = asked(service)
        if said is False or (self.opt_in and said is None):
            return False
        name = ServiceName(*service.key)
        return any(one.matches(name) for one in self.services) and self.selector.admits(labels)


def pattern(glob: str) -> Pattern:
    """A glob over the name of a Service in any namespace, or over `namespace/name`; ValueError when it is none."""
    return Pattern(glob if "/" in glob else f"{ANY}/{glob}")


def asked(service: KubeService) -> bool | None:
    """What the Service says of itself by its annotation, None when nothing that can be understood."""
    return {"true": True, "false": False}.get(dict(service.annotations).get(SYNC, ""))


def misunderstood(service: KubeService) -> Problem | None:
    """The annotation by which a Service says something of itself that cannot be understood."""
    said = dict(service.annotations).get(SYNC)
    if said is None or asked(service) is not None:
        return None
    what = f'annotation {SYNC} is {excerpt(said)}, and counts as nothing: write "true" or "false"'
    return Problem("annotation", str(service.key), what, ServiceName(*service.key))
