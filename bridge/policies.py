"""Which traffic policy a service has: the layers of `services:`, least specific first."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bridge.kit.names import Pattern
from bridge.kit.settings import Duration, Strict
from bridge.kit.strict import PortLabel
from bridge.model import ServiceName
from bridge.traffic import ClusterPolicy, OutlierDetection, Policy


class OutlierSettings(Strict):
    """When Envoy turns away from a host by what it sees itself; the defaults are Envoy's own."""

    consecutive_5xx: int = Field(default=5, ge=1, le=1_000_000, description="failures in a row")
    interval: Duration = Field(default="10s", validate_default=True, description="how often Envoy looks")
    base_ejection_time: Duration = Field(
        default="30s", validate_default=True, description="how long the first time, longer each further time"
    )
    max_ejection_percent: int = Field(default=10, ge=0, le=100, description="of a cluster's hosts, or one")


def _outliers(value: Any) -> Any:
    return None if value is False else value


def _or_false(schema: dict[str, Any]) -> None:
    schema["anyOf"].append({"const": False})


class ClusterSettings(Strict):
    """What the CDS cluster of a service says."""

    connect_timeout: Duration = Field(default="1s", validate_default=True)
    lb: Literal["round_robin", "least_request", "random", "ring_hash", "maglev"] = "round_robin"
    outlier_detection: Annotated[OutlierSettings | None, BeforeValidator(_outliers)] = Field(
        default=OutlierSettings(), description="false turns it off", json_schema_extra=_or_false
    )


def _pattern(text: str) -> str:
    return Pattern(text).text


class ServiceSettings(Strict):
    """Traffic policy of the services that a name or a glob matches; the more specific one wins, key by key."""

    port: PortLabel = Field(default=None, description="the default port, by name or by number")
    cluster: ClusterSettings = ClusterSettings()


ServicesSettings = dict[Annotated[str, AfterValidator(_pattern)], ServiceSettings]


class Policies:
    """Service name to policy; equal policies are one object, over a reload too when `previous` is given."""

    def __init__(self, services: Mapping[str, ServiceSettings], previous: "Policies | None" = None) -> None:
        layers = sorted(((Pattern(key), settings) for key, settings in services.items()), key=lambda one: one[0].order)
        self._layers = [(pattern, settings.model_dump(mode="json", exclude_unset=True)) for pattern, settings in layers]
        self._exact = {layer[0].text: index for index, layer in enumerate(self._layers) if layer[0].exact}
        self._globs = [(index, layer[0]) for index, layer in enumerate(self._layers) if not layer[0].exact]
        self._known: dict[Policy, Policy] = {} if previous is None else previous._known
        self._made: dict[tuple[int, ...], Policy] = {}

    def __call__(self, name: ServiceName) -> Policy:
        """The policy of a service: from the least specific glob to its own name, later layers win key by key."""
        applies = [index for index, pattern in self._globs if pattern.matches(name)]
        if (own := self._exact.get(str(name))) is not None:
            applies.append(own)
        key = tuple(applies)
        policy = self._made.get(key)
        if policy is None:
            merged: dict[str, Any] = {}
            for index in key:
                _lay(merged, self._layers[index][1])
            made = _policy(ServiceSettings.model_validate(merged))
            policy = self._made[key] = self._known.setdefault(made, made)
        return policy


def _lay(under: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict):
            below = under.get(key)
            under[key] = dict(below) if isinstance(below, dict) else {}
            _lay(under[key], value)
        else:
            under[key] = value


def _policy(settings: ServiceSettings) -> Policy:
    cluster = settings.cluster
    outliers = cluster.outlier_detection
    detection = None
    if outliers is not None:
        detection = OutlierDetection(
            consecutive_5xx=outliers.consecutive_5xx,
            interval=outliers.interval,
            base_ejection_time=outliers.base_ejection_time,
            max_ejection_percent=outliers.max_ejection_percent,
        )
    return Policy(
        port=settings.port,
        cluster=ClusterPolicy(connect_timeout=cluster.connect_timeout, lb=cluster.lb, outlier_detection=detection),
    )
