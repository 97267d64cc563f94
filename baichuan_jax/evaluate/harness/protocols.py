"""The recipe's own evaluation protocols: Baichuan-7B's prompts, five shots, the letter with the highest logit.

Each protocol is a set of lm-eval tasks, one per subject. Letters are compared by log-likelihood after the prompt, which
orders them as their logits at the last position do.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from baichuan_jax.core.errors import UserError
from baichuan_jax.evaluate.harness import local
from baichuan_jax.evaluate.harness.humaneval import humaneval_config

SEED = 0  # of the split into examples and questions, for data sets without a split
SHOTS = 5
FOUR = "ABCD"
LETTER = {
    "output_type": "multiple_choice",
    "doc_to_choice": list(FOUR),
    "target_delimiter": "",
    "fewshot_split": "dev",
    "fewshot_config": {"sampler": "first_n"},
    "test_split": "test",
    "num_fewshot": SHOTS,
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}


class Subject(NamedTuple):
    """The settings and the data of one lm-eval task."""

    settings: dict[str, Any]
    splits: local.Splits


def ceval(data_dir: Path, stock: Path) -> dict[str, Subject]:
    """C-Eval: validation questions, with dev questions as examples, in Baichuan-7B's prompt."""
    names = _said(stock / "ceval", "关于(.+?)的单项选择题")
    found = {}
    for subject, name in names.items():
        splits = local.ceval(local.folder_of(data_dir, "ceval"), subject)
        settings = {
            "description": f"以下是中国关于{name}考试的单项选择题，请选出其中的正确答案。\n\n",
            "doc_to_text": "{{question}}\nA. {{A}}\nB. {{B}}\nC. {{C}}\nD. {{D}}\n答案：",
            "doc_to_target": "{{'ABCD'.index(answer)}}",
        }
        found[subject] = Subject(settings, {"test": splits["val"], "dev": splits["dev"]})
    return found


def mmlu(data_dir: Path, stock: Path) -> dict[str, Subject]:
    """MMLU with the prompt of its authors (github.com/hendrycks/test, evaluate.py)."""
    found = {}
    for subject in _said(stock / "mmlu/default", "about (.+?)[.]"):
        settings = {
            # two spaces, as in the original
            "description": "The following are multiple choice questions (with answers) about "
            f" {subject.replace('_', ' ')}.\n\n",
            "doc_to_text": "{{question}}"
            + "".join(f"\n{x}. {{{{choices[{n}]}}}}" for n, x in enumerate(FOUR))
            + "\nAnswer:",
            "doc_to_target": "{{answer}}",
            "target_delimiter": " ",
        }
        found[subject] = Subject(settings, local.mmlu(local.folder_of(data_dir, "mmlu"), subject))
    return found


GAOKAO = {
    "2010-2013_English_MCQs": "英语",
    "2010-2022_Biology_MCQs": "生物",
    "2010-2022_Chemistry_MCQs": "化学",
    "2010-2022_Chinese_Lang_and_Usage_MCQs": "语文",
    "2010-2022_History_MCQs": "历史",
    "2010-2022_Math_II_MCQs": "文科数学",
    "2010-2022_Math_I_MCQs": "理科数学",
    "2010-2022_Physics_MCQs": "物理",
    "2010-2022_Political_Science_MCQs": "政治",
}


def gaokao(data_dir: Path, stock: Path) -> dict[str, Subject]:
    """GAOKAO-Bench (arXiv 2305.12474): questions with one letter as their answer, split at random."""
    found = {}
    for file, name in GAOKAO.items():
        folder, source = local.folder_of(data_dir, "gaokao"), f"{file}.json"
        rows = local.json_of(folder, source).get("example") or []
        local.checked(rows, folder / source, ["question", "answer"])
        asked = [row for row in rows if len(row["answer"]) == 1 and row["answer"][0] in set(FOUR)]
        settings = {
            "description": f"以下是中国高考{name}的单项选择题，请选出其中的正确答案。\n\n",
            "doc_to_text": "{{question.strip()}}\n答案：",
            "doc_to_target": "{{'ABCD'.index(answer)}}",
        }
        rows = [{"question": row["question"], "answer": row["answer"][0]} for row in asked]
        found[re.sub(r"[\d-]+_(\w+)_MCQs", r"\1", file).lower()] = Subject(settings, _split(rows))
    return found


