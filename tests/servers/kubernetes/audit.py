"""Who made and changed which slice, and who leads by the election's Lease, as a server's audit log has it."""

import json
from pathlib import Path
from typing import Any

from tests.servers.kubernetes.leases import NAME
from tests.servers.pauses import Write

AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch"],
            "resources": [
                {"group": "discovery.k8s.io", "resources": ["endpointslices"]},
                {"group": "coordination.k8s.io", "resources": ["leases"]},
            ],
        },
        {"level": "None"},
    ],
}


def audited(folder: Path) -> tuple[Path, list[str]]:
    """Where the server writes who made and changed which slice, and the flags by which it does so."""
    policy, log = folder / "audit-policy.json", folder / "audit.log"
    policy.write_text(json.dumps(AUDIT))
    return log, [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking-strict"]


class Audit:
    """Reads a server's audit log as it grows."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._found: list[Write] = []

    def writes(self) -> list[Write]:
        """Every write so far, in the order in which they were made; what was refused stands behind the one before."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                self._found += _writes(json.loads(line), self._found[-1].order if self._found else 0)
        return sorted(self._found, key=lambda one: one.order)


def _writes(said: dict[str, Any], last: int) -> list[Write]:
    who, verb = said["user"]["username"], said["verb"]
    kind, name = said["objectRef"]["resource"], said["objectRef"].get("name", "")
    if said["responseStatus"].get("code", 0) >= 300:
        return [] if kind == "leases" else [Write(last, who, verb, name, refused=True)]
    made = said["responseObject"]
    name, version = made["metadata"]["name"], int(made["metadata"]["resourceVersion"])
    if kind != "leases":
        return [Write(version, who, verb, name)]
    return [Write(version, who, verb, name, bool(made["spec"].get("holderIdentity")))] if name == NAME else []
