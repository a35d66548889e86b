"""The bootstrap that is made for an Envoy."""

from typing import Any

import pytest

from bridge.xds.bootstrap import BridgeTls, bootstrap

BRIDGE = ("127.0.0.1", 18000)


def sources(made: dict[str, Any]) -> list[dict[str, Any]]:
    """Every place that asks the bridge for something over a stream of its own."""
    found = [cluster["eds_cluster_config"]["eds_config"]["api_config_source"]
             for cluster in made["static_resources"]["clusters"] if "eds_cluster_config" in cluster]  # fmt: skip
    return found + ([made["dynamic_resources"]["ads_config"]] if "dynamic_resources" in made else [])


def routes(made: dict[str, Any]) -> list[dict[str, Any]]:
    chain = made["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return chain["route_config"]["virtual_hosts"][0]["routes"]


@pytest.mark.promise("xDS-14")
@pytest.mark.parametrize("delta", [True, False])
@pytest.mark.parametrize("mode", ["ads", "eds"])
def test_the_node_is_sent_once_a_stream(mode, delta):
    made = sources(bootstrap(mode, BRIDGE, clusters=["shop/payments", "shop/ledger"], delta=delta))
    assert len(made) == (1 if mode == "ads" else 2)
    assert all(source["set_node_on_first_message_only"] for source in made)
    assert {source["api_type"] for source in made} == {"DELTA_GRPC" if delta else "GRPC"}


def test_endpoints_only_names_its_clusters_and_ads_none():
    def named(mode: Any) -> list[str]:
        clusters = bootstrap(mode, BRIDGE, clusters=["shop/payments"])["static_resources"]["clusters"]
        return [cluster["name"] for cluster in clusters]

    assert named("ads") == ["registry-bridge"]
    assert named("eds") == ["registry-bridge", "shop/payments"]


@pytest.mark.parametrize(("host", "kind"), [("127.0.0.1", "STATIC"), ("::1", "STATIC"), ("bridge.prod", "STRICT_DNS")])
def test_a_bridge_with_a_host_name_is_looked_up(host, kind):
    assert bootstrap("ads", (host, 18000))["static_resources"]["clusters"][0]["type"] == kind


@pytest.mark.parametrize(
    ("host", "name", "sni", "kind"),
    [
        ("bridge.prod", "", "bridge.prod", "DNS"),
        ("10.0.0.9", "", None, "IP_ADDRESS"),
        ("10.0.0.9", "b.prod", "b.prod", "DNS"),
    ],
)
def test_with_tls_the_bridge_must_prove_its_name(host, name, sni, kind):
    tls = BridgeTls("/etc/ca.pem", "/etc/envoy.pem", "/etc/envoy.key", name)
    made = bootstrap("ads", (host, 18000), tls=tls)["static_resources"]["clusters"][0]["transport_socket"]
    context = made["typed_config"]
    assert context.get("sni") == sni
    names = context["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
    assert names == [{"san_type": kind, "matcher": {"exact": name or host}}]
    assert context["common_tls_context"]["tls_certificates"][0]["private_key"] == {"filename": "/etc/envoy.key"}


def test_an_envoy_without_a_certificate_shows_none():
    made = bootstrap("ads", BRIDGE, tls=BridgeTls("/etc/ca.pem"))["static_resources"]["clusters"][0]
    assert "tls_certificates" not in made["transport_socket"]["typed_config"]["common_tls_context"]


def test_only_requests_without_effects_are_tried_again_after_a_reset():
    reads, others = routes(bootstrap("ads", BRIDGE))
    assert reads["match"]["headers"][0]["string_match"]["safe_regex"]["regex"] == "GET|HEAD|OPTIONS"
    assert reads["route"]["retry_policy"]["retry_on"].split(",")[-1] == "reset"
    assert others["route"]["retry_policy"]["retry_on"].split(",")[-1] == "reset-before-request"
    assert "headers" not in others["match"]
    assert reads["route"]["cluster_header"] == others["route"]["cluster_header"] == "x-service"
