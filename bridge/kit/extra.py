"""Packages that come with an extra of the distribution, and are looked for before they are used."""

from importlib.util import find_spec


def needs(package: str) -> None:
    """Raise ImportError where `package` is not installed.

    For an adapter whose library is slow to be imported, and so is when it is first used: that it is not there is told
    with the configuration, and not hours later.
    """
    if find_spec(package) is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
