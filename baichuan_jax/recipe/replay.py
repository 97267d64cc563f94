"""The batch of any step of a training again: its documents, and whether it is the one that was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from baichuan_jax.core.errors import require
from baichuan_jax.core.stage import finished_in
from baichuan_jax.data.dataset import read_documents
from baichuan_jax.recipe.stages.train import earlier_mixtures
from baichuan_jax.tokenizer.shards import DocumentPart, Piece, TokenStore

if TYPE_CHECKING:
    from baichuan_jax.recipe.run import Run


@dataclass(frozen=True)
class Excerpt:
    """What a sequence has of a document. text: of its ids, decoded. id, source: "" where the corpus is out of reach."""

    part: DocumentPart
    text: str
    id: str = ""
    source: str = ""


@dataclass(frozen=True)
class Replay:
    """The batch of a step. hash: of its rows now. logged: as it was trained on, "" if that is not on record.

    rows: (domain, its documents) of each sequence, in the order of the batch.
    """

    hash: str
    logged: str
    rows: list[tuple[str, list[Excerpt]]]


def replay(run: Run, step: int) -> Replay:
    """Return the batch that training reads at a step, from 1, after whatever mixtures it has had until then."""
    from baichuan_jax.train.batch_hashes import batch_hash, read_hashes
    from baichuan_jax.train.input import Batches
    from baichuan_jax.train.rollback import rejected_draws

    cfg = run.config.train
    require(1 <= step <= cfg.steps, "--step", step, f"a step of the training, 1 to {cfg.steps}")
    store = TokenStore(run.place("tokens"))
    batches = Batches(cfg, run.config.mix, store)
    started = run.pipeline.alone("train").started() or {}
    batches.follow(earlier_mixtures(started.get("changes", [])))
    batches.reject(rejected_draws(run.place("train")))
    rows = [
        (domain, [excerpt for piece in pieces for excerpt in _excerpts(run, store, domain, piece)])
        for domain, pieces in batches.origins(step - 1)
    ]
    return Replay(batch_hash(batches[step - 1]), read_hashes(run.place("train")).get(step, ""), rows)


def _excerpts(run: Run, store: TokenStore, domain: str, piece: Piece) -> list[Excerpt]:
    """Return the documents of a piece, with their texts."""
    ids, at, found = store.arrays(domain, "train")[piece.shard], piece.first, []
    for part in store.parts(domain, "train", *piece):
        size = part.end - part.first
        text = run.tokenizer.decode(ids[at : at + size].tolist())
        at += size
        found.append(Excerpt(part, text, **_named(run, domain, part.number)))
    return found


def _named(run: Run, domain: str, number: int) -> dict[str, str]:
    """Return the id and source of a document of the corpus, if that is within reach."""
    if not finished_in(run.place("data")):
        return {}
    [document] = read_documents(run.place("data"), domain, "train", number, number + 1, fields=("id", "source"))
    return {"id": document["id"], "source": document["source"]}
