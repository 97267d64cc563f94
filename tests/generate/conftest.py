"""A small decoder, far from ties, and a tokenizer that spells Chinese in bytes."""

import jax
import pytest

from baichuan_jax.generate.config import EngineConfig
from baichuan_jax.generate.engine import Engine
from baichuan_jax.model.decoder import init_params
from baichuan_jax.model.execution import Execution
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from tests.generate.naive import MODEL


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("t") / "m.model"
    train_tokenizer(
        TokenizerConfig(vocab=304), iter(["The quick brown fox jumps over the lazy dog def return"] * 20), path
    )
    return path


@pytest.fixture(scope="session")
def tokenizer(tokenizer_file):
    return SentencePieceTokenizer(tokenizer_file)


@pytest.fixture(scope="session")
def params():
    return jax.tree.map(lambda x: x * 6, init_params(MODEL, jax.random.key(0)))


@pytest.fixture(scope="session")
def layout():
    return Layout(make_mesh(MeshConfig(), jax.devices()[:1]), AxisRules())


@pytest.fixture
def engine(params, layout):
    return Engine(EngineConfig(slots=4, burst=3), MODEL, params, (2,), Execution(layout=layout))
