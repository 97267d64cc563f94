"""What `baichuan-jax evaluate` takes beside a config."""

from __future__ import annotations

import argparse
from pathlib import Path

from baichuan_jax.core.errors import UserError, require


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the options of evaluation tasks."""
    verb.add_argument(
        "--tasks",
        metavar="NAMES",
        help="tasks, groups or tags of lm-eval, or the recipe's own (baichuan_ceval), by commas; without it: bits/byte",
    )
    verb.add_argument("--data-dir", type=Path, metavar="DIR", help="where the data sets are (default: the hub)")
    verb.add_argument("--limit", type=int, metavar="N", help="only the first N questions of each subject")
    verb.add_argument(
        "--fewshot", type=int, metavar="K", help="solved examples before a question (default: the task's)"
    )
    verb.add_argument("--chat", action="store_true", help="ask by the chat template, as a tuned model was trained")
    verb.add_argument(
        "--beside",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="the workdir of another model, for the leaderboard; may be repeated",
    )


def check(args: argparse.Namespace) -> list[str]:
    """Return the names of the tasks. Raise UserError on options that mean nothing."""
    names = [name for name in (args.tasks or "").split(",") if name]
    if not names:
        given = [option for option in ("data_dir", "limit", "fewshot") if getattr(args, option) is not None]
        given += ["chat"] if args.chat else []
        if given or args.tasks is not None:
            option = f"--{given[0]}".replace("_", "-") if given else "--tasks"
            raise UserError(f"{option} needs the names of tasks: --tasks mmlu,ceval-valid")
    for place in args.beside:
        require((place / "tasks").is_dir(), "--beside", str(place), "a workdir with results in tasks/")
    require(args.limit is None or args.limit > 0, "--limit", args.limit, "a positive number")
    require(args.fewshot is None or args.fewshot >= 0, "--fewshot", args.fewshot, "0 or more")
    require(args.data_dir is None or args.data_dir.is_dir(), "--data-dir", str(args.data_dir), "a directory")
    return list(dict.fromkeys(names))
