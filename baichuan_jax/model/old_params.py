"""Parameter names of checkpoints from before embedding and head were separate modules.

They have `{"blocks": ..., "ends": {"table", "norm", "head", "positions"}}` instead of "embed", "head" and "positions".
Such a checkpoint is restored into its own tree and renamed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

OLD_KEY = "ends"


def old_name(name: str) -> str:
    """Return the old name of a parameter: "head.kernel" was "ends.head"."""
    part, _, rest = name.partition(".")
    if part == "blocks":
        return name
    return f"{OLD_KEY}.positions.{rest}" if part == "positions" else f"{OLD_KEY}.{'head' if rest == 'kernel' else rest}"


def to_old(tree: Any) -> Any:
    """Return a tree that contains parameters, or trees like them, with the old names."""

    def rename(params: dict) -> dict:
        old = {"table": params["embed"]["table"], "norm": params["head"]["norm"]}
        if "kernel" in params["head"]:
            old["head"] = params["head"]["kernel"]
        if "positions" in params:
            old["positions"] = params["positions"]
        return {"blocks": params["blocks"], OLD_KEY: old}

    return _map_params(rename, tree)


def from_old(tree: Any) -> Any:
    """Undo `to_old`."""

    def rename(params: dict) -> dict:
        old = params[OLD_KEY]
        head = {"norm": old["norm"]} | ({"kernel": old["head"]} if "head" in old else {})
        new = {"blocks": params["blocks"], "embed": {"table": old["table"]}, "head": head}
        return new | ({"positions": old["positions"]} if "positions" in old else {})

    return _map_params(rename, tree)


def _map_params(rename: Callable[[dict], dict], tree: Any) -> Any:
    is_params = lambda node: isinstance(node, dict) and "blocks" in node
    return jax.tree.map(lambda node: rename(node) if is_params(node) else node, tree, is_leaf=is_params)
