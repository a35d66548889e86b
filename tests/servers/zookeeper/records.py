"""Records as those write them who register there."""

import json


def curator(where: str, service: str = "web") -> bytes:
    """As Curator 5.9 writes it; `where` is `10.0.0.1:80`."""
    host, _, port = where.rpartition(":")
    said = {
        "name": service, "id": where, "address": host, "port": int(port), "sslPort": None, "payload": None,
        "registrationTimeUTC": 1700000000000, "serviceType": "DYNAMIC", "uriSpec": None,
    }  # fmt: skip
    return json.dumps(said, separators=(",", ":")).encode()
