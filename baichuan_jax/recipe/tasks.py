"""Evaluation tasks: what a model answers, and tables of how well."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_jax.config.literal import parts, settings
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.extras import install_extra
from baichuan_jax.core.files import digest, fingerprint, write_json, write_text
from baichuan_jax.evaluate.harness.answers import Answers
from baichuan_jax.evaluate.score.scorer import Scorer
from baichuan_jax.lab.tasks import write_tables
from baichuan_jax.recipe.checkpoints import checkpoints_of, has_adapters
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.stages.tokenizer import tokenizer_place
from baichuan_jax.recipe.trained import load_trained, make_engine
from baichuan_jax.tokenizer.tokenizer_files import tokenizer_file
from baichuan_jax.train.checkpoint import newest_params

if TYPE_CHECKING:
    from baichuan_jax.recipe.run import Run

FOLDER = "tasks"


def run_tasks(
    run: Run,
    names: Sequence[str],
    data_dir: Path | None,
    limit: int | None,
    fewshot: int | None,
    beside: Sequence[Path],
    chat: bool = False,
) -> list[dict]:
    """Run tasks in turn, write the result and the answers of each, and tables of all; return the results.

    They go to `tasks/` of the workdir. Answers of an earlier call are taken over. beside: workdirs of other models,
    for the leaderboard. chat: ask by the run's chat template.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # lm-eval's own bars, one a subject
    try:
        from baichuan_jax.evaluate.harness.lm import BaichuanLM
        from baichuan_jax.evaluate.harness.load import load_tasks
        from baichuan_jax.evaluate.harness.run import run_task
    except ModuleNotFoundError as error:
        raise UserError(f"--tasks needs the package {error.name}: {install_extra('eval')}") from error
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    config, workdir, progress = run.config, run.workdir, run.progress
    out, results = workdir / FOLDER, []
    with progress.status("loading the tasks"):
        loaded = {name: load_tasks(name, data_dir, fewshot) for name in names}
    template = run.chat_template if chat else None
    trained = load_trained(config, progress)
    scorer = Scorer(config.model, trained.params, trained.exe)
    engine = cache(lambda: make_engine(config, trained))
    with closing(Answers(out / f"answers-{_identity(config, trained.end_ids)}.jsonl")) as answers:
        for name in names:
            with progress.units(name) as tell:
                lm = BaichuanLM(scorer, engine, trained.tokenizer, config.model, answers, tell, template)
                result, answered = run_task(lm, name, loaded.pop(name), limit, chat)
            if template:
                result["chat_template"] = template.name
            stem = f"{name}-{result['fewshot']}shot" + (f"-limit{limit}" if limit else "") + ("-chat" if chat else "")
            write_text(out / f"{stem}.answers.jsonl", "".join(f"{_line(answer)}\n" for answer in answered))
            write_json(out / f"{stem}.json", result)
            results.append(result)
            progress.note(f"✓ {name}: {out / stem}.json ({result['seconds']:.1f} s)")
    write_tables(out, {str(place): place / FOLDER for place in (workdir, *beside)})
    return results


def _line(answer: dict) -> str:
    return json.dumps(answer, ensure_ascii=False, default=str)


def _identity(config: RunConfig, end_ids: tuple[int, ...]) -> str:
    """Return a digest of what answers depend on: the decoder, its parameters, its numbers' type, its tokens."""
    params = newest_params(checkpoints_of(config))
    stored = sorted((str(file.relative_to(params)), file.stat()) for file in params.rglob("*") if file.is_file())
    weights = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stored]
    tokenizer = tokenizer_file(tokenizer_place(config))
    texts = [entry["sha256"] for entry in fingerprint([tokenizer]).values()]
    shape = [line for part in parts(config.model) for line in settings(part)]
    found = [shape, weights, texts, config.train.compute_dtype, end_ids]
    if has_adapters(config):
        files = fingerprint(config.lora.adapter_files).values()
        found += [settings(config.lora), [entry["sha256"] for entry in files]]
    return digest(repr(tuple(found)))
