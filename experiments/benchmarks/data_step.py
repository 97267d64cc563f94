"""Run the data step once with the first package on the path, for `revisions.run_in`.

It reads JSON from standard input: {"sources", "evaluation_sets", "good", "bad"} and optionally "texts": an output file.
It prints {"package", "megabytes", "documents", "kept", "seconds": {phase: of processor time}, "whole"}; the file gets
{"kept": {domain: {source: text}}, "removed": {domain: {source: reason}}}.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import tempfile
import time
from pathlib import Path

import baichuan_jax
from baichuan_jax.data import funnel
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dataset import read_documents
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.select.config import SelectConfig
from baichuan_jax.data.split import SPLITS

try:
    from baichuan_jax.data.flow.run_phases import build_corpus
    from baichuan_jax.jobs.config import RunnerConfig
except ImportError:  # an older revision, with other names
    from baichuan_jax.data.engine.config import RunnerConfig
    from baichuan_jax.data.flow.build import build as build_corpus


def run_data_step(what: dict) -> dict:
    """Return what this module prints."""
    if "texts" in what:
        funnel.SAMPLES = 1 << 40  # of every document that goes, the reason
    quality = QualityConfig(good=tuple(what.get("good", ())), bad=tuple(what.get("bad", ())))
    select = SelectConfig(evaluation_sets=what.get("evaluation_sets", {}))
    cfg = CorpusConfig(DataConfig(what["sources"]), quality=quality, select=select)
    seconds: dict[str, float] = {}
    last = start = time.process_time()

    def progress(phase: str, _done: int, _of: int) -> None:
        nonlocal last
        now = time.process_time()
        seconds[phase] = seconds.get(phase, 0.0) + now - last
        last = now

    with tempfile.TemporaryDirectory() as directory:
        result = build_corpus(cfg, _runner(), Path(directory), progress)
        whole = time.process_time() - start
        if "texts" in what:
            Path(what["texts"]).write_text(json.dumps(_texts(result, Path(directory))), encoding="utf-8")
    read = [entry["read"] for entry in result["funnel"].values()]
    return {
        "package": inspect.getfile(baichuan_jax),
        "megabytes": sum(entry["bytes"] for entry in read) / 1e6,
        "documents": sum(entry["documents"] for entry in read),
        "kept": sum(domain["bytes"] for domain in result["domains"].values()) / 1e6,
        "seconds": seconds,
        "whole": whole,
    }


def _runner() -> RunnerConfig:
    """Return the runner settings: skip domains of a single document, if the revision supports it."""
    can_skip = "vanished" in RunnerConfig.__dataclass_fields__
    return RunnerConfig(vanished="skip") if can_skip else RunnerConfig()


def _texts(result: dict, directory: Path) -> dict:
    kept = {
        domain: {
            document["source"]: document["text"]
            for split in SPLITS
            for document in read_documents(directory, domain, split, fields=("source", "text"))
        }
        for domain, counts in result["domains"].items()
        if counts["documents"]
    }
    removed = {
        domain: {sample["source"]: why for why, entry in counts["removed"].items() for sample in entry["samples"]}
        for domain, counts in result["funnel"].items()
    }
    return {"kept": kept, "removed": removed}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(json.dumps(run_data_step(json.load(sys.stdin))))
