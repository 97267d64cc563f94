"""Keep figures in experiments/results/, for README and docs to quote.

Command: python -m experiments.benchmarks.keep_results runs/experiments/NAME|runs/NAME ...   Writes
experiments/results/NAME.json: the record and tables of an experiment, or the results of the stages of a run.

Or: python -m experiments.benchmarks.keep_results --as NAME COMMAND ...   Runs a benchmark, or any other command that
prints its figures, and keeps what it prints, with the command, the commit, the date and the machine.

A test compares what README and docs/results.md quote with these files.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.core.machine import usable_cores
from baichuan_jax.core.revision import code_revision
from baichuan_jax.lab.experiment import RECORD

RESULTS = Path(__file__).parents[1] / "results"
STAGES = ("tokenizer", "tokens", "train", "evaluate")  # the results of the data step quote texts


def results_of(directory: Path) -> dict:
    """Return what is kept of a directory. Raise UserError if nothing has finished there."""
    if (directory / RECORD).is_file():
        record = read_json(directory / RECORD)
        return record | {"tables": {name: read_json(directory / f"tables/{name}.json") for name in record["tables"]}}
    found = {name: directory / name / "result.json" for name in STAGES}
    if missing := [str(path) for path in found.values() if not path.is_file()]:
        raise UserError(f"{directory}: no finished experiment, and no finished run: {missing[0]} is missing")
    return {name: read_json(path) for name, path in found.items()}


def printed_by(command: Sequence[str]) -> dict:
    """Run a command, which goes on printing, and return what is kept of it. Raise UserError if it fails."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    if process.returncode:
        raise UserError(f"nothing is kept: exit code {process.returncode} of {shlex.join(command)}")
    return {
        "origin": "printed by the command",
        "command": shlex.join(command),
        **code_revision(RESULTS.parents[1]).record(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {usable_cores()} cores",
        "printed": lines,
    }


def main() -> None:
    """Keep each."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--as", dest="name", metavar="NAME", help="run a command; the file is NAME.json")
    arguments.add_argument("what", nargs=argparse.REMAINDER, metavar="DIRECTORY|COMMAND")
    args = arguments.parse_args()
    kept = {args.name: printed_by(args.what)} if args.name else {Path(d).name: results_of(Path(d)) for d in args.what}
    for name, results in kept.items():
        write_json(RESULTS / f"{name}.json", results)
        print(RESULTS / f"{name}.json")


if __name__ == "__main__":
    main()
