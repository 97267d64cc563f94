"""A look at the conversations that a config tunes on: samples with their masks, lengths, and what is not trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.recipe.run import Run

if TYPE_CHECKING:
    from baichuan_jax.chat.encode import Sample
    from baichuan_jax.tokenizer.interface import AnyTokenizer
    from baichuan_jax.tune.prepare import Prepared

PERCENTS = (50, 90, 99, 100)


@dataclass(frozen=True)
class SampleView:
    """A sample as texts. pieces: (text, whether it is in the loss), special ids by their forms."""

    place: str
    held_out: bool
    length: int
    pieces: list[tuple[str, bool]]


@dataclass(frozen=True)
class SourceView:
    """A source. tally: as a record. messages: of the faults that were asked for. lengths: ids of conversations, whole.

    lengths has the percentiles of PERCENTS. fit: share that fits into a sequence. in_loss: share of the
    tokens kept. refused: bad records, if tuning refuses it for too many; else 0.
    """

    tally: dict[str, Any]
    messages: dict[str, list[str]]
    lengths: list[int]
    fit: float
    in_loss: float
    refused: int
    samples: list[SampleView]


def inspect_tuning(
    run: Run, number: int, source: str | None = None, reason: str | None = None
) -> dict[str, SourceView]:
    """Return a view of a source or all: at most so many samples, and faults of each reason or of one.

    Raise UserError if there is no such source or reason, or as `prepare` does, but for the share of bad records.
    """
    from baichuan_jax.tune.prepare import prepare  # brings numpy in, and --help knows this module

    cfg, length = run.config.instruction, run.config.tune.length
    if source is not None:
        if source not in cfg.sources:
            known = ", ".join(cfg.sources)
            raise UserError(
                f"--source {source}: InstructionConfig.sources has {known}{did_you_mean(source, cfg.sources)}"
            )
        cfg = cfg.only(source)
    with run.progress.units("reading conversations") as tell:
        found = prepare(replace(cfg, max_bad=1.0), run.chat_template, length, tell)
    _check_reason(found, reason)
    return {name: _view(found, name, run.tokenizer, length, number, reason, cfg.max_bad) for name in found.tallies}


def _check_reason(found: Prepared, reason: str | None) -> None:
    known = sorted({fault.reason for fault in found.faults})
    if reason is not None and reason not in known:
        there = ", ".join(known) or "nothing: every conversation is kept, and whole"
        raise UserError(f"--reason {reason}: there is {there}{did_you_mean(reason, known)}")


def _view(
    found: Prepared, name: str, tokenizer: AnyTokenizer, length: int, number: int, reason: str | None, max_bad: float
) -> SourceView:
    import numpy as np

    tally, samples = found.tallies[name], found.samples
    messages: dict[str, list[str]] = {}
    for fault in found.faults:
        if fault.source == name and reason in (None, fault.reason):
            messages.setdefault(fault.reason, []).append(fault.message)
    if reason is None:
        messages = {why: texts[:number] for why, texts in messages.items()}
    own = np.flatnonzero(samples.sources == samples.names.index(name))
    shown = np.unique(np.linspace(0, len(own) - 1, number).astype(int)) if reason is None else []
    lengths = np.array(found.lengths[name])
    return SourceView(
        tally.as_record(),
        messages,
        np.percentile(lengths, PERCENTS, method="higher").astype(int).tolist(),
        float(np.mean(lengths <= length + 1)),
        float(samples.responses()[own].sum() / samples.lengths[own].sum()),
        tally.bad if tally.bad > max_bad * tally.read else 0,
        [
            SampleView(
                samples.place(at), bool(samples.held_out[at]), int(samples.lengths[at]), pieces(tokenizer, samples[at])
            )
            for at in own[shown].tolist()
        ],
    )


def pieces(tokenizer: AnyTokenizer, sample: Sample) -> list[tuple[str, bool]]:
    """Return a sample as (text, whether it is in the loss), special ids by their written forms."""
    from baichuan_jax.tokenizer.interface import bytes_of

    forms = {id: form.encode() for form, id in tokenizer.specials.items()}
    runs = groupby(zip(sample.ids_T.tolist(), sample.mask_T.tolist()), key=lambda pair: pair[1])
    raw = ((b"".join(forms.get(id) or bytes_of(tokenizer, id) for id, _ in run), inside) for inside, run in runs)
    return [(text.decode(errors="replace"), inside) for text, inside in raw]
