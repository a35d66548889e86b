"""An Envoy bootstrap that works with a bridge."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from bridge.traffic import RETRIES

HEADER = "x-service"
"""The request header that names the cluster."""

_BRIDGE = "registry-bridge"
_TYPES = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True, slots=True)
class BridgeTls:
    """How Envoy proves the bridge, and itself: files on the machine of Envoy.

    `ca` signed the bridge's certificate; `name` is what that certificate must be made out to, the host when "".
    `cert` and `key` are Envoy's own, "" where the bridge asks for none.
    """

    ca: str
    cert: str = ""
    key: str = ""
    name: str = ""


def bootstrap(
    mode: Literal["ads", "eds"],
    bridge: tuple[str, int],
    *,
    clusters: Sequence[str] = (),
    delta: bool = True,
    listen: tuple[str, int] = ("127.0.0.1", 10000),
    admin: tuple[str, int] = ("127.0.0.1", 9901),
    node: str = "envoy",
    node_cluster: str = "registry-bridge-clients",
    tls: BridgeTls | None = None,
) -> dict[str, Any]:
    """The bootstrap as plain values, ready to be written as YAML or JSON.

    "ads" takes every cluster from the bridge; "eds" has the named `clusters` in the file and takes their endpoints,
    over a stream a cluster. The listener sends a request to the cluster that its header `x-service` names.
    """
    made: dict[str, Any] = {
        "node": {"id": node, "cluster": node_cluster},
        "admin": {"address": _address(*admin)},
        "static_resources": {"listeners": [_listener(listen)], "clusters": [_bridge_cluster(bridge, tls)]},
    }
    source = {
        "api_type": "DELTA_GRPC" if delta else "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": _BRIDGE}}],
    }
    if mode == "ads":
        made["dynamic_resources"] = {
            "ads_config": source,
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
        }
    else:
        made["static_resources"]["clusters"] += [_eds_cluster(name, source) for name in clusters]
    return made


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _bridge_cluster(bridge: tuple[str, int], tls: BridgeTls | None) -> dict[str, Any]:
    cluster: dict[str, Any] = {
        "name": _BRIDGE,
        "type": "STATIC" if _is_literal(bridge[0]) else "STRICT_DNS",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {
                    # A bridge that vanished without a word is noticed, and the next address tried.
                    "http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}
                },
            }
        },
        "load_assignment": {
            "cluster_name": _BRIDGE,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(*bridge)}}]}],
        },
    }
    if tls is not None:
        cluster["transport_socket"] = _transport_socket(tls, tls.name or bridge[0])
    return cluster


def _transport_socket(tls: BridgeTls, name: str) -> dict[str, Any]:
    literal = _is_literal(name)
    context: dict[str, Any] = {
        "@type": f"{_TYPES}.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "validation_context": {
                "trusted_ca": {"filename": tls.ca},
                # Without this Envoy takes any certificate that the CA signed.
                "match_typed_subject_alt_names": [
                    {"san_type": "IP_ADDRESS" if literal else "DNS", "matcher": {"exact": name}}
                ],
            },
            "alpn_protocols": ["h2"],
        },
    }
    if not literal:
        context["sni"] = name
    if tls.cert:
        context["common_tls_context"]["tls_certificates"] = [
            {"certificate_chain": {"filename": tls.cert}, "private_key": {"filename": tls.key}}
        ]
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _eds_cluster(name: str, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "type": "EDS",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [{"max_retries": RETRIES}]},
        "eds_cluster_config": {"eds_config": {"resource_api_version": "V3", "api_config_source": source}},
    }


def _listener(listen: tuple[str, int]) -> dict[str, Any]:
    reads = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD|OPTIONS"}}}
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "route_config": {
            "name": "by-header",
            "virtual_hosts": [
                {
                    "name": "services",
                    "domains": ["*"],
                    "routes": [
                        # A request without effects is tried again after a reset too; any other one only when it
                        # cannot have reached a service.
                        _route({"prefix": "/", "headers": [reads]}, "connect-failure,refused-stream,reset"),
                        _route({"prefix": "/"}, "connect-failure,refused-stream,reset-before-request"),
                    ],
                }
            ],
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
            }
        ],
    }
    return {
        "name": "by-header",
        "address": _address(*listen),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _route(match: dict[str, Any], retry_on: str) -> dict[str, Any]:
    previous = "envoy.retry_host_predicates.previous_hosts"
    return {
        "match": match,
        "route": {
            "cluster_header": HEADER,
            "retry_policy": {
                "retry_on": retry_on,
                "num_retries": 3,
                "retry_back_off": {"base_interval": "0.010s", "max_interval": "0.100s"},
                "retry_host_predicate": [
                    {
                        "name": previous,
                        "typed_config": {"@type": f"{_TYPES}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
                    }
                ],
                "host_selection_retry_max_attempts": 5,
            },
        },
    }


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
