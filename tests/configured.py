"""The part of a configuration that is an adapter's."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bridge.kit.document import load
from bridge.kit.settings import RegistrySettings, explain_errors

Settings = TypeVar("Settings", bound=RegistrySettings)


def configured(settings: type[Settings], text: str, folder: Path = Path("/etc/bridge")) -> Settings:
    """What an entry of `registries:` says, in a file of this folder; ConfigError as the bridge says it."""
    document = load(text, "bridge.yaml")
    try:
        return settings.model_validate(document.value, context={"folder": folder})
    except ValidationError as error:
        raise explain_errors(error, document, settings) from None
