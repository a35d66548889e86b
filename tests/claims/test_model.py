"""The values say what they are, and refuse what they cannot be."""

import pytest

from bridge.model import EndpointId, Health, Service, ServiceName
from tests.builders import endpoint, name, service


def test_a_service_name_reads_as_it_is_written() -> None:
    assert str(ServiceName.parse("shop/payments")) == "shop/payments"


@pytest.mark.parametrize("text", ["", "payments", "/payments", "shop/", "shop/pay/ments"])
def test_what_is_not_two_parts_is_no_service_name(text: str) -> None:
    with pytest.raises(ValueError, match="namespace/name"):
        ServiceName.parse(text)


def test_an_endpoint_is_known_by_its_address_and_primary_port() -> None:
    assert endpoint("10.0.0.1:80").id == EndpointId("10.0.0.1", 80)
    assert str(endpoint("[fd00::1]:80").id) == "[fd00::1]:80"
    assert str(endpoint("10.0.0.1:80").id) == "10.0.0.1:80"


def test_a_service_sorts_its_endpoints() -> None:
    assert service("a/b", "10.0.0.2:80", "10.0.0.1:81", "10.0.0.1:80") == service(
        "a/b", "10.0.0.1:80", "10.0.0.1:81", "10.0.0.2:80"
    )


def test_no_endpoint_stands_twice() -> None:
    with pytest.raises(ValueError, match=r"a/b: endpoint 10\.0\.0\.1:80 stands twice"):
        Service.of(name("a/b"), [endpoint("10.0.0.1:80"), endpoint("10.0.0.1:80", weight=2)])


def test_health_is_ordered_best_to_worst() -> None:
    assert sorted(Health) == [Health.HEALTHY, Health.DEGRADED, Health.DRAINING, Health.UNHEALTHY]
