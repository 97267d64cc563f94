import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.generate.config import EngineConfig, SampleConfig
from baichuan_jax.generate.engine import Engine
from baichuan_jax.generate.generate import Continuation, generate, stream
from baichuan_jax.generate.text import TextStream
from baichuan_jax.model.execution import Execution
from tests.generate.naive import MODEL, continued

PROMPTS = ["The", "中国 12", "def f(x):\n    return", "", "quick " * 9]


def by_hand(params, tokenizer, prompt: str, sample: SampleConfig) -> str:
    ids = continued(params, tokenizer.prompt(prompt), sample)
    return TextStream(tokenizer).push(ids)


def test_texts_are_those_of_decoding_without_a_cache(engine, params, tokenizer):
    sample = SampleConfig(max_tokens=12, temperature=0)
    texts = generate(engine, tokenizer, PROMPTS, sample)
    assert texts == [by_hand(params, tokenizer, prompt, sample) for prompt in PROMPTS]
    assert len(set(texts)) == len(texts)


def test_a_seed_fixes_the_samples(engine, tokenizer):
    def sample(seed):
        return generate(engine, tokenizer, PROMPTS, SampleConfig(max_tokens=8, temperature=1.0, seed=seed))

    assert sample(0) == sample(0)
    assert sample(0) != sample(1)
    same = generate(engine, tokenizer, ["The"] * 3, SampleConfig(max_tokens=8, temperature=1.0))
    assert len(set(same)) == 3  # each prompt has a seed of its own


def test_a_stop_string_ends_one_text_and_frees_the_engine(engine, tokenizer):
    whole = generate(engine, tokenizer, PROMPTS, SampleConfig(max_tokens=30, temperature=0))
    stop = whole[0][5:7]
    pieces = list(stream(engine, tokenizer, PROMPTS, SampleConfig(max_tokens=30, temperature=0, stop=(stop,))))
    for number, text in enumerate(whole):
        mine = [piece for piece in pieces if piece.number == number]
        assert "".join(piece.text for piece in mine) == text.split(stop)[0]
        assert [bool(piece.done) for piece in mine] == [False] * (len(mine) - 1) + [True]
        assert mine[-1].done == "stop" if stop in text else "length"
    assert not engine.busy


@pytest.mark.parametrize("begin", [(), (1,)])
def test_special_symbols_are_written_only_where_asked(engine, params, tokenizer, monkeypatch, begin):
    monkeypatch.setattr(tokenizer, "begin", begin)
    sample = SampleConfig(max_tokens=12, temperature=0)
    text, ids = "</s>The<s>", [*begin, 2, *tokenizer.encode("The"), 1]
    plain = [*begin, *tokenizer.encode(text)]
    for specials, prompt in ((False, plain), (True, ids)):
        [found] = generate(engine, tokenizer, [text], sample, specials)
        assert found == TextStream(tokenizer).push(continued(params, prompt, sample))


def test_an_empty_prompt_follows_the_end_of_another_text(engine, params, tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer, "begin", ())
    sample = SampleConfig(max_tokens=12, temperature=0)
    [found] = generate(engine, tokenizer, [""], sample)
    assert found == TextStream(tokenizer).push(continued(params, [tokenizer.eos], sample))


@pytest.mark.parametrize(("ids", "named"), [([5, 304], 304), ([-1], -1), ([10**9, 3], 10**9)])
def test_an_id_without_a_row_is_named(engine, ids, named):
    with pytest.raises(UserError, match=rf"id {named} is outside the model's token table of 304 rows"):
        engine.submit(ids, SampleConfig(max_tokens=2))
    assert not engine.busy


def test_leaving_a_stream_early_frees_the_engine(engine, tokenizer):
    pieces = stream(engine, tokenizer, PROMPTS, SampleConfig(max_tokens=30, temperature=0))
    next(pieces)
    pieces.close()
    assert not engine.busy


@pytest.mark.parametrize("burst", [1, 8, 32])
def test_a_stop_string_ends_the_ids_whatever_the_burst(params, layout, tokenizer, burst):
    """The ids are those up to the one that completed the string: so many are counted as made."""
    prompt = tokenizer.prompt("中国 12")
    ids = continued(params, prompt, SampleConfig(max_tokens=40, temperature=0), end_ids=())
    whole = TextStream(tokenizer).push(ids)
    engine = Engine(EngineConfig(slots=2, burst=burst), MODEL, params, (), Execution(layout=layout))
    for stop in (whole[0], whole[3:5], whole[9:11], "never there"):
        taken = next((n for n in range(len(ids)) if stop in TextStream(tokenizer).push(ids[:n])), len(ids))
        request = engine.submit(prompt, SampleConfig(max_tokens=40, temperature=0, stop=(stop,)))
        continuation = Continuation(engine, tokenizer, request)
        while engine.busy:
            engine.step()
            piece = continuation.advance(0)
        assert len(request.ids) == taken
        assert piece.done == ("stop" if stop in whole else "length")
