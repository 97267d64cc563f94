"""Lines and sentences that belong to a web page go, and nothing of ordinary text does."""

from itertools import islice

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from baichuan_jax.data.rules import prune as prune_module
from baichuan_jax.data.rules.boilerplate import LINE, LINES, PARTS
from baichuan_jax.data.rules.cleaner import Cleaner
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.facts import facts
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.sources.demo import read_demo

# Reason -> a line that goes, in each line.
GONE_LINES = {
    "navigation": """
        首页 > 新闻 > 正文
        首页 | 新闻 | 体育 | 关于我们
        您现在的位置：首页 > 国内 > 正文
        返回顶部
        上一篇：春天来了
        下一篇
        设为首页 | 加入收藏
        Home > News > World
        HOME | ABOUT US | CONTACT
        Skip to main content
        Back to top
        You are here: Home
        Older posts
        Previous article: The spring
        News / Blog / Log in
        登录 | 注册
    """,
    "read_more": """
        点击查看更多
        点击这里
        请点击此处下载
        查看全文>>
        加载更多...
        相关阅读：
        猜你喜欢
        Click to enlarge
        Read more »
        READ MORE
        Load more comments
        Continue reading The Spring
        Learn more
        Related articles:
        Read the full story here
        Posted in News by admin
        Advertisement
        点击加载全文
    """,
    "copyright": """
        版权所有：某某网 2019
        未经许可，不得转载
        Copyright © 2019 Example Inc.
        © 2020 Example
        (c) 1999 Me
    """,
    "sharing": """
        分享到：微信 微博 QQ空间
        微信扫一扫 关注该公众号
        欢迎关注我们的公众号
        长按二维码关注
        Share on Facebook
        Share this: Twitter Facebook
        Facebook Twitter Pinterest
        Follow us on Instagram
        Share this article
        Subscribe to our newsletter for more
        Tweet | Share | Email
    """,
    "login": """
        请先登录后发表评论
        忘记密码？
        我要评论
        网友评论（12）
        Log in to reply
        Leave a comment
        Comments are closed.
        Forgot your password?
        Already have an account? Sign in
    """,
    "punctuation": """
        ！！！！！！！！！！
        ...............
    """,
    "editor": """
        责任编辑：王小明
        （责任编辑：李红）
        责编|陈梅
        编辑 刘阳 校对 李明
        【编辑：张三】
    """,
    "registration": """
        京ICP备12345678号
        浙公网安备 33010002000092号
    """,
    "rights": """
        The Example Group. All rights reserved.
        ALL RIGHTS RESERVED
    """,
    "cookies": """
        We use cookies to give you the best experience on our site.
        By continuing you accept cookies on this website.
        本网站使用cookies，继续浏览即表示您同意。
    """,
    "javascript": """
        Please enable JavaScript to view the comments.
        JavaScript is disabled in your browser.
    """,
    "policy": """
        Privacy Policy and the rest
        See our Terms of Use
    """,
    "click_here": """
        Click here to read about it.
        Please click here.
        Click here for more
    """,
    "teaser": """
        The town opened its first library... Read more
        春天来了，公园里的花都……[详细]
        城里新开了图书馆...阅读全文
    """,
}
GONE = {reason: [line.strip() for line in lines.strip().split("\n")] for reason, lines in GONE_LINES.items()}


def prune(text: str) -> tuple[str, dict[str, list[str]]]:
    return prune_module.prune(text, facts([text]).hints.get(0, []))


ZH = "城里新开了一家图书馆，里面有很多好书。周末的时候，常常有人来这里听讲座。"
EN = "The town opened its first library this spring. On most weekends people come to hear a talk."


def test_every_reason_is_tested():
    assert GONE.keys() == LINES.keys() | PARTS.keys()


@pytest.mark.parametrize(("reason", "line"), [(reason, line) for reason, lines in GONE.items() for line in lines])
@pytest.mark.parametrize("text", [ZH, EN])
def test_lines(reason, line, text):
    assert prune(f"{text}\n{line}\n{text}") == (f"{text}\n{text}", {reason: [line]})
    assert prune(f"  {line}\n\n{text}") == (text, {reason: [line]})


# What each pattern matches; without possessive marks, which the generator does not know.
MATCHING = [
    st.from_regex(pattern.replace("*+", "*").replace("}+", "}"), fullmatch=True)
    for patterns in LINES.values()
    for pattern in patterns
]


