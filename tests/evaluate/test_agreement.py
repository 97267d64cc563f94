"""lm-eval's tasks with our model and with its Hugging Face backend: the same choices, texts and figures.

Needs torch, transformers and accelerate (the extra [peers]) and the shared data. AGREEMENT_LIMIT sets the questions of
a subject (default 2), AGREEMENT_CHECKPOINT names a model in LLaMA's layout with its tokenizer (default: stories260K).
"""

import os
from pathlib import Path

import jax
import pytest

from baichuan_jax.cli.config import load
from baichuan_jax.cli.main import main
from baichuan_jax.cli.run_config import RunConfig
from baichuan_jax.cli.stages.trained import load_params, load_tokenizer
from baichuan_jax.evaluate.harness.answers import Answers
from baichuan_jax.evaluate.harness.encode import begins_texts
from baichuan_jax.evaluate.score.scorer import Scorer
from baichuan_jax.generate.config import EngineConfig
from baichuan_jax.generate.engine import Engine
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from experiments.bench_evaluate import with_tokenizer

pytest.importorskip("torch")
pytest.importorskip("accelerate")
lm_eval = pytest.importorskip("lm_eval")
pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[3] / "shared" / "data"
LIMIT = int(os.environ.get("AGREEMENT_LIMIT", "2"))
TASKS = {
    "mmlu": 5,
    "ceval-valid": 5,
    "cmmlu": 5,
    "agieval": None,
    "gsm8k": None,
    "hendrycks_math": None,
    "minerva_math": None,
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    if not DATA.is_dir():
        pytest.skip("no shared data")
    if "AGREEMENT_CHECKPOINT" in os.environ:
        return Path(os.environ["AGREEMENT_CHECKPOINT"])
    return with_tokenizer(DATA / "checkpoints/stories260K", tmp_path_factory.mktemp("e") / "llama", 512)


@pytest.fixture(scope="module")
def ours(checkpoint, tmp_path_factory):
    from baichuan_jax.evaluate.harness.lm import BaichuanLM

    run = tmp_path_factory.mktemp("r") / "ours"
    assert main(["convert", "import", str(checkpoint), str(run)]) == 0
    config = load(str(run / "config.gin"), (), RunConfig).config
    tokenizer = load_tokenizer(config, run)
    layout = Layout(make_mesh(MeshConfig(), jax.devices()[:1]), AxisRules())
    params = load_params(config, run, layout)
    engine = Engine(EngineConfig(), config.model, params, tokenizer.eos, layout)
    begins = begins_texts(Path(config.tokenizer.file))
    answers = Answers(run / "answers.jsonl")
    return BaichuanLM(Scorer(config.model, params, layout), engine, tokenizer, begins, config.model.context, answers)


@pytest.fixture(scope="module")
def theirs(checkpoint):
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(checkpoint), device="cpu", dtype="float32", batch_size=8)


@pytest.mark.parametrize("name", TASKS)
def test_every_answer_and_every_figure(ours, theirs, name):
    from baichuan_jax.evaluate.harness.load import load_tasks

    found = []
    for lm in (ours, theirs):
        loaded = load_tasks(name, DATA / "eval", TASKS[name])
        found.append(lm_eval.evaluate(lm, loaded, limit=LIMIT, bootstrap_iters=0))
    mine, other = found
    assert mine["results"] == other["results"]
    for subject, samples in mine["samples"].items():
        for one, two in zip(samples, other["samples"][subject], strict=True):
            assert one["arguments"] == two["arguments"]
            for got, wanted in zip(one["filtered_resps"], two["filtered_resps"], strict=True):
                if isinstance(wanted, str):
                    assert got == wanted, subject
                else:
                    assert got[0] == pytest.approx(wanted[0], abs=1e-4, rel=2.5e-7), subject  # two steps of float32
                    assert got[1] == wanted[1], subject


def test_rolling(ours, theirs):
    from lm_eval.api.instance import Instance

    texts = ["Once upon a time. " * 200, "Tom and Lily went to the park.", "从前有一只小猫。"]
    requests = [Instance("loglikelihood_rolling", {}, (text,), number) for number, text in enumerate(texts)]
    assert ours.loglikelihood_rolling(requests) == pytest.approx(theirs.loglikelihood_rolling(requests), rel=1e-5)
