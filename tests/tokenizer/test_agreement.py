"""tokenizer.json beside SentencePiece: vocabularies that put a space before a text or not, with symbols or without."""

from pathlib import Path

import pytest

from baichuan_jax.tokenizer.export import JSON, export_huggingface
from baichuan_jax.tokenizer.model_file import UNUSED, parse_model
from baichuan_jax.tokenizer.symbols import TAGS
from experiments.benchmarks.tokenizer_agreement import by_export, by_sentencepiece, differing, make_texts

pytest.importorskip("tokenizers")


def changed(model: Path, out: Path, change) -> Path:
    parsed = parse_model(model.read_bytes())
    change(parsed)
    out.write_bytes(parsed.SerializeToString())
    return out


def put_space(model) -> None:
    model.normalizer_spec.add_dummy_prefix = True


@pytest.mark.parametrize("layout", ["plain", "baichuan"])
@pytest.mark.parametrize("prefix", [False, True])
def test_every_kind_of_beginning_and_end(folder, tmp_path, layout, prefix):
    model = folder / layout / "tokenizer.model"
    if prefix:
        model = changed(model, tmp_path / "m.model", put_space)
    texts = [*make_texts(4000), *(f"{start}{tag}>" for tag in TAGS for start in ("<", "</", " <", "a<"))]
    export_huggingface(model, tmp_path)
    assert differing(texts, by_sentencepiece(model, texts), by_export(tmp_path, texts)) == ([], [])


def test_what_cannot_be_expressed_is_not_written(folder, tmp_path):
    """Where text is changed, or pieces are no longer used, there is no tokenizer.json that might be wrong."""

    def squeeze(model) -> None:
        model.normalizer_spec.remove_extra_whitespaces = True

    def unigram(model) -> None:
        model.trainer_spec.model_type = 1

    def unused(model) -> None:
        model.pieces[-1].type = UNUSED

    def no_bytes(model) -> None:
        model.trainer_spec.byte_fallback = False

    for change in (squeeze, unigram, unused, no_bytes):
        export_huggingface(folder / "plain/tokenizer.model", tmp_path)
        assert (tmp_path / JSON).exists()
        export_huggingface(changed(folder / "plain/tokenizer.model", tmp_path / "m.model", change), tmp_path)
        assert not (tmp_path / JSON).exists()


def test_texts_begin_and_end_with_every_part():
    texts = make_texts(20_000)
    assert len(texts) == 20_000
    for part in ("  ", "\t", "，", "7", "<p>", "</s>", "中国"):
        assert part in texts
        assert sum(text.startswith(part) and text != part for text in texts) > 50
        assert sum(text.endswith(part) and text != part for text in texts) > 50
