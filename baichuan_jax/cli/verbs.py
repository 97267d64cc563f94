"""What each verb of the command line does with a loaded config."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.console import Console

from baichuan_jax.cli.convert import export_weights
from baichuan_jax.cli.evaluate import check as check_tasks
from baichuan_jax.cli.generate import check as check_prompts
from baichuan_jax.cli.generate import prompts_of
from baichuan_jax.cli.inspect import inspect
from baichuan_jax.cli.pipeline import RECIPES, Pipeline
from baichuan_jax.cli.plan import plan
from baichuan_jax.cli.processes import process_group
from baichuan_jax.cli.serve import serve
from baichuan_jax.cli.summary import show, show_tasks
from baichuan_jax.config.explain import print_explain
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import require

Verb = Callable[[Loaded, argparse.Namespace], None]


def stages(*names: str) -> Verb:
    """Return a verb that builds these stages in turn. The whole run is checked before anything is written."""

    def verb(loaded: Loaded, args: argparse.Namespace) -> None:
        pipeline = Pipeline(loaded)
        with process_group(args, names, pipeline) as processes:
            pipeline.check(names)
            with pipeline.open(processes):
                for name in names:
                    result, skipped = pipeline.run(name, processes)
                    if processes.is_primary:
                        show(name, result, skipped)

    return verb


def generate(loaded: Loaded, args: argparse.Namespace) -> None:
    """Continues the texts of --prompt, --file or standard input and prints them; without any, builds the stage."""
    check_prompts(args)
    if not (args.prompt or args.file):
        return stages("generate")(loaded, args)
    prompts = prompts_of(args)
    pipeline = Pipeline(loaded)
    pipeline.check_model()
    from baichuan_jax.cli.stages.generate import show_continuations  # brings jax in

    show_continuations(pipeline.config, pipeline.workdir, prompts, args.symbols, args.json)


def evaluate(loaded: Loaded, args: argparse.Namespace) -> None:
    """Run the tasks of --tasks; without any, builds the stage: held-out bits per byte."""
    names = check_tasks(args)
    if not names:
        return stages("evaluate")(loaded, args)
    require(not args.coordinator, "--coordinator", args.coordinator, "none with --tasks: one process asks them")
    pipeline = Pipeline(loaded)
    if pipeline.config.train.steps:
        pipeline.alone("train").result()
    from baichuan_jax.cli.stages.tasks import run_tasks  # brings jax in

    with pipeline.open():
        results = run_tasks(pipeline.config, names, args.data_dir, args.limit, args.fewshot, args.beside)
    for result in results:
        show_tasks(result)


def explain(loaded: Loaded, args: argparse.Namespace) -> None:
    """Print every setting and where it came from."""
    print_explain(loaded, Console(highlight=False))


VERBS: dict[str, tuple[Verb, str]] = {
    "run": (stages(*RECIPES), "the whole recipe: data, tokenizer, tokens, train, evaluate, generate, report"),
    "data": (stages("data"), "sources to a cleaned, de-duplicated corpus"),
    "data inspect": (inspect, "look at what the data step kept and removed"),
    "tokenizer": (stages("tokenizer", "tokens"), "train the tokenizer and encode the corpus"),
    "train": (stages("train"), "train the decoder, or go on training it"),
    "evaluate": (evaluate, "held-out bits per byte, beside baselines, or --tasks mmlu,ceval-valid: the field's tests"),
    "generate": (generate, "continue the config's prompts, or --prompt TEXT, --file FILE, or what you type"),
    "serve": (serve, "answer OpenAI's clients over HTTP: completions, whole or as a stream"),
    "report": (stages("report"), "one page of everything the run has produced"),
    "convert export": (export_weights, "write the weights of a run as a Hugging Face checkpoint"),
    "plan": (plan, "memory, speed, time and cost of training on machines that are not here"),
    "explain": (explain, "print every setting and where it came from"),
}
