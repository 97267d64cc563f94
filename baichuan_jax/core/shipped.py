"""Where `configs/` and `experiments/` are: in the checkout, or inside the installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_COPIES = _PACKAGE / "shipped"  # setup.py copies both folders there when it builds a wheel
INSTALLED = _COPIES.is_dir()
SHIPPED = _COPIES if INSTALLED else _PACKAGE.parent
