"""Whatever stands in a configuration is one, or is refused in clear lines."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import installed, parse
from bridge.errors import ConfigError
from tests.damage import JUNK, damaged

WHOLE: dict[str, Any] = yaml.safe_load("""
owner: prod-eu1
registries:
  - name: vms
    kind: static
    namespace: shop
    files: [inventory/*.ini, inventory/targets/*.json]
    urls: ["https://sd.example/targets"]
    http_sd: {refresh: 30s, token: {file: token}}
    file_sd: {service: job, zone: zone, weight: weight}
    format: auto
    ansible: {groups: {web: shop/web, "db*": "data/{group}"}, port: {var: service_port, default: 8080}}
    locality: {region: eu, zone: dc1}
    addresses: [10.20.0.0/16]
    removals: {settled: 15m, small: 15%, source: 10%, probe: true}
    export:
      - file: bridge.json
        format: file_sd
        services: ["shop/*"]
        from: [more]
        mode: upsert-only
        removals: {at_once: 10%, floor: 20, per: 10m}
        rate: {per_second: 50, burst: 200}
  - {name: more, kind: static, files: [more.yaml]}
services:
  shop/payments: {port: http}
  "shop/*": {cluster: {connect_timeout: 1s, lb: round_robin, outlier_detection: {interval: 10s}}}
xds: {listen: "127.0.0.1:18000", names: "{namespace}/{name}:{port}", insecure: false}
admin: {listen: "127.0.0.1:8080"}
probes: {listen: "0.0.0.0:8081"}
settle: {interval: 100ms}
start: {wait: 10s}
snapshot: {path: state, max_age: 1h}
leader: {kind: none}
log: {format: json, level: info}
""")
ADAPTERS = installed()

junk = st.sampled_from([*JUNK, "10s", "5%", "../x", "\u2028", 10**400, [[]], {"a": {"b": []}}])
keys = st.sampled_from(["owner", "name", "kind", "files", "export", "from", "x", "0", "listen", "file", "tls", "lb"])


@pytest.mark.promise("S-17")
@given(damaged(WHOLE, junk, keys))
def test_a_damaged_configuration_is_one_or_clear_lines(value: Any) -> None:
    survives(yaml.safe_dump(value, allow_unicode=True))


@pytest.mark.promise("S-17")
@given(st.text(max_size=60), st.integers(0, 1200))
def test_any_text_is_a_configuration_or_clear_lines(text: str, at: int) -> None:
    whole = yaml.safe_dump(WHOLE)
    survives(text)
    survives(whole[:at] + text + whole[at:])


def test_the_configuration_that_is_damaged_here_is_one() -> None:
    parse(yaml.safe_dump(WHOLE), Path("bridge.yaml"), ADAPTERS)


def survives(text: str) -> None:
    try:
        made = parse(text, Path("bridge.yaml"), ADAPTERS)
    except ConfigError as error:
        for line in str(error).split("\n"):
            assert line.startswith("bridge.yaml"), line
            assert line.isprintable(), line
    else:
        assert made.registries
        made.server()
        made.engine(None)
