"""The command line: `baichuan-jax VERB CONFIG [--set Name.field=value]...`."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from baichuan_jax import __version__
from baichuan_jax.cli import (
    checkpoint,
    compare,
    configs,
    convert,
    evaluate,
    experiment,
    generate,
    goodput,
    inspect,
    plan,
    processes,
    replay,
    supervise,
    sweep,
    tune_inspect,
)
from baichuan_jax.cli.settings_help import settings_text
from baichuan_jax.cli.verbs import add_branch_arguments, verbs
from baichuan_jax.core.disk import mendable_writes
from baichuan_jax.core.errors import AGAIN, BUG, MISTAKE, TryAgain, UserError
from baichuan_jax.core.interrupt import STOPPED, Interrupted, StopRequest, goodbye, taking_signals
from baichuan_jax.core.memory import within_memory
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.recipe.load import load_with_origins
from baichuan_jax.recipe.table import STAGES, stages_by_verb

# What verbs take beside a config and --set.
OPTIONS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "data inspect": inspect.add_arguments,
    "data replay": replay.add_arguments,
    "branch": add_branch_arguments,
    "checkpoint verify": checkpoint.add_step,
    "checkpoint show": checkpoint.add_step,
    "convert export": convert.add_export_arguments,
    "evaluate": evaluate.add_arguments,
    "generate": generate.add_arguments,
    "goodput": goodput.add_arguments,
    "plan": plan.add_arguments,
    "train": supervise.add_arguments,
    "tune inspect": tune_inspect.add_arguments,
}
# Verbs that take no config of a run: {verb: (what it does, its help, what adds its arguments)}.
WITHOUT_RUN: dict[str, tuple[Callable[[argparse.Namespace], None], str, Callable[[argparse.ArgumentParser], None]]] = {
    "convert import": (
        convert.import_weights,
        "turn a Hugging Face checkpoint into a run of ours to start from",
        convert.add_import_arguments,
    ),
    "experiment": (
        experiment.experiment,
        "run a file of experiments/ by its name: tables, plots and one page",
        experiment.add_arguments,
    ),
    "compare": (compare.compare, compare.HELP, compare.add_arguments),
    "sweep": (sweep.sweep, sweep.HELP, sweep.add_arguments),
    "config list": (configs.list_configs, "list the configs that are shipped", configs.add_list_arguments),
    "config show": (configs.show_config, "print a shipped config", configs.add_show_arguments),
    "config copy": (configs.copy_config, "copy a shipped config here, to change it", configs.add_copy_arguments),
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(prog="baichuan-jax", description="The Baichuan-7B recipe, from raw text to report.")
    root.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parsers = root.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (_, help) in verbs().items():
        verb = parsers.add_parser(
            name,
            help=help,
            description=help,
            epilog=settings_text(part for stage in stages_by_verb().get(name, ()) for part in STAGES[stage].sections),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.add_argument("config", metavar="CONFIG", help="a gin file, or the name of a shipped one: quickstart")
        _add_overrides(verb)
        if name == "run" or name in stages_by_verb():
            redo = "make again what was made from other settings or sources; what is there of it is thrown away"
            verb.add_argument("--redo", action="store_true", help=redo)
        if name in OPTIONS:
            OPTIONS[name](verb)
        if name in STAGES and STAGES[name].multi_process:
            processes.add_arguments(verb)
    for name, (_, help, add_arguments) in WITHOUT_RUN.items():
        # resolve: `experiment` has a --help of its own
        verb = parsers.add_parser(name, help=help, description=help, conflict_handler="resolve")
        add_arguments(verb)
        if name == "experiment":
            _add_overrides(verb, "experiment NAME --help")
        if name == "sweep":
            _add_overrides(verb)
    return root


def _add_overrides(verb: argparse.ArgumentParser, shown_by: str = "explain CONFIG") -> None:
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME.FIELD=VALUE",
        dest="overrides",
        help=f"override one setting; may be repeated. `baichuan-jax {shown_by}` shows every one and its meaning",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Exit codes: 0 done, 1 a bug, 2 the user can mend it, 75 start again, 130 stopped on request."""
    # Native libraries log to standard error, where the progress is.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    _print_whatever_the_terminal_can()
    given = _joined(sys.argv[1:] if arguments is None else arguments)
    root = parser()
    if not given:
        root.print_help(sys.stderr)
        return MISTAKE
    if not _is_verb(given):
        return _explain_verbs(root, given)
    args, unknown = root.parse_known_args(given)
    if unknown:
        return _explain_options(root, given, unknown[0])
    stop = StopRequest()
    try:
        verb = f"`{args.verb}`"
        memory, disk = within_memory(verb, "let it do less at once"), mendable_writes(verb, "its output")
        with taking_signals() as stop, memory, disk:
            if args.verb in WITHOUT_RUN:
                WITHOUT_RUN[args.verb][0](args)
            else:
                verbs()[args.verb][0](load_with_origins(args.config, args.overrides), args)
    except Interrupted as interrupted:
        print(goodbye(str(interrupted)), file=sys.stderr)
        return STOPPED
    except TryAgain as passing:
        print(f"baichuan-jax: {passing}", file=sys.stderr)
        return AGAIN
    except BaseException as error:
        if stop.requested or isinstance(error, KeyboardInterrupt):  # which native code may have turned into another
            print(goodbye(), file=sys.stderr)
            return STOPPED
        if not isinstance(error, Exception):
            raise
        if not isinstance(error, UserError):  # not left to Python: at an orderly end JAX waits for other processes
            traceback.print_exception(error)
            return BUG
        print(f"baichuan-jax: {error}", file=sys.stderr)
        return MISTAKE
    return 0


