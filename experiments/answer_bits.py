"""Bits per byte of the right answers to the dev questions of C-Eval and MMLU: a downstream test for small decoders.

A small decoder chooses letters by chance, so the text of the right answer is scored after its question, without the
list of choices.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import compress
from math import log
from pathlib import Path

from baichuan_jax.evaluate.harness import local
from baichuan_jax.evaluate.harness.encode import Encoder
from baichuan_jax.evaluate.score.scorer import Scorer
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params
from baichuan_jax.model.execution import Execution
from baichuan_jax.tokenizer.interface import AnyTokenizer

Pairs = list[tuple[str, str]]  # (question, right answer), each as it is scored


def read_questions(data_dir: Path) -> dict[str, Pairs]:
    """Return {name of the set: its dev questions}. data_dir: with ceval.zip and mmlu.zip, or folders of these names.

    Raise UserError if one is missing or damaged.
    """
    found: dict[str, Pairs] = {"C-Eval": [], "MMLU": []}
    folder = local.folder_of(data_dir, "ceval")
    for file in local.names(folder / "dev", "_dev.csv"):
        for row in local.ceval(folder, file.removesuffix("_dev.csv"))["dev"]:
            found["C-Eval"].append((f"{row['question']}\n答案：", str(row[str(row["answer"])])))
    folder = local.folder_of(data_dir, "mmlu")
    for file in local.names(folder / "data/dev", "_dev.csv"):
        for row in local.mmlu(folder, file.removesuffix("_dev.csv"))["dev"]:
            found["MMLU"].append((f"{row['question']}\nAnswer:", f" {row['choices'][row['answer']]}"))
    return {name: [pair for pair in pairs if pair[1].strip()] for name, pairs in found.items()}


def answer_bits(
    questions: dict[str, Pairs], tokenizer: AnyTokenizer, exe: Execution
) -> Callable[[DecoderConfig, Params], dict]:
    """Return measure(model_cfg, params) -> {"answers": {name of the set: bits per UTF-8 byte of its right answers}}.

    Answers longer than the context are left out.
    """

    def measure(model_cfg: DecoderConfig, params: Params) -> dict:
        encoder, scorer = Encoder(tokenizer, model_cfg.vocab), Scorer(model_cfg, params, exe)
        found = {}
        for name, pairs in questions.items():
            requests = encoder.pairs(pairs)
            fits = [len(answer) <= model_cfg.context for _, answer in requests]
            scores = [score.log_p for part in scorer(list(compress(requests, fits))) for _, score in part]
            size = sum(len(answer.encode()) for _, answer in compress(pairs, fits))
            found[name] = -sum(scores) / log(2) / size
        return {"answers": found}

    return measure
