"""Where etcd and kube-apiserver are: in KUBEBUILDER_ASSETS, on the PATH, in the cache, or built into it."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.golang import build

MODULE = Path(__file__).parent
PROGRAMS = {"etcd": "go.etcd.io/etcd/server/v3", "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"}


class Binaries(NamedTuple):
    """The two programs of which the test's Kubernetes is made."""

    etcd: Path
    apiserver: Path


def find(say: Callable[[str], None] = lambda _: None) -> Binaries:
    """Both of one place, built when there is none; raises NoProgramError."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for place in (assets, None) if assets else (None,):
        found = [shutil.which(name, path=place) for name in PROGRAMS]
        if all(found):
            return Binaries(*(Path(one) for one in found if one))
    made = build(MODULE, PROGRAMS, say, link=f"-X k8s.io/component-base/version.gitVersion={_version()}")
    return Binaries(made["etcd"], made["kube-apiserver"])


def _version() -> str:
    """What the server shall say that it is, since a module's build does not know."""
    (version,) = re.findall(r"^\tk8s\.io/kubernetes (v\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    return str(version)