@settings(max_examples=300, deadline=None)
@given(st.one_of(MATCHING).map(normalize))
def test_beginnings_miss_no_line(line):
    assume(LINE.fullmatch(line) and not line.startswith(("位置", "的位置")))
    assume(not set(line) & set("ſıİ"))  # of which a pattern without case thinks as of s and i
    assert facts([line]).hints[0][0] == 0


@pytest.mark.parametrize(
    ("line", "kept", "reason"),
    [
        (f"{ZH}（责任编辑：王小明）", ZH, "editor"),
        (f"{ZH} 责任编辑：王小明", ZH, "editor"),
        (f"{EN} Click here to learn about it.", EN, "click_here"),
        (f"{ZH}点击这里查看更多。", ZH, "click_here"),
    ],
)
def test_ends_of_lines(line, kept, reason):
    text, pruned = prune(f"{line}\n{EN}")
    assert text == f"{kept}\n{EN}"
    assert pruned == {reason: [line.removeprefix(kept).strip()]}


KEPT_LINES = """
    第一章 总则
    Introduction
    - one item
    Home is where the heart is.
    He had to share it with his brothers
    点击「确定」按钮保存文件。
    点击此处，然后选择所需的顺序。
    Click here to undo the current changes in the list box.
    选择 工具 > 选项 > 语言
    Choose File > Open > Recent
    Name | Type | Size
    | a | b | c |
    =====
    -----
    ……
    Cookies are small files that a server sends; Django uses cookies for sessions.
    JavaScript is a language.
    The copyright of the book belongs to its author.
    责任编辑这个工作不容易
    版权法规定了作者的权利
    He read more than 100 books; more...
    The privacy policy changed last year, and many people left. It was a pity.
    来源：新华社
    Facebook
    新闻联播每天晚上七点播出。
    关注民生，改善环境。
    登录
    请关注天气变化。
    Follow the path to the sea.
    He cried: no, no......
    The news, the blog and the help desk
    All rights are reserved to the people by the text.
"""
KEPT = [line.strip() for line in KEPT_LINES.strip().split("\n")]


@pytest.mark.parametrize("line", KEPT)
def test_kept(line):
    text = f"{ZH}\n{line}\n{EN}"
    assert prune(text)[0] is text
    assert prune(line)[0] is line


def test_blank_lines_are_normal():
    text, _ = prune(f"{ZH}\n\n\n点击查看更多\n\n返回顶部\n\n{EN}\n\n分享到：微信")
    assert text == normalize(text) == f"{ZH}\n\n\n{EN}"


@pytest.mark.parametrize(
    "line",
    [
        "新闻" + " | 一 二" * 60 + "。",
        "Home" + "  >  a b  " * 60 + "x" * 50,
        "share on " * 200 + "!",
        "facebook , " * 200 + "!",
        "查看更多" + "." * 20_000 + "x",
        "登录" * 20_000,
        "." * 50_000,
        " " * 50_000 + "x",
        "点击" + "点击这里" * 5_000,
    ],
)
def test_time_is_linear(line):
    """Patterns that backtrack would take years."""
    text = f"{line}\n{line}"
    assert prune(text)[0] is text or set(line) == {"."}


PIECES = st.sampled_from(
    [*(line for lines in GONE.values() for line in lines), *KEPT, ZH, EN, "", " ", "\n", "...", "…"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(PIECES, st.sampled_from(["\n", " ", "", "。", ". ", "\n\n"])), max_size=8))
def test_idempotent(pieces):
    text = normalize("".join(part for piece in pieces for part in piece))
    left, pruned = prune(text)
    assert normalize(left) == left
    assert prune(left)[0] is left
    assert bool(pruned) == (left is not text)


@pytest.mark.parametrize(("corpus", "most"), [("zh_reviews", 0), ("zh_news", 1), ("en_speeches", 0), ("code", 6)])
def test_real_text_stays(corpus, most):
    texts = [normalize(document.text) for document in islice(read_demo(corpus, "skip"), 2000)]
    cleaned = list(Cleaner(FilterConfig())(texts))
    assert [one.normal for one in cleaned] == texts
    assert sum(one.text is not one.normal for one in cleaned) <= most
