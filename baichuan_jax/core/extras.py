"""How to install an extra of this package."""

from importlib.metadata import requires

from baichuan_jax.core.shipped import INSTALLED


def install_extra(extra: str) -> str:
    """Return the pip command: of a checkout by the extra's name, else with the packages that it stands for.

    By name pip would have to find the wheel again, which is on no index.
    """
    if not INSTALLED:
        return f"pip install -e '.[{extra}]'"
    found = [line.partition(";") for line in requires("baichuan-jax") or []]
    packages = [name.strip() for name, _, marker in found if f'extra == "{extra}"' in marker.replace("'", '"')]
    return " ".join(["pip install", *(f"'{package}'" for package in packages)])
