"""The inventory file that a bridge of the benchmarks reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge.kit import files


def write(path: Path, services: Sequence[dict[str, Any]]) -> None:
    """Have it say these, all at once."""
    files.replace(path, [json.dumps({"services": services}).encode()])
