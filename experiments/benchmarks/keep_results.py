"""Keep the figures of a finished experiment or run in experiments/results/, for README and docs to quote.

Command: python -m experiments.benchmarks.keep_results runs/experiments/NAME|runs/NAME ...   Writes
experiments/results/NAME.json: the record and tables of an experiment, or the results of the stages of a run. A test
compares what README and docs/results.md quote with these files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.lab.experiment import RECORD

RESULTS = Path(__file__).parents[1] / "results"
STAGES = ("data", "tokenizer", "tokens", "train", "evaluate")


def results_of(directory: Path) -> dict:
    """Return what is kept of a directory. Raise UserError if nothing has finished there."""
    if (directory / RECORD).is_file():
        record = read_json(directory / RECORD)
        return record | {"tables": {name: read_json(directory / f"tables/{name}.json") for name in record["tables"]}}
    found = {name: directory / name / "result.json" for name in STAGES}
    if missing := [str(path) for path in found.values() if not path.is_file()]:
        raise UserError(f"{directory}: no finished experiment, and no finished run: {missing[0]} is missing")
    return {name: read_json(path) for name, path in found.items()}


def main() -> None:
    """Keep each."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("directories", nargs="+", type=Path)
    for directory in arguments.parse_args().directories:
        path = RESULTS / f"{directory.name}.json"
        write_json(path, results_of(directory))
        print(path)


if __name__ == "__main__":
    main()
