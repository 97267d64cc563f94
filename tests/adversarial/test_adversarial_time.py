"""Nothing that text goes through is slow on any text: processor time is linear in its length, whatever it says."""

import random
import re
import time

import pytest

from tests.adversarial import clock
from tests.adversarial.clock import verdict
from tests.adversarial.grammar import pumps, shapes
from tests.adversarial.kinds import KINDS
from tests.adversarial.patterns import compiled_in_functions, patterns
from tests.adversarial.targets import flow, readers, rules, tokenizers

# Functions that compile a pattern of their own, and what sees to its time.
ELSEWHERE = {
    "baichuan_jax.data.rules.blocked.__init__": "the target 'blocked words'",
    "baichuan_jax.tokenizer.interface.encode": "the targets 'encode with special ids'",
    "baichuan_jax.tokenizer.sentencepiece_training._explain": "the message of an error, which is short",
    "baichuan_jax.data.sources.tfds_source._missing": "the name of a data set, which is short",
}
QUICK, SMALL = 20, 20_000  # texts of grammars that the default tests try, of thousands; bytes of them


def grammar_texts() -> list[tuple[str, object]]:
    """Return (name, function of a length) of what every pattern's grammar suggests."""
    return [
        (f"{where} {number}", shape)
        for where, pattern in patterns().items()
        for number, shape in enumerate(shape for pump in pumps(pattern) for shape in shapes(pump))
    ]


def slow_ones(targets, texts, size=clock.SIZE) -> list[str]:
    return [
        f"{of} is slow on {name}: {said}"
        for name, make in texts
        for of, target in targets.items()
        if (said := verdict(target, make, size))
    ]


@pytest.fixture(scope="module")
def all_targets(small_tokenizers, tmp_path_factory):
    return {**rules(), **readers(tmp_path_factory.mktemp("readers")), **tokenizers(small_tokenizers)}


def test_every_pattern_is_seen():
    found = compiled_in_functions()
    assert not found - ELSEWHERE.keys(), "compile it at the head of its module, or say here what sees to its time"
    assert not ELSEWHERE.keys() - found
    assert len(patterns()) > 20


def test_some_texts_of_grammars(all_targets):
    texts = random.Random(0).sample(grammar_texts(), QUICK)
    quick = {name: all_targets[name] for name in ("rules", "normalize", "a page's beginning")}
    assert not slow_ones(quick, texts, SMALL)


def test_some_kinds_of_text(all_targets):
    texts = random.Random(0).sample(list(KINDS.items()), 5)
    assert not slow_ones(all_targets, texts, SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_all_texts_of_grammars(all_targets, part):
    names = ("rules", "normalize", "a page's beginning", "JSON lines", "news", "encode with special ids, ours.model")
    assert not slow_ones({name: all_targets[name] for name in names}, grammar_texts()[part::10])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_all_kinds_of_text(all_targets, part):
    assert not slow_ones(all_targets, list(KINDS.items())[part::10])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_the_whole_data_step_on_all_kinds_of_text(tmp_path, part):
    assert not slow_ones({"the data step": flow(tmp_path)}, list(KINDS.items())[part::10])


@pytest.mark.parametrize(
    "slow",
    [
        r"(?:a+)+b",
        r"\s*(?:[0-9]+\s*)*x",
        r"(?:<!--.*?-->|\s)*<html",
        r"[^)]*图[^)]*）$",
        r"\w*/",
        r"(?=\w*;)&",
    ],
)
def test_the_grammar_of_a_slow_pattern_shows_that_it_is_slow(slow):
    pattern = re.compile(slow, re.DOTALL)
    makers = [shape for pump in pumps(pattern) for shape in shapes(pump)]
    assert any(verdict(lambda text: [pattern.match(text), pattern.search(text)], make, 10_000) for make in makers)


@pytest.mark.parametrize("quick", [r"(?<!a)a++b", r"x[^x]{0,30}y", r"<!--[^-]*+-->", r"(?<=\d)[.]"])
def test_the_grammar_of_a_quick_pattern_shows_nothing(quick):
    pattern = re.compile(quick)
    makers = [shape for pump in pumps(pattern) for shape in shapes(pump)]
    assert not any(verdict(pattern.search, make, 10_000) for make in makers)


def test_what_hangs_is_stopped_also_where_exceptions_are_caught():
    def hangs(text):
        try:
            re.match(r"(?:a+)+b", text)
        except Exception:  # as readers do
            return

    start = time.monotonic()
    assert clock.seconds(hangs, "a" * 200, 0.2) == float("inf")
    assert time.monotonic() - start < 60
