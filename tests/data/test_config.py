"""DataConfig refuses what cannot work, naming the field."""

import subprocess
import sys

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import DataConfig


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"sources": {"Zh-News": "a.txt"}}, "DataConfig.sources"),
        ({"sources": {"zh": " "}}, "DataConfig.sources"),
        ({"text_field": ""}, "DataConfig.text_field"),
        ({"damaged": "ignore"}, "DataConfig.damaged"),
        ({"max_bytes": -1}, "DataConfig.max_bytes"),
        ({"task_bytes": 0}, "DataConfig.task_bytes"),
    ],
)
def test_bad_values_name_their_field(settings, field):
    with pytest.raises(UserError, match=field):
        DataConfig(**settings)


def test_importing_the_config_is_light():
    code = (
        "import sys, baichuan_jax.data.config as _; "
        "print([m for m in ('numpy', 'pyarrow', 'tensorflow_datasets', 'jax') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
