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
        未经授权禁止转载
        未经本网书面授权，不得转载、摘编或以其他方式使用上述作品。
        版权所有，未经许可不得转载
        版权所有，翻印必究
        Copyright 2019 The Example Company. All rights reserved.
        (c) 2010 Example Media Ltd.
        (c) 1990-1997 by Anna Example
        版权所有：某某网 2019
        未经许可，不得转载
        Copyright © 2019 Example Inc.
        © 2020 Example
        (c) 1999 Me
    """,
    "sharing": """
        扫码关注公众号
        欢迎关注本刊微信公众号：某某杂志
        Sign up for our newsletter
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
        Example.  All rights reserved.
        # Copyright 2004-2005 Example, Inc. All Rights Reserved.
        The Example Group. All rights reserved.
        ALL RIGHTS RESERVED
    """,
    "cookies": """
        This site uses cookies to improve your experience. Learn more.
        本站使用 Cookie 来提升您的浏览体验
        We use cookies to give you the best experience on our site.
        By continuing you accept cookies on this website.
        本网站使用cookies，继续浏览即表示您同意。
    """,
    "javascript": """
        You need to enable JavaScript to run this app.
        Your browser does not support JavaScript!
        This site requires JavaScript.
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
    未经许可不得擅自改变土地用途，这是土地管理法的规定。
    版权所有制度起源于十八世纪的英国，它把印刷的特权从书商手中转交给了作者。
    When JavaScript is disabled in the browser, the form falls back to an ordinary POST request.
    The tenth goes on: what is not delegated is kept, with all rights reserved to the people who made it.
    未经许可不得转载他人的文章，这是著作权法对媒体的基本要求。
    版权所有，这四个字印在每本书的最后一页，却很少有人去想它的意思。
    版权声明是每个开源项目的第一个文件，它说明谁可以使用这些代码。
    未经作者同意，出版社不得修改作品的内容。
    Copyright 1976 was a watershed: the act of that year gave authors a second term.
    Copyright (C) is the mark that printers use in plain text.
    The phrase "All rights reserved" was once required by the Buenos Aires Convention.
    All rights reserved is a phrase that lost its meaning when the convention ended.
    (c) 2000 hours of service in any year, whichever is less;
    (C)1999
    (C) 1945
    In Django, we use cookies to keep the session of a visitor.
    We use cookies to store the session id, and the server looks the user up by it.
    在这个例子里，我们使用 cookie 来保存登录状态。
    我们使用cookies保存购物车，服务器每次都能读到它。
    This site uses cookies as a teaching example: each page sets one and the next reads it.
    Please enable JavaScript strict mode at the top of every file, as the next chapter explains.
    JavaScript is required reading for anyone who builds pages.
    JavaScript must be enabled for the test suite, so the driver starts a full browser.
    How to write a Privacy Policy for your shop
    Privacy Policy in Europe: a short history
    The Terms of Service were changed twice last year
    Subscribe rates for the newsletter fell by a third in spring
    Sign up forms for a newsletter should ask for as little as possible.
    分享到朋友圈的照片越来越多
    分享到的快乐是双倍的
    扫一扫二维码就能骑走一辆单车
    关注微信公众号的营销价值
    登录后查看日志的方法如下：
    还没有账号的用户可以先注册
    文明上网是每个公民的责任
    显示更多信息
    显示更多信息。
    Read the full sentence aloud and underline the verbs.
    Continue reading until you find the word that does not fit.
    Posted in the spring of 1916 to the western front, he wrote
    ICP备案流程
    什么是ICP证
    责任编辑：负责稿件的三审三校
    Please read the Terms of Service at
    All rights reserved to the publisher means that nobody else may print it.
    Share this knowledge with your students
    Cookie policy design is a neglected art
    加载更多数据时调用这个函数
    阅读全文后回答下列问题
    查看更多选项请按 F1
    点击这里的按钮后，程序会弹出一个对话框
    编辑：把文字改成你想要的样子
    We use cookies and milk as a running example in this chapter
    Accept all cookies that the server sends, and store them in the jar.
    The browser will accept all cookies by default.
    © 2001 is the date on the title page
    Copyright law protects the expression of an idea.
    版权所有者应当在首页注明年份。
    版权所有 制度的历史
    Newsletter writing is hard.
    Home is where I want to be
    News about the blog
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
