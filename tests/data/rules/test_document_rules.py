"""Each rule removes what it is for, and leaves ordinary text of every language."""

import inspect
import random
import re
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.data import characters
from baichuan_jax.data.characters import KINDS
from baichuan_jax.data.language import identify
from baichuan_jax.data.rules import document_rules
from baichuan_jax.data.rules.cleaner import Cleaner
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.document_rules import DocumentRules
from baichuan_jax.data.rules.facts import facts
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.sources.demo import read_demo
from tests.data.rules.counting import count_kinds

ZH = "入住后发觉设施较新，相比同等价格酒店而言，性价比高，比附近的饭店感觉要好得多，下次还会来。"
EN = (
    "It is with great satisfaction that I report to you on the state of the Union, which has grown in this year as in "
    "the years before it. The rising credit of our country gives us cause to hope."
)
CODE = inspect.getsource(random)
FR = "Le conseil municipal a décidé hier soir que les écoles de la ville seraient fermées à cause de la neige."
JA = "これは日本語の文章です。ひらがなとカタカナが混ざっています。"
POEM = (
    "河边的风又吹过来了\n吹动了树上的叶子\n孩子们在草地上奔跑，\n手里拿着纸做的风车\n天慢慢地黑了\n"
    "河边的风又吹过来了\n谁家的灯先亮起来，\n照着回家的小路\n母亲站在门口等着\n天慢慢地黑了"
)


TABLE = (
    "┌────────┬────────┐\n│ 春天   │ 花开   │\n├────────┼────────┤\n│ 夏天   │ 荷花   │\n├────────┼────────┤\n"
    "│ 秋天   │ 落叶   │\n└────────┴────────┘"
)
PARTS = "天气 水质 空气 交通 饭菜 房间 服务 价格".split()
RANDOM = random.Random(0)


def sentences(words: str, number: int, stop: str) -> str:
    return " ".join(" ".join(RANDOM.choices(words.split(), k=9)) + stop for _ in range(number))


HINDI = sentences("पानी कला भाषा बाजार शहर देश नदी संगीत गाँव किसान बच्चे लोग समय जीवन घर पेड़", 70, "।")
URDU = sentences("پانی فن زبان بازار شہر ملک دریا گھر لوگ بچے وقت زندگی کتاب درخت رات دن", 70, "۔")
THAI = sentences("ทะเล ภูเขา ตลาด วัด สวน หนัง เมือง บ้าน เพื่อน ตอนเย็น กลับ ไป ดู กิน นอน", 90, "")
LYRICS = "\n".join(
    "春天的风吹过小巷 你说过的话还记得 灯火一盏盏地亮起 我们走过那座旧桥 谁在远方轻轻唱歌 雨落在窗台的花上 "
    "妈妈的信还在抽屉 火车开往北方的雪 孩子们追着风筝跑 海浪拍着黑色礁石 月亮照着无人的路 等你回来再喝一杯 "
    "时间像沙从指间流 老树下的石凳空着 钟声响了又静下来 我把名字写在墙上 天亮以前别说再见 山那边有人在等我 "
    "船票压在书的底下 风停了以后会想起 没有寄出去的照片 秋天的麦田是金色 谁把门轻轻关上了 我学会一个人看海 "
    "街角的店换了招牌 梦里听见有人敲门 鸽子飞过教堂屋顶 炉火边的猫睡着了".split()
)
SUBTITLES = "\n\n".join(
    f"{number}\n00:00:{number:02},000 --> 00:00:{number + 1:02},500\n我们说说这里的{line}吧"
    for number, line in enumerate(PARTS * 2, 10)
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ZH, "zh"),
        ("用vista系统，装了office 2003和photoshop", "zh"),
        (EN, "en"),
        ("waste of my money. My children", "en"),
        ("Tables 1 2 3 x y z q w " * 50 + EN * 30, "en"),
        (CODE, "code"),
        (FR, "other"),
        (JA, "other"),
        ("Привет, мир", "other"),
        ("", "other"),
    ],
)
def test_language(text, language):
    assert identify([text], np.array([count_kinds(text)]).T) == [language]


def test_kinds():
    counts = count_kinds("你〇𠀀かナaZéЖ한1½Ⅷ \n\t。.：(;，-~😀\ufffd\ue000")
    assert len(counts) == KINDS
    names = "HAN KANA LATIN LETTER DIGIT SPACE NEWLINE STOP BRACKET PUNCTUATION SYMBOL BROKEN".split()
    assert [counts[getattr(characters, name)] for name in names] == [3, 2, 2, 3, 3, 2, 1, 3, 2, 2, 2, 2]


def broken(text, pruned=0, **changes):
    return DocumentRules(FilterConfig(**changes)).broken(facts([normalize(text)]), pruned)[0]


