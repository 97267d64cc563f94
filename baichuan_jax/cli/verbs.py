"""What each verb of the command line does with a loaded config."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from baichuan_jax.cli.chat import show_answers
from baichuan_jax.cli.checkpoint import list_checkpoints, show_checkpoint, verify_checkpoints
from baichuan_jax.cli.convert import export_weights
from baichuan_jax.cli.evaluate import check as check_tasks
from baichuan_jax.cli.generate import check as check_prompts
from baichuan_jax.cli.generate import prompts_of, show_continuations
from baichuan_jax.cli.goodput import goodput
from baichuan_jax.cli.inspect import inspect
from baichuan_jax.cli.plan import plan
from baichuan_jax.cli.processes import process_group
from baichuan_jax.cli.progress import terminal_progress
from baichuan_jax.cli.replay import replay_step
from baichuan_jax.cli.serve import serve
from baichuan_jax.cli.summary import console, show, show_tasks
from baichuan_jax.cli.supervise import supervise
from baichuan_jax.cli.tune_inspect import inspect_conversations
from baichuan_jax.config.explain import print_explain
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import require
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.table import STAGES, needs_of, stages_by_verb, wanted
from baichuan_jax.recipe.workdir import CONFIG

Verb = Callable[[Loaded, argparse.Namespace], None]


def build_stages(*names: str) -> Verb:
    """Return a verb that builds these stages in turn, or those of several that the config has.

    The whole run is checked before anything is written.
    """
    asked = names

    def verb(loaded: Loaded, args: argparse.Namespace) -> None:
        run = Run(loaded.config, terminal_progress())
        names = asked if len(asked) == 1 else tuple(name for name in asked if name in wanted(loaded.config))
        if args.redo:
            run.pipeline.redo_changed(names)
        with process_group(args, names, run) as processes:
            run.pipeline.check(names)
            with run.pipeline.open(names, processes):
                needs = dict.fromkeys(
                    need for name in names for need in needs_of(name, loaded.config) if need not in names
                )
                for name in (*filter(run.pipeline.taken, needs), *names):
                    result, skipped = run.build_stage(name, processes)
                    if processes.is_primary:
                        show(name, result, skipped, run.pipeline.taken(name))

    return verb


def train(loaded: Loaded, args: argparse.Namespace) -> None:
    """Train here, or with --supervise in processes that are watched."""
    (supervise if args.supervise else build_stages("train"))(loaded, args)


def generate(loaded: Loaded, args: argparse.Namespace) -> None:
    """Continue or answer the texts of --prompt, --file or standard input; without any, build the stage."""
    check_prompts(args)
    if not (args.prompt or args.file):
        return build_stages("generate")(loaded, args)
    if args.chat:
        return show_answers(Run(loaded.config, terminal_progress()), args)
    prompts = prompts_of(args)
    show_continuations(Run(loaded.config, terminal_progress()), prompts, args.symbols, args.json)


def evaluate(loaded: Loaded, args: argparse.Namespace) -> None:
    """Run the tasks of --tasks; without any, build the stage: held-out bits per byte."""
    names = check_tasks(args)
    if not names:
        return build_stages("evaluate")(loaded, args)
    require(not args.coordinator, "--coordinator", args.coordinator, "none with --tasks: one process asks them")
    run = Run(loaded.config, terminal_progress())
    for result in run.run_tasks(names, args.data_dir, args.limit, args.fewshot, args.beside, args.chat):
        show_tasks(result)


def report(loaded: Loaded, args: argparse.Namespace) -> None:
    """Write the page, while stages are still to come: of what there is by now."""
    run = Run(loaded.config, terminal_progress())
    to_come = [name for name in run.pipeline.due("report") if name != "report"]
    if not to_come:
        return build_stages("report")(loaded, args)
    page = escape(run.report().page)
    console.print(f"[green]✓[/] report: {page}; still to come: {', '.join(to_come)}", soft_wrap=True)


def branch(loaded: Loaded, args: argparse.Namespace) -> None:
    """Begin a new run from a checkpoint."""
    new = Run(loaded.config, terminal_progress()).branch(args.to, args.step)
    goes_on = f"{args.to} goes on from step {args.step}: baichuan-jax train {new.workdir / CONFIG}"
    console.print(f"[green]✓[/] {escape(goes_on)}", soft_wrap=True)


def add_branch_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `branch` takes."""
    verb.add_argument("--step", type=int, required=True, help="step of the checkpoint")
    verb.add_argument("--to", required=True, metavar="WORKDIR", help="workdir of the new run")


def explain(loaded: Loaded, args: argparse.Namespace) -> None:
    """Print every setting and where it came from."""
    print_explain(loaded, Console(highlight=False))


# Verbs that build no stage, and verbs that can do more than to build theirs.
OTHERS: dict[str, tuple[Verb, str]] = {
    "data inspect": (inspect, "look at what the data step kept and removed"),
    "data replay": (replay_step, "print the documents of a step of the training, and whether they are those it had"),
    "tune inspect": (inspect_conversations, "look at the conversations that are tuned on, and at what is not"),
    "serve": (serve, "answer OpenAI's clients over HTTP: completions, whole or as a stream"),
    "convert export": (export_weights, "write the weights of a run as a Hugging Face checkpoint"),
    "checkpoint list": (list_checkpoints, "the checkpoints of a run, and those that were moved aside"),
    "checkpoint verify": (
        verify_checkpoints,
        "compare the files of checkpoints with the checksums in their manifests",
    ),
    "checkpoint show": (show_checkpoint, "what a checkpoint holds: place in the data, rate, versions, config, ..."),
    "goodput": (goodput, "where the wall time of training went, across restarts"),
    "plan": (plan, "memory, speed, time and cost of training on machines that are not here"),
    "branch": (branch, "begin a new run from a checkpoint of this one, to go on with other settings"),
    "explain": (explain, "print every setting and where it came from"),
}


OF_STAGES: dict[str, Verb] = {"evaluate": evaluate, "generate": generate, "report": report, "train": train}


def verbs() -> dict[str, tuple[Verb, str]]:
    """Return {verb: (what it does, its help)}."""
    found = {"run": (build_stages(*STAGES), f"the whole recipe: {', '.join(STAGES)}")}
    for verb, names in stages_by_verb().items():
        found[verb] = OF_STAGES.get(verb) or build_stages(*names), STAGES[verb].help
    return found | OTHERS
