"""What a bridge observes of a Consul in tests."""

from pathlib import Path
from typing import Any

from adapters.consul.settings import Settings
from bridge.model import SourceName
from tests.servers.consul.server import ROOT

NAME = SourceName("consul")


def settings(url: str, folder: Path, *, token: str = ROOT, **more: Any) -> Settings:
    """The registry `consul`, read with this token, "" for none."""
    file = folder / "bridge-token"
    file.write_text(token)
    said = {
        "name": NAME, "kind": "consul", "url": url, "timeout": "30s", "namespace": "shop",
        **({"token_file": file} if token else {}), **more,
    }  # fmt: skip
    return Settings.model_validate(said)
