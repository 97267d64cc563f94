"""`data inspect` over a data step that was written by hand."""

import json
import re

import pytest

from baichuan_jax.cli.inspect_view import visible
from baichuan_jax.cli.main import main
from baichuan_jax.config.load import load
from baichuan_jax.core.files import write_json, write_text
from baichuan_jax.data.dataset import SplitWriter, finish_domain
from baichuan_jax.data.funnel import Count, Funnel, Removed
from baichuan_jax.data.split import SPLITS
from baichuan_jax.recipe.pipeline import Pipeline
from baichuan_jax.recipe.run_config import RunConfig
from tests.cli.small import write_config

HOSTILE = "[bold]a[/] \x1b[31mred\x9b1m\u202e :smile:"
KEPT = {"train": ["9第九", "5第五", "7第七"], "validation": ["2第二", "1第一"]}  # the first character: of the hash
STAYED = {"source": "b:1", "text": "房间不干净。" + "好" * 200}
PAIRS = [
    {"domain": "zh", "gone": {"source": f"a:{n}", "text": f"房间{n}很干净。" + "好" * 200}, "kept": STAYED}
    for n in range(5)
]


def write_data(directory) -> dict:
    """Write what a data step leaves, and return its result."""
    funnels = {domain: _funnel(domain) for domain in ("zh", "en")}
    for domain in funnels:
        files = {}
        for split in SPLITS:
            with SplitWriter(directory, split) as writer:
                for text in KEPT[split]:
                    document = {"text": f"{domain} {text}", "id": text[0] * 16, "source": "c.jsonl:3", "language": "zh"}
                    writer.write({**document, "score": 0.75 if domain == "zh" else -1.0})
            files[split] = [(directory / name, *counts) for name, *counts in writer.files]
        finish_domain(directory, domain, files)
    result = {
        "domains": {
            "zh": {"documents": 5, "bytes": 40, "language": {"zh": 5}, "scores": [0, 1, *[0] * 17, 4]},
            "en": {"documents": 5, "bytes": 40, "language": {"en": 5}, "scores": [0] * 20},
        },
        "funnel": {domain: funnel.as_json() for domain, funnel in funnels.items()},
        "quality": {},
        "evaluation_sets": {},
        "megabytes_per_second": 1.0,
    }
    write_json(directory / "funnel.json", result["funnel"])
    lines = (json.dumps(pair, ensure_ascii=False) + "\n" for pair in PAIRS)
    write_text(directory / "near_duplicates.jsonl", "".join(lines))
    return result


def _funnel(domain: str) -> Funnel:
    short = Removed(8, 80, [{"source": f"{domain}.jsonl:{n}", "text": f"{domain} short {n}"} for n in range(8)])
    removed = {"too_short": short}
    if domain == "zh":
        removed["near_duplicate"] = Removed(12, 900, [{"source": "a:1", "text": "房间"}])
    pruned = {"boilerplate": Removed(1234, 5000, [{"source": "d:1", "text": HOSTILE}])}
    return Funnel(Count(200, 2000), Count(5, 40), removed, pruned)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Return the config of a finished data step."""
    path = write_config(tmp_path_factory.mktemp("inspect"))
    pipeline = Pipeline(load(path, (), RunConfig).config)
    with pipeline.open(()):
        pipeline.stage("data").run(write_data)
    return path


@pytest.fixture
def inspect(config, capsys, monkeypatch):
    """Return inspect(*options) -> what is printed on a terminal 100 columns wide."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*options: object) -> str:
        code = main(["data", "inspect", str(config), *map(str, options)])
        out, err = capsys.readouterr()
        assert code == (2 if err else 0), out + err
        return out + err

    return run


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_funnel_of_every_domain(inspect):
    found = rows(inspect())
    start = found.index(["read", "200", "100.00%", "2,000", "100.00%"])
    assert found[start + 1 : start + 4] == [
        ["near_duplicate", "12", "6.00%", "900", "45.00%"],
        ["too_short", "8", "4.00%", "80", "4.00%"],
        ["kept", "5", "2.50%", "40", "2.00%"],
    ]
    assert found.count(["boilerplate", "(sentences)", "1,234", "5,000"]) == 2
    assert found.count(["too_short:", "8", "documents,", "for", "example"]) == 2


def test_scores_as_bars(inspect):
    out = inspect()
    assert f"0 [ ▂{' ' * 17}█] 1" in out
    assert out.count("scores") == 1  # en has none


def test_kept_documents_by_hash(inspect):
    out = inspect("--domain", "zh")
    assert re.findall("zh .第.", out) == ["zh 1第一", "zh 2第二", "zh 5第五"]
    assert out.count("c.jsonl:3 (zh, score 0.75)") == 3
    assert inspect("--domain", "en").count("c.jsonl:3 (zh)") == 3


def test_near_duplicates_stand_in_two_columns_with_what_is_equal_cut(inspect):
    line = next(line for line in inspect().splitlines() if "房间0很" in line)
    left, right = line.split("房间")[1:]
    assert left.startswith("0很干净。好")
    assert right.startswith("不干净。好")
    assert inspect("--reason", "near_duplicate", "--samples", 1).count("好") == 2 * (60 - len("干净。"))


@pytest.mark.parametrize(
    ("options", "shown", "pairs", "kept"),
    [
        ((), 6, 3, 6),
        (("--samples", 2), 4, 2, 4),
        (("--samples", 99), 16, 5, 10),
        (("--domain", "en"), 3, 0, 3),
        (("--reason", "too_short"), 6, 0, 0),
        (("--reason", "near_duplicate", "--domain", "zh"), 0, 3, 0),
        (("--reason", "boilerplate"), 0, 0, 0),
        (("--reason", "kept", "--samples", 1), 0, 0, 2),
    ],
)
def test_only_what_was_asked_for(inspect, tmp_path, options, shown, pairs, kept):
    out = inspect(*options)
    assert (len(re.findall(r"short \d", out)), out.count("b:1"), out.count("第")) == (shown, pairs, kept)
    assert inspect(*options, "--samples", 3, "--html", tmp_path / "page.html") == f"{tmp_path / 'page.html'}\n"
    page = (tmp_path / "page.html").read_text()
    if "--samples" not in options:
        assert (len(re.findall(r"short \d", page)), page.count("b:1"), page.count("第")) == (shown, pairs, kept)


def test_a_page_has_more_of_everything(inspect, tmp_path):
    inspect("--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert (len(re.findall(r"short \d", page)), page.count("b:1"), page.count("第")) == (16, 5, 10)


def test_text_cannot_command_the_terminal(inspect):
    out = inspect("--reason", "boilerplate", "--domain", "en")
    assert "[bold]a[/] ␛[31mred\ufffd1m\ufffd :smile:" in out
    assert visible("".join(map(chr, range(0x110000 - 0x800))))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--domain", "zhh"), r"--domain zhh: the data has zh, en; did you mean 'zh'\?"),
        (("--reason", "to_short"), "boilerplate, kept, near_duplicate, too_short; did you mean 'too_short'"),
        (("--domain", "en", "--reason", "near_duplicate"), "there is in en boilerplate, kept, too_short"),
        (("--samples", "0"), "--samples = 0: expected a number of texts"),
        (("--set", "SelectConfig.ngram=9"), "was made with another config: SelectConfig.ngram was 13, is now 9"),
    ],
)
def test_mistakes(inspect, options, said):
    assert re.search(f"^baichuan-jax: .*{said}", inspect(*options))


def test_before_the_data_step(tmp_path, capsys):
    assert main(["data", "inspect", str(write_config(tmp_path))]) == 2
    assert "stage 'data' has not finished" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
