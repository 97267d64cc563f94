"""What the processes of a run must have alike."""

from baichuan_jax.core.revision import source_digest
from baichuan_jax.parallel.roll_call import different
from baichuan_jax.recipe.alike import facts
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.pipeline import Pipeline


def of(workdir, **settings):
    config = load_config(None, {"RunConfig.workdir": str(workdir), **settings})
    return facts(Pipeline(config), ["train"])


def test_settings_and_inputs_are_among_them(tmp_path):
    tokens = tmp_path / "run/tokens/index.json"
    before = of(tmp_path / "run")
    tokens.parent.mkdir(parents=True)
    tokens.write_text('{"shards": {}}')
    (tmp_path / "mounted").symlink_to(tmp_path / "run")
    after = of(tmp_path / "mounted", **{"OptimConfig.peak_lr": 1e-4})
    told = different({0: before, 1: after})
    assert [line.partition(" is ")[0] for line in told] == ["OptimConfig.peak_lr", "the index of the token shards"]


def test_the_digest_is_of_all_files_by_their_places(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    first = source_digest(tmp_path)
    source_digest.cache_clear()
    assert source_digest(tmp_path) == first
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    source_digest.cache_clear()
    assert source_digest(tmp_path) != first