def leave(code: int) -> NoReturn:
    """End the process; at once if work was cut short, for whose threads an orderly end would wait, or crash on them."""
    if code:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit()


def _print_whatever_the_terminal_can() -> None:
    """Have escapes stand for what the terminal's encoding lacks: it may be GBK, Latin-1 or ASCII."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _is_verb(arguments: Sequence[str]) -> bool:
    """Return whether these begin with a verb, or an option that stands before one; argparse explains the others."""
    return arguments[0].startswith("-") or arguments[0] in _names()


def _names() -> tuple[str, ...]:
    return (*verbs(), *WITHOUT_RUN)


def _explain_verbs(root: argparse.ArgumentParser, arguments: Sequence[str]) -> int:
    """Say which verbs there are where there is none of this name. Return the exit code."""
    word = arguments[0]
    names = _names()
    longer = [name for name in names if name.split()[0] == word]
    if longer and not set(arguments[1:]).isdisjoint(("-h", "--help")):
        for name in longer:
            print(_parsers(root)[name].format_help())
        return 0
    hint = f"; there are {', '.join(map(repr, longer))}" if longer else did_you_mean(" ".join(arguments[:2]), names)
    if not longer and not hint:
        hint = did_you_mean(word, names)
    known = "" if hint else f"; the verbs are {', '.join(names)}"
    print(f"baichuan-jax: there is no verb {word!r}{hint}{known} (baichuan-jax --help)", file=sys.stderr)
    return MISTAKE


def _explain_options(root: argparse.ArgumentParser, arguments: Sequence[str], word: str) -> int:
    """Say that the verb does not take `word`. Return the exit code."""
    verb = arguments[0]
    if word.startswith("-"):
        name = word.partition("=")[0]
        options = [option for action in _parsers(root)[verb]._actions for option in action.option_strings]
        what = f"has no option {name}{did_you_mean(name, options)}"
    else:
        of_two_words = [name for name in _names() if " " in name]
        what = f"takes no further argument: {word!r}{did_you_mean(' '.join(arguments[:2]), of_two_words)}"
    print(f"baichuan-jax: `{verb}` {what} (baichuan-jax {verb} --help)", file=sys.stderr)
    return MISTAKE


def _parsers(root: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return {verb: its parser}."""
    [parsers] = [action for action in root._actions if isinstance(action, argparse._SubParsersAction)]
    return parsers.choices


def _joined(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with a verb of two words as one."""
    first, rest = " ".join(arguments[:2]), arguments[2:]
    return [first, *rest] if first in _names() else list(arguments)


if __name__ == "__main__":
    leave(main())
