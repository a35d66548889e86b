from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from bridge.config import Config, parse, schema
from bridge.errors import ConfigError
from bridge.runtime.checker import actives

FOLDER = Path("/etc/bridge")


def config(health: str) -> Config:
    text = f"registries:\n  - name: vms\n    kind: static\n    files: [vms.yaml]\n    health: {health}\n"
    return parse(text, FOLDER / "bridge.yaml")


def test_one_check_is_for_all_services_of_its_registry_with_the_documented_defaults() -> None:
    (settings,) = config("{tcp: {}}").registries
    (active,) = actives(settings.health)
    check = active.check
    assert (check.kind, check.port, [one.text for one in check.services]) == ("tcp", None, ["*"])
    assert (check.interval, check.timeout, check.rise, check.fall) == (10.0, 2.0, 2, 3)


def test_a_list_has_a_check_for_each_of_its_globs() -> None:
    shop, data = "{services: [shop/*], http: {path: /ok, port: admin, tls: {}}}", "{services: [data/*], http: {}}"
    (settings,) = config(f"[{shop}, {data}, {{tcp: {{port: 22, fall: 5}}}}]").registries
    assert [(one.check.place, one.check.kind, one.check.port) for one in actives(settings.health)] == [
        ("health[0]", "https", "admin"),
        ("health[1]", "http", None),
        ("health[2]", "tcp", 22),
    ]


@pytest.mark.parametrize(("written", "passes"), [("204", {204}), ("'204'", {204}), ("200-202", {200, 201, 202})])
def test_a_single_status_need_not_be_quoted(written: str, passes: set[int]) -> None:
    (settings,) = config(f"{{http: {{expect: {written}}}}}").registries
    (one,) = settings.health
    assert one.http is not None
    assert set(one.http.passes()) == passes


def test_a_registry_is_not_checked_by_default() -> None:
    text = "registries: [{name: vms, kind: static, files: [vms.yaml]}]"
    (settings,) = parse(text, FOLDER / "bridge.yaml").registries
    assert settings.health == ()


@pytest.mark.parametrize(
    ("health", "says"),
    [
        ("{tcp: {intervall: 3s}}", "health.tcp.intervall: unknown key; did you mean 'interval'?"),
        ("{tcp: {}, http: {}}", "health: says how to check once; write `tcp: {}`, or `http: {path: /health}`"),
        ("{}", "health: says how to check once; write `tcp: {}`, or `http: {path: /health}`"),
        ("{tcp: {fall: 1}}", "health.tcp.fall: must be greater than or equal to 2"),
        ("{tcp: {timeout: 20s}}", "`timeout` is 20s; write more than 0s, and no more than `interval`, 10s"),
        ("[{tcp: {interval: 1s}}]", "`timeout` is 2s by default; write more than 0s, and no more than `interval`, 1s"),
        ("{tcp: {timeout: 0s}}", "`timeout` is 0ms; write more than 0s"),
        ("{tcp: {interval: 50ms, timeout: 50ms}}", "`interval` is at least 100ms"),
        ("{services: [web], tcp: {}}", "'web' is not a pattern such as shop/payments, shop/* or */metrics"),
        ("{tcp: {port: 99999}}", "99999 is neither the name of a port nor a number between 1 and 65535"),
        ("{http: {path: health}}", "'health' is no path of a URL; write such as /health"),
        ("{http: {host: 'a b'}}", "'a b' is no host"),
        ("{http: {expect: 399-200}}", "'399-200' says no statuses; write such as 200-399, or 204"),
        ("{http: {expect: 2xx}}", "'2xx' says no statuses; write such as 200-399, or 204"),
        ("{http: {expect: 99}}", "'99' says no statuses"),
        ("tcp", "'tcp' is no check; write such as {tcp: {}}, or a list of such"),
        ("[{tcp: {}}, {services: [shop/web], http: {}}]", "[0] is for every service, and those behind it for none"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place_and_what_to_do(health: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(health)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("/etc/bridge/bridge.yaml:5: registries[0].health")
    assert says in line


@pytest.mark.parametrize("health", [{"tcp": {"interval": "5s"}}, [{"services": ["shop/*"], "http": {"expect": 204}}]])
def test_the_schema_accepts_one_check_and_several(health: object) -> None:
    validator = Draft202012Validator(schema())
    registry = {"name": "vms", "kind": "static", "files": ["vms.yaml"]}
    validator.validate({"registries": [registry | {"health": health}]})
    assert not validator.is_valid({"registries": [registry | {"health": {"tpc": {}}}]})
