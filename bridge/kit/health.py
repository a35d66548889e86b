"""How the part of the configuration is written down that says how a registry's endpoints are checked from here."""

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bridge.kit.names import Pattern
from bridge.kit.place import excerpt
from bridge.kit.strict import Duration, PortLabel, Several, Strict, write_duration
from bridge.kit.tls import TlsSettings

SHORTEST = 0.1
"""Seconds between two checks of an endpoint, at least."""


def _glob(text: str) -> str:
    return Pattern(text).text


def _path(text: str) -> str:
    if not re.fullmatch(r"/[!-~]*", text, re.ASCII) or "#" in text:
        raise ValueError(f"{excerpt(text)} is no path of a URL; write such as /health")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"(?:[-A-Za-z0-9._]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", text, re.ASCII):
        raise ValueError(f"{excerpt(text)} is no host; write such as shop.example, or shop.example:8080")
    return text


def _number(value: Any) -> Any:
    """A single status is a number in YAML."""
    return str(value) if type(value) is int else value


def _statuses(text: str) -> str:
    first, _, last = text.partition("-")
    if not re.fullmatch(r"[1-5][0-9]{2}(?:-[1-5][0-9]{2})?", text, re.ASCII) or int(last or first) < int(first):
        raise ValueError(f"{excerpt(text)} says no statuses; write such as 200-399, or 204")
    return text


_Statuses = Annotated[str, BeforeValidator(_number, json_schema_input_type=int | str), AfterValidator(_statuses)]


class TcpCheckSettings(Strict):
    """A connection is made, and given up at once."""

    port: PortLabel = Field(default=None, description="by name or by number; default: the primary one")
    interval: Duration = Field(default="10s", validate_default=True, description="the time between two checks")
    timeout: Duration = Field(default="2s", validate_default=True, description="after it silence is a failure")
    rise: int = Field(default=2, ge=1, le=100, description="so many passes in a row make what had failed healthy")
    fall: int = Field(
        default=3, ge=2, le=100, description="so many failures in a row make unhealthy; one alone says nothing"
    )

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.interval < SHORTEST:
            raise ValueError(f"`interval` is at least {write_duration(SHORTEST)}")
        if not 0 < self.timeout <= self.interval:
            said, most = write_duration(self.timeout), write_duration(self.interval)
            default = "" if "timeout" in self.model_fields_set else " by default"
            raise ValueError(f"`timeout` is {said}{default}; write more than 0s, and no more than `interval`, {most}")
        return self


class HttpCheckSettings(TcpCheckSettings):
    """A GET over HTTP, by TLS where `tls` is there; no redirect is followed, and nothing but the status is read."""

    path: Annotated[str, AfterValidator(_path)] = "/"
    host: Annotated[str, AfterValidator(_host)] | None = Field(
        default=None, description="sent as `Host`, and whom a certificate must be for; default: the endpoint's address"
    )
    expect: _Statuses = Field(default="200-399", description="the statuses that are a pass")
    tls: TlsSettings | None = Field(
        default=None, description="HTTPS, and whom to believe; {} believes whom the system does"
    )

    def passes(self) -> range:
        """The statuses that are a pass."""
        first, _, last = self.expect.partition("-")
        return range(int(first), int(last or first) + 1)


class CheckSettings(Strict):
    """One way of checking, and of which services."""

    services: Annotated[Several[Annotated[str, AfterValidator(_glob)]], Field(min_length=1)] = Field(
        default=("*",), description="globs over namespace/name; the first check that names a service is its own"
    )
    tcp: TcpCheckSettings | None = None
    http: HttpCheckSettings | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.tcp is None) == (self.http is None):
            raise ValueError("says how to check once; write `tcp: {}`, or `http: {path: /health}`")
        return self

    @property
    def how(self) -> TcpCheckSettings | HttpCheckSettings:
        found = self.tcp if self.http is None else self.http
        assert found is not None
        return found


def _one_or_several(value: Any) -> Any:
    if isinstance(value, dict):
        return (value,)
    if not isinstance(value, list | tuple):
        raise ValueError(f"{excerpt(value)} is no check; write such as {{tcp: {{}}}}, or a list of such")  # noqa: TRY004  # told like the rest
    return tuple(value)


def _each_in_turn(checks: tuple[CheckSettings, ...]) -> tuple[CheckSettings, ...]:
    """A check behind one that is for every service would never be made."""
    for number, one in enumerate(checks[:-1]):
        if not {"*", "*/*"}.isdisjoint(one.services):
            raise ValueError(f"[{number}] is for every service, and those behind it for none; write it last")
    return checks


def _or_one(schema: dict[str, Any]) -> None:
    items = schema.pop("items")
    schema["anyOf"] = [items, {"type": schema.pop("type"), "items": items}]


Health = Annotated[
    tuple[CheckSettings, ...],
    BeforeValidator(_one_or_several),
    AfterValidator(_each_in_turn),
    Field(description="checks from here: one for all its services, or a list", json_schema_extra=_or_one),
]
"""One check or several, kept as a tuple."""
