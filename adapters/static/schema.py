"""The JSON schema of a native inventory, for editors; the reader in `native` says the same, more helpfully."""

from typing import Any, Final

from adapters.static.records import HEALTH, MAX_WEIGHT
from bridge.kit.names import MAX_KEY, MAX_METADATA, MAX_VALUE

_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_WORD = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_METADATA = {
    "type": "object",
    "description": "whole numbers are kept as the text that they are",
    "maxProperties": MAX_METADATA,
    "propertyNames": {"minLength": 1, "maxLength": MAX_KEY},
    "additionalProperties": {"type": ["string", "integer"], "maxLength": MAX_VALUE},
}
_LOCALITY = {
    "type": "object",
    "properties": {"region": _WORD, "zone": _WORD, "sub_zone": _WORD},
    "additionalProperties": False,
}
_PORT_NAME = {"pattern": "^((?=.*[a-zA-Z])[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)?$"}  # "": the one without
_NOT_BOTH_PORTS = {"not": {"required": ["port", "ports"]}}

INVENTORY_SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Native inventory of the registry bridge",
    "type": "object",
    "required": ["services"],
    "additionalProperties": False,
    "properties": {
        "services": {"type": "array", "items": {"$ref": "#/$defs/service"}},
        "mark": {"type": "string", "description": "of the bridge that wrote the file; only at its beginning"},
        "count": {
            "type": "integer",
            "minimum": 0,
            "description": "number of services; at the end of the file it tells a whole file from a half written one",
        },
    },
    "$defs": {
        "service": {
            "type": "object",
            "required": ["name", "endpoints"],
            "additionalProperties": False,
            "properties": {
                "name": {
                    "type": "string",
                    "pattern": f"^({_LABEL}/)?{_LABEL}$",
                    "description": "namespace/name, or a name in the registry's `namespace:`",
                },
                "port": {**_PORT, "description": "the only port of its endpoints, without a name"},
                "ports": {
                    "type": "object",
                    "description": "name to number, for its endpoints; the first one is the primary port",
                    "propertyNames": _PORT_NAME,
                    "additionalProperties": _PORT,
                },
                "locality": _LOCALITY,
                "network": _WORD,
                "metadata": _METADATA,
                "endpoints": {"type": "array", "items": {"$ref": "#/$defs/endpoint"}},
            },
            **_NOT_BOTH_PORTS,
        },
        "endpoint": {
            "oneOf": [
                {
                    "type": "string",
                    "minLength": 1,
                    "description": "an IP address or a host name, with its own primary port as in 10.20.0.1:8081",
                },
                {
                    "type": "object",
                    "required": ["address"],
                    "additionalProperties": False,
                    "properties": {
                        "address": {"type": "string", "minLength": 1, "description": "an IP address or a host name"},
                        "port": {**_PORT, "description": "its own primary port"},
                        "ports": {
                            "type": "object",
                            "description": "laid over the service's, name by name; null takes one away",
                            "propertyNames": _PORT_NAME,
                            "additionalProperties": {"anyOf": [_PORT, {"type": "null"}]},
                        },
                        "health": {"enum": list(HEALTH)},
                        "zone": {**_WORD, "description": "short for a locality that differs in its zone"},
                        "locality": _LOCALITY,
                        "network": _WORD,
                        "weight": {"type": "integer", "minimum": 1, "maximum": MAX_WEIGHT},
                        "via": {
                            "type": "string",
                            "minLength": 1,
                            "description": "owners of the bridges it came through",
                        },
                        "metadata": _METADATA,
                    },
                    "allOf": [_NOT_BOTH_PORTS, {"not": {"required": ["zone", "locality"]}}],
                },
            ]
        },
    },
}
