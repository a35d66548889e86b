"""A command as somebody types it."""

from pathlib import Path

from click.testing import CliRunner, Result

from bridge.cli import main
from tests.running import log_as_before


def call(folder: Path | None, *arguments: str, given: str | None = None) -> Result:
    """What it says and how it ends, with the configuration of a folder; `given` is typed in."""
    where = () if folder is None else ("--config", str(folder / "bridge.yaml"))
    with log_as_before():
        result = CliRunner().invoke(main, [*arguments, *where], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result
