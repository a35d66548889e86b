"""Ansible's own reader of inventories, run where the configuration says so: it may execute what an inventory holds."""

import os
from collections.abc import Sequence
from pathlib import Path

from bridge.errors import ConfigError
from bridge.kit import command as commands
from bridge.kit.files import MAX_BYTES

TIMEOUT = 30.0
"""Seconds until it must have ended."""

EACH = 60.0
"""Seconds between two runs of an inventory whose file does not change: what it draws on may."""

_PASSED = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "USER", "VIRTUAL_ENV")
"""What it may know of our environment, besides all that begins with ANSIBLE_: no secret of the bridge."""


async def listed(command: Sequence[str], path: Path, where: str) -> bytes:
    """What the tool says of one inventory, as JSON; ConfigError says why it says nothing, `where` being its place.

    What it writes on its standard error is not repeated: it may hold what an inventory keeps secret.
    """
    arguments = (*command, "--inventory", str(path), "--list")
    try:
        status, said = await commands.run(arguments, _environment(), TIMEOUT, MAX_BYTES)
    except TimeoutError:  # an OSError too
        raise ConfigError(f"{where}: {command[0]} has not ended after {TIMEOUT:g} s; run it by hand") from None
    except OSError as error:
        raise ConfigError(f"{where}: {command[0]} cannot be run: {error.strerror}; see `ansible.command`") from None
    except commands.TooMuchError:
        raise ConfigError(f"{where}: the tool says more than {MAX_BYTES:,} bytes; split the inventory") from None
    if status:
        run = " ".join(("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=1", *arguments))
        raise ConfigError(f"{where}: {command[0]} ends with {status}; see what it says: {run}")
    if not said.lstrip().startswith(b"{"):
        raise ConfigError(f"{where}: {command[0]} says nothing, or something else than JSON; is it ansible-inventory?")
    return said


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key in _PASSED or key.startswith("ANSIBLE_")}
    return kept | {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1", "ANSIBLE_NOCOLOR": "1"}
