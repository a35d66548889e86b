"""The peers of the benchmarks, in Go: built outside the tree, run beside ours."""

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "peers"


class NoGoError(Exception):
    """The peers cannot be built here; the message says why and what to do."""


def build() -> Path:
    """The folder with the binaries `server` and `client`, built anew where the source changed."""
    go = shutil.which("go")
    if go is None:
        raise NoGoError("peers: there is no `go` on the PATH; install Go 1.24 or newer to measure")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "registry-bridge" / "bench-peers"
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        [go, "build", "-C", str(SOURCE), "-trimpath", "-o", f"{folder}{os.sep}", "./..."],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if made.returncode:
        raise NoGoError(f"peers: `go build` failed: {made.stderr.strip()[-500:]}")
    return folder
