"""What the configuration says of a registry of `kind: json-folder`."""

from typing import Literal

from pydantic import Field

from bridge.kit import Kit
from bridge.kit.settings import ConfigPath, Duration, RegistrySettings
from json_folder.registry import Folder


class Settings(RegistrySettings):
    """A folder with a JSON file for each service."""

    kind: Literal["json-folder"] = Field(description="which adapter reads it")
    folder: ConfigPath = Field(description="a relative one is taken from the configuration file's folder")
    poll: Duration = Field(default="1s", validate_default=True, description="time between two looks at the folder")

    def open(self, kit: Kit) -> Folder:
        return Folder(self.folder, self.poll, kit)
