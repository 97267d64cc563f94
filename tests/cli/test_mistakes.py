"""Bad input ends in one clear message and exit code 2, with nothing written."""

import gzip
import json

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.core.lock import exclusive
from tests.cli.small import write_config


@pytest.fixture
def config(tmp_path):
    return write_config(tmp_path)


def mistake(capsys, *arguments) -> str:
    """Run in this process; return what was said on standard error."""
    assert main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("baichuan-jax: ")
    assert "Traceback" not in error
    return error


def test_a_misspelt_setting(capsys, tmp_path):
    error = mistake(
        capsys,
        "run", "configs/runs/quickstart.gin", "--set", "TrainConfig.step=3", "--set", f"RunConfig.workdir={tmp_path}/r",
    )  # fmt: skip
    assert "'step'" in error
    assert "did you mean 'steps'" in error
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("TrainConfig.steps=many", "expected int"),
        ("TrainConfig.steps=0", "TrainConfig.steps = 0: expected a positive integer"),
        ("TrainConfig.compute_dtype=float16", "'float32'"),
        ("TokenizerConfig.vocab=9000", "at most DecoderConfig.vocab = 512"),
        ("TrainConfig.length=1000", "at most DecoderConfig.context = 256"),
        ("OptimConfig.warmup_steps=12", "less than TrainConfig.steps = 12"),
        ("MixConfig.weights={'fr': 1.0}", "domains of DataConfig.sources (zh, en)"),
        ("MeshConfig.fsdp=0", "MeshConfig.fsdp = 0"),
        ("LoraConfig.alpha=1e400", "LoraConfig.alpha = inf"),
        (f"RunConfig.workdir={'a' * 300}", "shorten this path"),
        (f"DataConfig.sources={{'zh': '{'a' * 300}.txt'}}", "File name too long"),
    ],
)
def test_a_bad_value(capsys, config, tmp_path, setting, said):
    assert said in mistake(capsys, "run", config, "--set", setting)
    assert not (tmp_path / "run").exists()


def test_all_settings_that_name_domains_are_reported_at_once(capsys, config, tmp_path):
    settings = ("MixConfig.weights={'fr': 1.0}", "QualityConfig.good=('de',)", "QualityConfig.bad=('rejected',)")
    error = mistake(capsys, "run", config, *(f"--set={each}" for each in settings))
    assert error.count("expected domains of DataConfig.sources (zh, en)") == 2
    assert "QualityConfig.good = ('de',)" in error
    assert "QualityConfig.bad" not in error


def test_a_domain_of_which_some_records_lack_the_text_field(capsys, config, tmp_path):
    documents = [json.loads(line) for line in (tmp_path / "zh.jsonl").read_text().splitlines()]
    with (tmp_path / "more.jsonl").open("w") as file:
        file.writelines(json.dumps({"title": "x", "content": document["text"]}) + "\n" for document in documents[:5])
    sources = {"zh": f"{tmp_path}/zh.jsonl;{tmp_path}/more.jsonl", "en": f"{tmp_path}/en.jsonl"}
    assert main(["data", str(config), f"--set=DataConfig.sources={sources}"]) == 0
    said = "5 records of zh lack the text field and have most text in 'content' (DataConfig.text_fields)"
    assert said in capsys.readouterr().out


def test_no_such_config(capsys):
    error = mistake(capsys, "run", "configs/runs/quikstart.gin")
    assert "configs/runs/quickstart.gin" in error


def test_a_missing_source(capsys, config, tmp_path):
    (tmp_path / "zh.jsonl").unlink()
    assert "zh.jsonl" in mistake(capsys, "run", config)
    assert not (tmp_path / "run").exists()


def test_a_truncated_gzip(capsys, config, tmp_path):
    whole = gzip.compress((tmp_path / "zh.jsonl").read_bytes())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    sources = {"zh": str(tmp_path / "cut.jsonl.gz")}
    chosen = f"--set=DataConfig.sources={sources}"
    assert "cut.jsonl.gz" in mistake(capsys, "data", config, chosen, "--set=DataConfig.damaged=stop")
    assert not (tmp_path / "run" / "data" / "manifest.json").exists()
    assert main(["data", str(config), chosen]) == 0
    funnel = json.loads((tmp_path / "run" / "data" / "result.json").read_text())["funnel"]
    assert funnel["zh"]["removed"]["truncated_file"]["documents"] == 1
    assert "cut.jsonl.gz" in funnel["zh"]["removed"]["truncated_file"]["samples"][0]["source"]


def test_invalid_utf8_is_rejected_with_its_line_or_replaced_and_counted(capsys, config, tmp_path):
    lines = (tmp_path / "zh.jsonl").read_bytes().split(b"\n")
    lines[2] = lines[2].replace("。".encode(), b"\xff", 1)
    (tmp_path / "bad.jsonl").write_bytes(b"\n".join(lines))
    sources = f"DataConfig.sources={ {'zh': str(tmp_path / 'bad.jsonl')} }"
    error = mistake(capsys, "data", config, "--set", sources, "--set", "DataConfig.damaged=stop")
    assert "bad.jsonl:3: byte" in error
    assert "DataConfig.damaged" in error
    assert main(["data", str(config), "--set", sources]) == 0
    funnel = json.loads((tmp_path / "run" / "data" / "result.json").read_text())["funnel"]
    assert funnel["zh"]["replaced"] == 1


