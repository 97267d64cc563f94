"""The page about tokenizers does what it says."""

import re
from pathlib import Path

from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer

PAGE = Path(__file__).parents[2] / "docs/tokenizer.md"


def test_its_python_runs(tmp_path, monkeypatch):
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    [place] = re.findall(r'Path\("(.*?)"\)', code)
    file = tmp_path / place / "tokenizer.model"
    file.parent.mkdir(parents=True)
    train_tokenizer(TokenizerConfig(vocab=304), iter(["The quick brown fox jumps over the lazy dog"] * 20), file)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert names["tokenizer"].decode(names["tokenizer"].encode("中国 </s>")) == "中国 </s>"
