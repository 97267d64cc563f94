"""lm-eval's tasks with our model and with its Hugging Face backend: the same choices, texts and figures.

Needs torch, transformers and accelerate (the extra [peers]) and the shared data. AGREEMENT_LIMIT sets the questions of
a subject (default 2), AGREEMENT_CHECKPOINT names a model in LLaMA's layout with its tokenizer, which takes the place
of the two that are checked without it: stories260K, and one of ours with random weights.
"""

import os
from functools import cache
from pathlib import Path

import jax
import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.config.load import load
from baichuan_jax.evaluate.harness.answers import Answers
from baichuan_jax.evaluate.score.scorer import Scorer
from baichuan_jax.generate.config import EngineConfig
from baichuan_jax.generate.engine import Engine
from baichuan_jax.model.config import AttentionConfig, DecoderConfig, PositionConfig
from baichuan_jax.model.execution import Execution
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.recipe.progress import Progress
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.stages.tokenizer import load_run_tokenizer
from baichuan_jax.recipe.trained import load_params
from baichuan_jax.tokenizer.checkpoint_files import end_ids, write_checkpoint_files
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from experiments.benchmarks.bench_evaluate import with_tokenizer
from experiments.benchmarks.bench_generate import export_random

pytest.importorskip("torch")
pytest.importorskip("accelerate")
lm_eval = pytest.importorskip("lm_eval")
pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[3] / "shared" / "data"
LIMIT = int(os.environ.get("AGREEMENT_LIMIT", "2"))
OWN = os.environ.get("AGREEMENT_CHECKPOINT")
TASKS = {
    "mmlu": 5,
    "mmlu_continuation": None,
    "ceval-valid": 5,
    "cmmlu": 5,
    "agieval": None,
    "gsm8k": None,
    "gsm8k_cot": None,
    "hendrycks_math": None,
    "minerva_math": None,
    "humaneval": None,
}
NATS = 1e-4  # by which log-likelihoods may differ
# Grouped queries, a base and a length of its own, and weights that are large enough to mean something.
RANDOM = DecoderConfig(
    vocab=32_000,
    layers=3,
    hidden=96,
    heads=6,
    head_dim=16,
    inner=256,
    context=1024,
    init_std=0.2,
    attention=AttentionConfig(kv_heads=2),
    positions=PositionConfig(rope_base=100_000.0),
)


@pytest.fixture(scope="module", params=[OWN] if OWN else ["stories260K", "random"])
def checkpoint(request, tmp_path_factory):
    if not DATA.is_dir():
        pytest.skip("no shared data")
    directory = tmp_path_factory.mktemp("checkpoint")
    if request.param == "stories260K":
        return with_tokenizer(DATA / "checkpoints/stories260K", directory / "llama", 512)
    if request.param == "random":
        made = export_random(RANDOM, directory)
        file = DATA / "tokenizers/llama-32k.model"
        write_checkpoint_files(None, file, SentencePieceTokenizer(file), RANDOM.context, made)
        return made
    return Path(OWN)


@pytest.fixture(scope="module")
def ours(checkpoint, tmp_path_factory):
    from baichuan_jax.evaluate.harness.lm import BaichuanLM

    run = tmp_path_factory.mktemp("r") / "ours"
    assert main(["convert", "import", str(checkpoint), str(run)]) == 0
    config = load(str(run / "config.gin"), (), RunConfig).config
    tokenizer = load_run_tokenizer(config)
    layout = Layout(make_mesh(MeshConfig(), jax.devices()[:1]), AxisRules())
    params, exe = load_params(config, layout, Progress()), Execution(layout=layout)
    stop_ids = (*tokenizer.end, *end_ids(run))
    engine = cache(lambda: Engine(EngineConfig(), config.model, params, stop_ids, exe))
    answers = Answers(run / "answers.jsonl")
    return BaichuanLM(Scorer(config.model, params, exe), engine, tokenizer, config.model, answers, lambda *_: None)


@pytest.fixture(scope="module")
def theirs(checkpoint):
    """In float32, but for log_softmax: PyTorch's is 1e-5 too high in float32, for every token, over 49,152 ids."""
    return backend(checkpoint, "float32")


@pytest.fixture(scope="module")
def exact(checkpoint):
    """Return a function that loads it in float64: of a long continuation its float32 may be 1e-4 from that."""
    return cache(lambda: backend(checkpoint, "float64"))


def backend(checkpoint: Path, dtype: str):
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(checkpoint), device="cpu", dtype=dtype, softmax_dtype="float64", batch_size=8)


def answers(lm, name: str, longest: int) -> dict:
    """Return what lm-eval finds; texts that would leave no room for a prompt are as long as half of it in both."""
    from baichuan_jax.evaluate.harness.load import load_tasks

    loaded = load_tasks(name, DATA / "eval", TASKS[name])
    for task in loaded["tasks"].values():
        asked = task.config.generation_kwargs
        if asked and asked.get("max_gen_toks", 256) >= longest:
            asked["max_gen_toks"] = longest // 2
    return lm_eval.evaluate(lm, loaded, limit=LIMIT, bootstrap_iters=0, confirm_run_unsafe_code=True)


@pytest.mark.parametrize("name", TASKS)
def test_every_answer_and_every_figure(ours, theirs, exact, name):
    mine, other = (answers(lm, name, theirs.max_length) for lm in (ours, theirs))
    assert mine["results"] == other["results"]
    apart = {}
    for subject, samples in mine["samples"].items():
        for one, two in zip(samples, other["samples"][subject], strict=True):
            assert one["arguments"] == two["arguments"]
            for asked, got, wanted in zip(one["arguments"], one["filtered_resps"], two["filtered_resps"], strict=True):
                if isinstance(wanted, str | list):
                    assert got == wanted, subject
                else:
                    assert got[1] == wanted[1], subject
                    if abs(got[0] - wanted[0]) > NATS:
                        apart[asked] = got[0]
    if apart:
        assert list(apart.values()) == pytest.approx(loglikelihoods(exact(), apart), abs=NATS), "nor is float64 near"


def loglikelihoods(lm, pairs) -> list[float]:
    from lm_eval.api.instance import Instance

    requests = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]
    return [score for score, _ in lm.loglikelihood(requests)]


def test_rolling(ours, exact):
    """Against float64: over a sentence that comes 200 times float32 adds up its errors."""
    from lm_eval.api.instance import Instance

    texts = ["Once upon a time. " * 200, "Tom and Lily went to the park.", "从前有一只小猫。"]
    requests = [Instance("loglikelihood_rolling", {}, (text,), number) for number, text in enumerate(texts)]
    wanted = pytest.approx(exact().loglikelihood_rolling(requests), abs=NATS, rel=1e-6)
    assert ours.loglikelihood_rolling(requests) == wanted
