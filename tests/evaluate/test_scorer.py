"""Scores against the plain forward pass, on one device and over a mesh; no program for requests like earlier ones."""

import jax
import numpy as np
import pytest

from baichuan_jax.evaluate.score import scorer as scoring
from baichuan_jax.evaluate.score.scorer import Scorer
from baichuan_jax.model.decoder import apply, init_params
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from tests.generate.naive import MODEL

PARAMS = jax.tree.map(lambda x: x * 6, init_params(MODEL, jax.random.key(0)))


def requests(seed: int) -> list[tuple[list[int], list[int]]]:
    """Few-shot prompts, choices of one question, and long and short ones that share nothing."""
    rng = np.random.default_rng(seed)
    ids = lambda count: rng.integers(0, MODEL.vocab, count).tolist()
    examples, question = ids(MODEL.context // 2), ids(20)
    found = [(examples + ids(rng.integers(1, 20)), [letter]) for _ in range(5) for letter in range(4)]
    found += [(question, ids(rng.integers(1, 6))) for _ in range(4)]
    return found + [(ids(length), ids(2)) for length in (1, 3, MODEL.context - 1, MODEL.context, 2 * MODEL.context)]


def plain(context: list[int], continuation: list[int]) -> tuple[float, bool]:
    ids = [*context, *continuation][-(MODEL.context + 1) :]
    tokens = np.zeros((1, MODEL.context), np.int32)
    tokens[0, : len(ids) - 1] = ids[:-1]
    logits = np.asarray(_forward(tokens))[0][len(ids) - 1 - len(continuation) : len(ids) - 1]
    log_p = np.asarray(jax.nn.log_softmax(logits))[range(len(continuation)), continuation].sum()
    return float(log_p), logits.argmax(-1).tolist() == continuation


_forward = jax.jit(lambda tokens: apply(MODEL, PARAMS, Batch(tokens)))


def ask(scorer: Scorer, asked: list) -> list:
    found = dict(item for part in scorer(asked) for item in part)
    return [found[number] for number in range(len(asked))]


@pytest.mark.parametrize("devices", [pytest.param(1, marks=pytest.mark.slow), 8])
def test_the_plain_forward_pass(devices):
    layout = Layout(make_mesh(MeshConfig(data=devices), jax.devices()[:devices]), AxisRules())
    asked = requests(1)
    # some continuations that are greedy
    asked += [(context, [int(np.asarray(_forward(_row(context)))[0, len(context) - 1].argmax())]) for context in
              [context for context, _ in asked[:3]]]  # fmt: skip
    for (context, continuation), got in zip(
        asked, ask(Scorer(MODEL, PARAMS, Execution(layout=layout), tokens=64), asked), strict=True
    ):
        log_p, greedy = plain(context, continuation)
        assert got.log_p == pytest.approx(log_p, abs=1e-4)
        assert got.greedy == greedy
    assert any(got.greedy for got in ask(Scorer(MODEL, PARAMS, Execution(layout=layout)), asked[-3:]))


def _row(context: list[int]) -> np.ndarray:
    tokens = np.zeros((1, MODEL.context), np.int32)
    tokens[0, : len(context)] = context
    return tokens


def test_what_is_known_changes_no_bit_of_the_rest():
    layout = Layout(make_mesh(MeshConfig(), jax.devices()[:1]), AxisRules())
    scorer, asked = Scorer(MODEL, PARAMS, Execution(layout=layout), tokens=256), requests(2)
    parts = list(scorer(asked))
    assert len(parts) > 3
    for done in range(len(parts) + 1):
        known = {number for part in parts[:done] for number, _ in part}
        assert list(scorer(asked, known)) == parts[done:]
    torn = {number for part in parts[1:] for number, _ in part} | {parts[0][0][0]}
    assert list(scorer(asked, torn)) == parts[:1]


def test_no_program_for_more_of_the_same(monkeypatch):
    layout = Layout(make_mesh(MeshConfig(), jax.devices()[:1]), AxisRules())
    scorer, compiled = Scorer(MODEL, PARAMS, Execution(layout=layout), tokens=64), []
    monkeypatch.setattr(scoring, "token_nll", lambda *args: compiled.append(1) or _nll(*args))
    scoring.scorer_programs.cache_clear()
    scorer = Scorer(MODEL, PARAMS, Execution(layout=layout), tokens=64)
    for seed in range(5):
        ask(scorer, requests(seed))
    known = len(scorer.programs)
    assert len(compiled) <= known
    before = len(compiled)
    ask(scorer, requests(3) + requests(3))
    assert len(compiled) - before <= 2, "twice the requests may need a larger batch, not new lengths"
    scoring.scorer_programs.cache_clear()


_nll = scoring.token_nll
