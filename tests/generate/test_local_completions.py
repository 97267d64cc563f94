"""lm-eval through the server: its `local-completions` against the backend that computes in this process."""

import json
import random

import pytest

from baichuan_jax.evaluate.harness.answers import Answers
from baichuan_jax.evaluate.score.scorer import Scorer
from baichuan_jax.model.execution import Execution
from baichuan_jax.tokenizer.tokenizer_files import load_tokenizer
from tests.generate.serving import MODEL, NAME, serving, write_config
from tests.tokenizer.making import write_json_tokenizer

pytest.importorskip("lm_eval")
for package in ("tenacity", "aiohttp", "transformers"):
    pytest.importorskip(package)
pytestmark = pytest.mark.slow

WORDS = "the quick brown fox jumps over a lazy dog 中国 人民 12 7 def return".split()


def questions(seed: int) -> list[dict]:
    draw = random.Random(seed)
    text = lambda: " ".join(draw.choices(WORDS, k=draw.randint(1, 3)))  # two lengths of programs
    return [{"question": text(), "choices": [text() for _ in range(3)], "gold": draw.randrange(3)} for _ in range(4)]


def task(name: str, seed: int, **settings):
    import datasets
    from lm_eval.api.task import ConfigurableTask

    data = datasets.DatasetDict({"test": datasets.Dataset.from_list(questions(seed))})
    return ConfigurableTask(
        config={
            "task": name,
            "custom_dataset": lambda **_: data,
            "test_split": "test",
            "num_fewshot": 0,
            "doc_to_text": "Say {{question}}",  # lm-eval would read a bare number as one
            **settings,
        }
    )


def tasks() -> dict:
    choices = {"output_type": "multiple_choice", "doc_to_choice": "{{choices}}", "doc_to_target": "{{gold}}"}
    last = {"output_type": "loglikelihood", "doc_to_target": " so {{choices[0]}}"}
    both = {"choices": task("choices", 0, **choices), "last_words": task("last_words", 1, **last)}
    return {"tasks": both, "groups": {}, "group_map": {}}


def test_scores_and_choices_are_those_of_the_direct_backend(tmp_path, params, layout):
    import lm_eval
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    from baichuan_jax.evaluate.harness.lm import BaichuanLM

    folder = tmp_path / "tokenizer"
    folder.mkdir()
    write_json_tokenizer(folder, ["<end>"])
    stock = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>", "bos_token": None}
    (folder / "tokenizer_config.json").write_text(json.dumps(stock))
    tokenizer = load_tokenizer(folder)
    scorer, answers = Scorer(MODEL, params, Execution(layout=layout)), Answers(tmp_path / "answers.jsonl")
    direct = BaichuanLM(scorer, None, tokenizer, MODEL, answers, lambda *_: None)
    with serving(write_config(tmp_path, folder / "tokenizer.json", params, layout)) as server:
        served = LocalCompletionsAPI(
            base_url=f"http://127.0.0.1:{server.port}/v1/completions",
            model=NAME,
            tokenizer_backend="huggingface",
            tokenizer=str(folder),
            max_length=MODEL.context,
        )
        one, two = (lm_eval.evaluate(lm, tasks(), bootstrap_iters=0) for lm in (direct, served))
    assert {name: result.get("acc,none") for name, result in one["results"].items()} == {
        name: result.get("acc,none") for name, result in two["results"].items()
    }
    for name, samples in one["samples"].items():
        for mine, other in zip(samples, two["samples"][name], strict=True):
            for got, wanted in zip(other["filtered_resps"], mine["filtered_resps"], strict=True):
                assert got[0] == pytest.approx(wanted[0], abs=1e-4, rel=1e-5)
                assert got[1] == wanted[1]
