"""Which proxy leads to an API server."""

import pytest

from adapters.kubernetes.proxies import proxy_of

SERVER = "https://10.96.0.1:443"
OURS = {"https": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("server", "named", "environment", "wanted"),
    [
        (SERVER, None, {}, None),
        (SERVER, None, OURS, "http://proxy:3128"),
        (SERVER, None, {"http": "http://proxy:3128"}, None),
        (SERVER, None, {"all": "http://proxy:3128"}, "http://proxy:3128"),
        (SERVER, "https://other:8443", OURS, "https://other:8443"),
        (SERVER, "https://other:8443", {**OURS, "no": "*"}, "https://other:8443"),
        (SERVER, None, {**OURS, "no": "*"}, None),
        (SERVER, None, {**OURS, "no": "10.96.0.1"}, None),
        (SERVER, None, {**OURS, "no": "localhost, 10.0.0.0/8"}, None),
        (SERVER, None, {**OURS, "no": "192.168.0.0/16,not/a/network"}, "http://proxy:3128"),
        ("https://[fd00::1]:6443", None, {**OURS, "no": "fd00::/8"}, None),
        ("https://k8s.corp.example", None, {**OURS, "no": ".corp.example"}, None),
        ("https://k8s.corp.example", None, {**OURS, "no": "10.0.0.0/8"}, "http://proxy:3128"),
    ],
)
def test_it_is_the_one_that_is_named_or_the_environments(
    server: str, named: str | None, environment: dict[str, str], wanted: str | None
) -> None:
    assert proxy_of(server, named, environment) == wanted


def test_a_proxy_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="none of http or https; name another one, or none"):
        proxy_of(SERVER, "socks5://proxy:1080", {})