def test_invalid_utf8_in_a_text_file_names_the_line(capsys, config, tmp_path):
    lines = "第一行说天气很好，大家都出门去了。\n第二行说饭菜也好".encode()
    (tmp_path / "bad.txt").write_bytes(lines + b"\xff\n" + lines)
    sources = f"DataConfig.sources={ {'zh': str(tmp_path / 'bad.txt')} }"
    error = mistake(capsys, "data", config, "--set", sources, "--set", "DataConfig.damaged=stop")
    assert f"bad.txt:2: byte {len(lines)} (0xff)" in error


def test_an_empty_corpus(capsys, config, tmp_path):
    (tmp_path / "zh.jsonl").write_text("")
    error = mistake(capsys, "data", config)
    assert "zh" in error
    assert "empty" in error or "no document" in error


def test_a_corpus_of_which_nothing_is_kept(capsys, config, tmp_path):
    for name in ("zh", "en"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": "a"}) + "\n")
    error = mistake(capsys, "data", config)
    assert "'zh'" in error
    assert "too_short 1" in error


def test_a_workdir_of_another_config(capsys, config, tmp_path):
    assert main(["data", str(config)]) == 0
    before = sorted(path.name for path in (tmp_path / "run").rglob("*"))
    error = mistake(capsys, "run", config, "--set", "SelectConfig.validation_fraction=0.2")
    assert "SelectConfig.validation_fraction was 0.1, is now 0.2" in error
    assert "RunConfig.workdir" in error
    assert sorted(path.name for path in (tmp_path / "run").rglob("*")) == before


def test_a_verb_before_its_inputs(capsys, config, tmp_path):
    assert "stage 'tokens' has not finished" in mistake(capsys, "train", config)
    assert not (tmp_path / "run").exists()


def test_a_mesh_for_other_devices_is_refused_before_any_work(capsys, config, tmp_path):
    error = mistake(capsys, "run", config, "--set", "MeshConfig.tensor=3")
    assert "number of devices, 8" in error
    assert not (tmp_path / "run").exists()


def test_a_workdir_that_cannot_be_one(capsys, config, tmp_path):
    (tmp_path / "file").write_text("mine")
    error = mistake(capsys, "data", config, "--set", f"RunConfig.workdir={tmp_path / 'file'}")
    assert str(tmp_path / "file") in error
    assert (tmp_path / "file").read_text() == "mine"


def test_a_workdir_in_which_another_process_is_at_work(capsys, config, tmp_path):
    (tmp_path / "run").mkdir()
    with exclusive(tmp_path / "run" / ".lock"):
        error = mistake(capsys, "data", config)
        assert "another process is at work in" in error
        assert not (tmp_path / "run" / "data").exists()
    assert main(["data", str(config)]) == 0


def test_a_prompt_before_training(capsys, config, tmp_path):
    assert "has not finished" in mistake(capsys, "generate", config, "--prompt", "a")
    assert not (tmp_path / "run").exists()


def test_a_domain_of_which_nothing_could_be_read_is_left_out_only_if_asked(capsys, config, tmp_path):
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "a.jsonl").symlink_to(tmp_path / "nowhere")
    sources = {"zh": str(tmp_path / "gone" / "*.jsonl"), "en": str(tmp_path / "en.jsonl")}
    chosen = f"--set=DataConfig.sources={sources}"
    error = mistake(capsys, "data", config, chosen)
    assert "unreadable_file" in error
    assert "--set RunnerConfig.vanished=skip" in error
    assert main(["data", str(config), chosen, "--set=RunnerConfig.vanished=skip"]) == 0
    assert "too little is left of zh" in capsys.readouterr().out.replace("\n", " ")
    assert main(["data", "inspect", str(config), chosen]) == 0
    assert "unreadable_file" in capsys.readouterr().out
    assert main(["data", "inspect", str(config), chosen, "--html", str(tmp_path / "page.html")]) == 0
    assert "unreadable_file" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_sources_that_are_out_of_reach(capsys, config, tmp_path):
    """Only the data step needs them: once it is done a run goes on without, and only with another config it says so."""
    (tmp_path / "zh.jsonl").rename(tmp_path / "elsewhere.jsonl")
    assert "zh.jsonl" in mistake(capsys, "data", config)
    (tmp_path / "elsewhere.jsonl").rename(tmp_path / "zh.jsonl")
    assert main(["data", str(config)]) == 0
    (tmp_path / "zh.jsonl").unlink()
    capsys.readouterr()
    assert main(["data", str(config)]) == 0
    assert "data: done before, skipped" in capsys.readouterr().out
    assert main(["tokenizer", str(config)]) == 0
    chosen = f"--set=DataConfig.sources={ {'zh': str(tmp_path / 'nowhere.jsonl')} }"
    assert "DataConfig.sources was" in mistake(capsys, "tokenizer", config, chosen)