# At least one text for every rule.
REMOVED = {
    "too_short": ["", "不错", "京东送货够快。", "Good book.", "12345 67890"],
    "too_long": [EN * 12_000],
    "broken_text": ["锟斤拷锟斤拷" + ZH, ZH[:20] + "\ufffd\ufffd", EN.replace(" ", "\ufffd ", 5), "Ã©tait â€œ" + EN],
    "few_letters": ["上面的点评是别的" + "！？" * 20, "川长征46.04\n南白药39.82\n明胶33.41\n物资26.40\n张家界25.68"],
    "many_digits": ["共收到2008年4月28日的信1256件其中退回给本人337件后来剩下919件"],
    "many_symbols": ["就是房间的灯光太不满意" + "~" * 8],
    "little_punctuation": [ZH.replace("，", "").replace("。", "") * 6, "\n".join(re.findall(r"\w+", EN * 3))],
    "word_length": [" ".join("abcdefghijklmnop" for _ in range(8)), " ".join("a b c d e" for _ in range(20))],
    "long_sentences": ["，".join(f"{word}批发" for word in ["手机", "电脑", "服装", "食品"] * 30),
                       ", ".join(f"cheap price {number} list" for number in range(100, 250))],
    "long_lines": [CODE + "x = '" + "abcdefghijklmnopqrstuvwxyz" * 250 + "'\n"],
    "bullets": ["\n".join(f"- point number {word} of the list" for word in EN.split())],
    "ellipses": ["\n".join(f"{part} and more of it in the rest..." for part in EN.split(","))
                 + "\nWe go on...\nYou read it...\nThe end of the story..."],
    "loose_lines": ["\n".join(f"第{number}个，产品链接" for number in range(120))],
    "placeholder": [f"Lorem ipsum dolor sit amet. {EN}"],
    "repeated_lines": ["\n".join([ZH, "想看更多的内容请往下走吧", EN[:40], "想看更多的内容请往下走吧", ZH] * 3)],
    "repetitive": ["物流速度太慢了，" * 12, "This is the best of the best. " * 30,
                   "\n".join(f"Access all the records of 213-484-{number} now!" for number in range(1000, 1040))],
}  # fmt: skip


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, texts in REMOVED.items() for text in texts])
def test_removed(rule, text):
    assert broken(text) == rule


def test_every_rule_is_tested():
    rules = set(re.findall(r'(?:return |[{ ])"(\w+)"(?=:|\n|  #)', inspect.getsource(document_rules)))
    assert rules - REMOVED.keys() == {"boilerplate", "blocked_words"}  # below


@pytest.mark.parametrize(
    "text",
    [
        ZH,
        EN,
        CODE,
        FR,
        JA,
        POEM,
        "好小巧玲珑呢~精致~没有噪音~",
        TABLE,
        "+----------+--------+\n| 水果名称 | 箱数   |\n+----------+--------+\n"
        "| 大红苹果 | 十二   |\n+----------+--------+",
        "| 月份 | 产量 |\n|------|------|\n| 一月 | 310 |\n| 二月 | 285 |\n\n上面的表给出了这家工厂两个月的产量。",
        "\n".join(f"• {line}，这一点大家都同意，后来也没有人反对过。" for line in LYRICS.split()[:8]),
        "\n".join(f"- {part}, and so we stayed for another week in that town." for part in EN.split(","))
        + "\n- Yes.\n- No!",
        ZH[:30] + "\ue123" + ZH[30:],
        EN[:60] + "\ufffd" + EN[60:],
        HINDI,
        URDU,
        THAI,
        LYRICS,
        SUBTITLES,
        "在这一点上……\n我没有话说。\n他也是……\n谁知道呢？\n后来的事大家都知道……\n就这样过去了。",
        "收到了~~~~包装很好~~~~发货也快~~~~卖家的态度好~~~~下次还来这家店~~~~~~~~",
        "Vista 还是不习惯，而且2G的内存还是让我觉得拖沓...",
        "*房间小，床不舒服，椅子是烂的；",
        "The phrase lorem ipsum is what printers write. " + inspect.cleandoc(random.__doc__) + EN * 3,
    ],
)
def test_kept(text):
    assert broken(text) is None


def test_boilerplate():
    assert broken(EN, pruned=len(EN) - 1) is None
    assert broken(EN, pruned=len(EN) + 1) == "boilerplate"


def test_blocked_words(tmp_path):
    (tmp_path / "words.txt").write_text("Satisfaction\n设施\n", encoding="utf-8")
    words = (str(tmp_path / "words.txt"), "union")
    assert broken(ZH, blocked_words=words) == "blocked_words"
    assert broken(EN, blocked_words=words, max_blocked=1) == "blocked_words"
    assert broken(EN, blocked_words=words, max_blocked=2) is None
    with pytest.raises(UserError, match=r"absent\.txt"):
        DocumentRules(FilterConfig(blocked_words=("absent.txt",)))


@pytest.mark.parametrize(
    ("corpus", "most"), [("zh_reviews", 0.06), ("zh_news", 0.02), ("en_speeches", 0.0), ("code", 0.03)]
)
def test_little_real_text_is_removed(corpus, most):
    texts = [normalize(document.text) for document in islice(read_demo(corpus, "skip"), 1500)]
    rules = DocumentRules(FilterConfig())
    reasons = [reason for batch in characters.batches(texts) for reason in rules.broken(facts(batch))]
    assert sum(reason is not None for reason in reasons) <= most * len(texts)


ALL = (
    [text for texts in REMOVED.values() for text in texts if len(text) < 10_000]
    + [
        *(ZH, EN, CODE, FR, JA, POEM),
        f"{EN}\nRead more »\n\n{EN}",  # something to prune
        f"返回顶部\n{ZH}\n点击查看更多",
        f"首页 > 新闻 > 正文\n{ZH[:9]}",  # too much of it
    ]
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(ALL), max_size=12))
def test_texts_of_a_batch_do_not_change_each_other(texts):
    cleaner = Cleaner(FilterConfig(blocked_words=("union",), max_blocked=1))
    assert list(cleaner(texts)) == [cleaned for text in texts for cleaned in cleaner([text])]
