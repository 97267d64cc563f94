"""Where `configs/` and `experiments/` are: in the checkout, or inside the installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "shipped"  # setup.py copies both folders there when it builds a wheel
SHIPPED = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
