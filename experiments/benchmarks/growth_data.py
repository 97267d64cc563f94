"""Time and memory of the data step as the text grows: 1, 2, 4 and 8 times as much.

Command: python -m experiments.benchmarks.growth_data [--corpora DIR ...] [--megabytes M]   Cost: M / 4 seconds in all,
and as much again to write the texts.

The texts are M megabytes of news, speeches and the texts of each DIR, half Chinese and half English. Further copies
have every fifth word replaced, so that hardly any text is a duplicate of another. One process does all the work; its
memory is the peak resident set of the operating system.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dedup.config import DedupConfig
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.run_phases import build_corpus
from baichuan_jax.jobs.config import RunnerConfig
from experiments.benchmarks.planted_duplicates import LANGUAGES, UNIT, passages

TIMES = (1, 2, 4, 8)
FIFTH = 5


def varied(text: str, language: str, strange: Sequence[str], rng: random.Random) -> str:
    """Return a text with every fifth unit replaced by a strange one."""
    units = UNIT[language].findall(text)
    places = range(rng.randrange(FIFTH), len(units), FIFTH)
    for place, unit in zip(places, rng.choices(strange, k=len(places))):
        units[place] = unit
    return "".join(units)


def write(language: str, texts: Sequence[str], number: int, directory: Path) -> None:
    """Write the texts, the first time as they are, then varied."""
    rng = random.Random(number)
    strange = [unit for text in texts[:200] for unit in UNIT[language].findall(text) if unit.strip().isalnum()]
    path = directory / f"{language}-{number}.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        for text in texts:
            file.write(json.dumps({"text": varied(text, language, strange, rng) if number else text}) + "\n")


def step(texts: Path, times: int, memory: int) -> None:
    """Run the data step on this many times the texts in this process; print the result."""
    parts = range(times)
    files = {language: ";".join(f"{texts}/{language}-{part}.jsonl.gz" for part in parts) for language in LANGUAGES}
    cfg = CorpusConfig(DataConfig(files, task_bytes=16_000_000), dedup=DedupConfig(memory=memory))
    funnels = build_corpus(cfg, RunnerConfig(), texts / f"out{times}")["funnel"].values()
    total = lambda part, key: sum(funnel[part][key] for funnel in funnels)
    read = f"{total('read', 'bytes') / 1e6:6.0f} MB, {total('read', 'documents'):7,} documents"
    print(f"{times} x: {read}, {total('kept', 'documents'):7,} kept; ", end="", flush=True)


def main() -> None:
    """Write the texts, and measure each size in a separate process."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpora", type=Path, action="append", default=[], help="a directory of more texts")
    arguments.add_argument("--megabytes", type=float, default=50.0, help="of text that is 1 x")
    arguments.add_argument("--memory", type=int, default=256, help="DedupConfig.memory, in megabytes")
    arguments.add_argument("--step", nargs=2, metavar=("TEXTS", "TIMES"), help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.step:
        return step(Path(args.step[0]), int(args.step[1]), args.memory)
    with tempfile.TemporaryDirectory() as scratch:
        for language in LANGUAGES:
            found, size = [], 0.0
            for text in passages(language, args.corpora, sys.maxsize):
                if size >= args.megabytes * 5e5:
                    break
                found.append(text)
                size += len(text.encode())
            for number in range(TIMES[-1]):
                write(language, found, number, Path(scratch))
        for times in TIMES:
            command = [sys.executable, "-m", __spec__.name, "--memory", str(args.memory), "--step", scratch, str(times)]
            start, child = time.monotonic(), subprocess.Popen(command)
            _, status, usage = os.wait4(child.pid, 0)
            if status:
                sys.exit("the data step failed")
            spent, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3
            print(f"{spent:.1f} s of processor time, {time.monotonic() - start:.1f} s; peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
