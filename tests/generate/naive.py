"""Generation without a cache, a batch or an engine: the whole text through the decoder for every token, one sampler."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import apply
from baichuan_jax.model.execution import Batch

MODEL = DecoderConfig(vocab=304, layers=2, hidden=32, heads=4, head_dim=8, inner=48, context=96)
END = 2


@lru_cache
def forward(model_cfg: DecoderConfig):
    return jax.jit(partial(apply, model_cfg))


def continued(
    params, prompt: list[int], sample: SampleConfig, model: DecoderConfig = MODEL, end_ids=(END,)
) -> list[int]:
    """Return the new ids, without the end."""
    ids = list(prompt)
    for number in range(sample.max_tokens):
        row = np.zeros((1, model.context), np.int32)
        row[0, : len(ids)] = ids
        logits = np.asarray(forward(model)(params, Batch(row))[0, len(ids) - 1])
        ids.append(chosen(logits, set(ids), number, sample))
        if ids[-1] in end_ids:
            return ids[len(prompt) : -1]
    return ids[len(prompt) :]


def chosen(logits: np.ndarray, seen: set[int], number: int, sample: SampleConfig) -> int:
    """Return the definitions, spelt out: penalty, temperature, top-k, top-p by sorting, then the draw of the seed."""
    logits = logits.astype(np.float32).copy()
    for id in seen:
        logits[id] = (
            logits[id] / sample.repetition_penalty if logits[id] > 0 else logits[id] * sample.repetition_penalty
        )
    if sample.temperature == 0:
        return int(np.argmax(logits))
    logits /= np.float32(sample.temperature)
    order = np.argsort(-logits, kind="stable")
    if sample.top_k:
        logits[order[sample.top_k :]] = -np.inf
    p = np.exp(logits - logits.max())
    p /= p.sum()
    before = np.cumsum(p[order]) - p[order]
    if sample.top_p < 1:
        logits[order[before >= sample.top_p]] = -np.inf
    key = jax.random.fold_in(jax.random.key(np.uint32(sample.seed)), number)
    return int(jax.random.categorical(key, jnp.asarray(logits)))
