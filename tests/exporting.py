"""A running bridge that writes what the memory registry `vms` knows into another, `out`."""

from pathlib import Path

from bridge.adapter import Target
from bridge.config import Config, parse
from bridge.model import SourceName
from bridge.runtime.exported import Exported, State
from bridge.testing.memory import MemoryRegistry
from bridge.testing.ports import free_port
from tests.running import ADAPTERS, Running

ONLY = Target("")


def config(folder: Path, text: str = "", export: str = "", services: str = "shop/*") -> Config:
    """`export` has further keys of the export, each as `, key: value`."""
    path = folder / "bridge.yaml"
    path.write_text(
        "owner: prod\n"
        "registries:\n"
        "- {name: vms, kind: memory}\n"
        f"- {{name: out, kind: memory, export: [{{services: ['{services}'], from: [vms]{export}}}]}}\n"
        f"admin: {{listen: '127.0.0.1:{free_port()}'}}\nxds: {{listen: '127.0.0.1:{free_port()}'}}\n"
        f"snapshot: {{path: state}}\nstart: {{wait: 2s}}\n{text}"
    )
    return parse(path.read_text(), path, ADAPTERS)


def said(registry: MemoryRegistry) -> dict[str, str]:
    """Record key to content."""
    return {str(key): content.decode() for key, content in registry.store.stands().items()}


def exported(bridge: Running) -> Exported:
    return bridge.state.engine.exported[SourceName("out"), ONLY].value


def in_step(bridge: Running) -> bool:
    return exported(bridge).state is State.IN_STEP and exported(bridge).complete
