"""Programs of Go that tests run: built once from the tool dependencies of a module file, and kept in the cache."""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.testing.envoy import cache

_BUILD_TIMEOUT = 5400.0
"""Seconds for one program; kube-apiserver takes 220 on two idle cores, and half an hour beside ten others at work."""


class NoProgramError(Exception):
    """A program cannot be had here; the message says why and what to do."""


def build(
    module: Path, programs: Mapping[str, str], say: Callable[[str], None] = lambda _: None, *, link: str = ""
) -> dict[str, Path]:
    """Where each program (name → its Go package) of the module in this folder is, built first where it is not.

    What is built is kept under the digest of the module's pins and sources, so that others are another build; a folder
    within that has a `go.mod` is a module of its own. `say` is told when one begins; `link` are further flags for the
    linker. Raises NoProgramError.
    """
    others = [one.parent for one in module.glob("*/**/go.mod")]
    own = [one for one in sorted(module.rglob("*.go")) if not any(one.is_relative_to(other) for other in others)]
    sources = (module / "go.mod", module / "go.sum", *own)
    digest = hashlib.sha256(b"".join(one.read_bytes() for one in sources) + link.encode()).hexdigest()[:12]
    home = cache() / f"go-{module.name}-{digest}"
    home.mkdir(parents=True, exist_ok=True)
    made = {name: home / name for name in programs}
    with (home / "busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        for name, path in made.items():
            if not path.exists():
                say(f"building {name} into {home} (once; minutes)")
                _build(module, programs[name], path, link)
    return made


def _build(module: Path, package: str, path: Path, link: str) -> None:
    go = shutil.which("go")
    if go is None:
        raise NoProgramError(f"{path.name}: there is no `go` on the PATH to build it; install Go 1.26 or newer")
    fresh = path.with_suffix(".new")
    flags = ["-mod=readonly", "-trimpath", f"-ldflags=-s -w {link}"]
    command = [go, "build", "-C", str(module), *flags, "-o", str(fresh), package]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        what = f"`go build` took more than {_BUILD_TIMEOUT:.0f} s; Go keeps what it compiled, so try again"
        raise NoProgramError(f"{path.name}: {what}") from None
    if result.returncode:
        raise NoProgramError(f"{path.name}: `go build` failed (needed: Go 1.26, and a Go module proxy): {_end(result)}")
    fresh.replace(path)


def _end(result: subprocess.CompletedProcess[str]) -> str:
    return " / ".join((result.stderr or result.stdout).strip().splitlines()[-3:])
