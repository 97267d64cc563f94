"""What needs no tuning: copies of the names as written, and confusable characters rescored by a language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from baichuan_jax.evaluate.harness.encode import Encoder
from baichuan_jax.evaluate.score.scorer import Scorer
from baichuan_jax.lab.sweep import Progress
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.trained import load_trained
from experiments.entity_confusions import Confusions
from experiments.entity_scores import write_names
from experiments.entity_split import Case


def copied(cases: Sequence[Case]) -> list[str]:
    """Return every name as it is written. It is told where the names stand."""
    return [write_names([name.text for name in case.written]) for case in cases]


def rescored(cases: Sequence[Case], run: Run, confusions: Confusions, progress: Progress) -> list[str]:
    """Return the most probable form of each name: as written, or with one character exchanged for a confusable one.

    It is told where the names stand, and which characters are taken for one another, those of the test among them. The
    probability is that of the whole sentence under the run's model, with the other names as written.
    """
    forms = [[list(variants(name.text, confusions)) for name in case.written] for case in cases]
    texts = {
        case.rewritten(number, form): 0.0
        for case, names in zip(cases, forms)
        for number, options in enumerate(names)
        for form in options
    }
    _score(texts, run, progress)
    best = lambda case, number, options: max(options, key=lambda form: texts[case.rewritten(number, form)])
    return [
        write_names([best(case, number, options) for number, options in enumerate(names)])
        for case, names in zip(cases, forms)
    ]


def variants(name: str, confusions: Confusions) -> Iterator[str]:
    """Yield a name as it is, then with one character exchanged."""
    yield name
    for place, written in enumerate(name):
        for right in confusions.get(written, {}):
            yield name[:place] + right + name[place + 1 :]


def _score(texts: dict[str, float], run: Run, progress: Progress) -> None:
    """Put the log-likelihood of each text beside it."""
    trained, model_cfg = load_trained(run.config, run.progress), run.config.model
    names, done = list(texts), 0
    requests = Encoder(trained.tokenizer, model_cfg.vocab).pairs([("", text) for text in names])
    for part in Scorer(model_cfg, trained.params, trained.exe)(requests):
        texts.update({names[number]: found.log_p for number, found in part})
        done += len(part)
        progress("sentences rescored", done, len(names))