def agieval(data_dir: Path, stock: Path) -> dict[str, Subject]:
    """AGIEval (arXiv 2304.06364): questions with four choices and one answer, split at random."""
    folder, found = local.folder_of(data_dir, "agieval"), {}
    for name in (file.removesuffix(".jsonl") for file in local.names(folder, ".jsonl")):
        letters = lambda row: "".join(row["label"])
        chosen = [row for row in local.agieval_rows(folder, name) if len(row.get("options") or ()) == 4]
        rows = [_four(row) for row in chosen if re.fullmatch("[A-D]", letters(row))]
        if not rows:
            continue
        chinese = local.is_chinese(name)
        settings = {
            "description": "以下是单项选择题，请选出其中的正确答案。\n\n"
            if chinese
            else "The following are multiple choice questions (with answers).\n\n",
            "doc_to_text": "{{passage}}{{question}}\nA. {{A}}\nB. {{B}}\nC. {{C}}\nD. {{D}}\n"
            + ("答案：" if chinese else "Answer:"),
            "doc_to_target": "{{'ABCD'.index(answer)}}",
            "target_delimiter": "" if chinese else " ",
        }
        found[name] = Subject(settings, _split(rows))
    return found


def _four(row: dict) -> dict[str, str]:
    passage = f"{row['passage']}\n" if row.get("passage") else ""
    options = dict(zip(FOUR, local.by_letter(row["options"])))
    return {"passage": passage, "question": row["question"], "answer": "".join(row["label"]), **options}


def _split(rows: Sequence[dict]) -> local.Splits:
    order = random.Random(SEED).sample(range(len(rows)), len(rows))
    rows = [rows[number] for number in order]
    return {"dev": rows[:SHOTS], "test": rows[SHOTS:]}


def _said(folder: Path, pattern: str) -> dict[str, str]:
    """Return {subject: its name in the description of lm-eval's task}."""
    found = {}
    for file in sorted(folder.glob("*.yaml")):
        text = re.sub(r"!function\s+\S+", "''", file.read_text(encoding="utf-8"))
        known = yaml.safe_load(text)
        if isinstance(known, dict) and "dataset_name" in known:
            found[known["dataset_name"]] = re.search(pattern, known["description"])[1]
    return found


def humaneval(data_dir: Path, stock: Path, samples: int = 1) -> dict[str, Subject]:
    """HumanEval (arXiv 2107.03374), with the programs run in the sandbox."""
    rows = local.humaneval(local.folder_of(data_dir, "humaneval"), "")
    return {"humaneval": Subject(humaneval_config(samples), rows)}


PROTOCOLS: Mapping[str, Callable[..., dict[str, Subject]]] = {
    "baichuan_agieval": agieval,
    "baichuan_ceval": ceval,
    "baichuan_gaokao": gaokao,
    "baichuan_humaneval": humaneval,
    "baichuan_mmlu": mmlu,
}
_SAMPLES = re.compile(r"(baichuan_humaneval)_(\d+)")


def is_protocol(name: str) -> bool:
    """Return whether a name is one of PROTOCOLS; baichuan_humaneval_20 draws 20 programs per question."""
    return name in PROTOCOLS or bool(_SAMPLES.fullmatch(name))


def subjects_of(name: str, data_dir: Path | None, stock: Path) -> dict[str, Subject]:
    """Return the subjects of a protocol. stock: the folder of lm-eval's tasks. Raise UserError without data."""
    if data_dir is None:
        raise UserError(f"--tasks {name} needs its data as files: pass their folder, --data-dir DIR")
    if many := _SAMPLES.fullmatch(name):
        return humaneval(data_dir, stock, int(many[2]))
    return PROTOCOLS[name](data_dir, stock)
