"""Patterns of lines that belong to a web page and not to its text, in Chinese and in English.

LINES describe whole lines, without the spaces around them. PARTS describe lines, or their ends; what is before the end
stays. English patterns ignore case. A line is looked at if it begins as one of LINES does, or holds something that each
of PARTS has; where that may be, `hints` finds out for many texts at once.

C4 drops every line without a full stop. That takes headings, lists, verses and code with it, and all Chinese text that
ends in "。", so no line goes here for what it lacks: only for what it says, or for a sentence that a link cuts short.
"""

from __future__ import annotations

import re

_CLOSE = r"[ \t.!?。！？…»›>→）)\]】]*"
_SECTION = (
    r"(?:首页|主页|新闻|体育|财经|娱乐|关于我们|联系我们|网站地图|登录|注册|帮助中心|隐私政策"
    r"|(?i:home|about(?: us)?|contact(?: us)?|news|blog|log ?in|sign up|register|site ?map|privacy(?: policy)?"
    r"|terms(?: of (?:use|service))?|help|faq))"
)
# Possessive: a piece is never cut in another way, so that a line of many pieces costs no more than its length.
_BAR, _PIECE = r"[ \t]*+[|｜/·•>»]", r"[^|｜/·•>»\n。.!?！？]{1,30}+"
_CRUMBS = r"(?:[ \t]*+[>»›][^>»›\n]{1,40}+)+"
_SITE = r"(?:facebook|twitter|whatsapp|pinterest|linkedin|reddit|tumblr|instagram|google\+|telegram|e-?mail)"
_DO = r"(?:查看|阅读|进入|下载|了解|观看|加载|展开|报名|购买|订阅|注册)"

LINES: dict[str, tuple[str, ...]] = {
    "navigation": (
        rf"{_SECTION}(?:{_BAR}{_PIECE}){{0,12}}?{_BAR}[ \t]*{_SECTION}(?:{_BAR}{_PIECE})*",
        rf"(?:首页|主页){_CRUMBS}",
        r"[您你]?(?:现在|当前)?(?:的|所在)?位置[ \t]*[:：][^\n。]{0,80}[>»›][^\n。]{0,80}",
        r"(?:返回|回到)(?:顶部|首页|列表|目录)|[上下]一[篇条](?:[ \t]*[:：][^\n]{0,60})?",
        r"(?:(?:设为首页|加入收藏|收藏本站|【打印】|【关闭】)[ \t|]*)+",
        rf"(?i:home{_CRUMBS}|you are here[ \t]*:[^\n]{{0,100}})",
        r"(?i:(?:skip|jump) to (?:the )?(?:main )?(?:content|navigation))",
        r"(?i:(?:back|return) to (?:the )?(?:top|home ?page))",
        r"(?i:(?:previous|older|newer) (?:post|article|entry|story|entries|posts|stories)(?:[ \t]*[:»›→][^\n]{0,80})?)",
    ),
    "read_more": (
        rf"(?:请)?点击(?:此处|这里)?{_DO}?(?:更多|全文|原文|余下|剩余|大图|高清|专题)[^\n。]{{0,12}}{_CLOSE}",
        rf"(?:请)?点击(?:此处|这里)(?:{_DO}[^\n。「“]{{0,15}})?{_CLOSE}",
        rf"(?:查看|阅读|显示|加载|浏览|展开)(?:更多|全文|原文|余下全文|剩余\d+%)[^\n，。]{{0,8}}{_CLOSE}",
        r"(?:相关(?:阅读|新闻|报道|推荐)|推荐阅读|热门推荐|猜你喜欢|为您推荐|更多精彩(?:内容|文章)?)[ \t]*[:：]?",
        rf"(?i:click to (?:enlarge|expand|zoom|read more|view (?:full|larger)[^\n]{{0,20}}){_CLOSE})",
        r"(?i:(?:read|show|view|load) more"
        rf"(?: (?:at|on|here|about|from|posts|articles|stories|comments)\b[^\n]{{0,60}})?{_CLOSE})",
        r"(?i:read the (?:full|rest|entire|original) [^\n]{1,60}|continue reading\b[^\n]{0,80})",
        rf"(?i:learn more{_CLOSE})",
        r"(?i:(?:filed under|posted in)\b[^\n]{0,100})",
        r"(?i:(?:related (?:articles|posts|stories)|you may also like)[ \t]*:?)",
        r"(?i:advertisement|sponsored content|story continues below[^\n]{0,40})",
    ),
    "copyright": (
        r"(?:版权所有|版权声明[ \t]*[:：])[^\n]{0,150}|未经(?:授权|许可|允许)[^\n]{0,20}(?:不得|禁止|请勿)[^\n]{0,30}",
        r"(?i:copyright (?:©|\(c\)|[12][0-9]{3})[^\n]{0,150})",
        r"(?i:(?:©|\(c\))[ \t]*(?:copyright )?[12][0-9]{3}\b[^\n]{0,150})",
    ),
    "sharing": (
        r"分享(?:到|至)[ \t]*[:：]?[^\n。，]{0,30}",
        r"(?:微信|手机)?(?:扫一扫|扫码|长按)[^\n。]{0,25}(?:二维码|公众号|关注|分享|下载)[^\n。]{0,15}",
        r"(?:请|欢迎|敬请)?(?:关注|添加|搜索)[^\n。，]{0,20}(?:公众号|官方微博|官方微信|微信号)[^\n。]{0,30}",
        rf"(?i:(?:(?:share|tweet|pin|follow|like|email)(?: (?:this|it|us|on|via|to|by|with))*[ \t,|/:&·]+)+{_SITE}"
        rf"(?:[ \t,|/:&·]+{_SITE})*)",
        rf"(?i:{_SITE}(?:[ \t,|/&·]+{_SITE})+|share this(?: (?:article|post|page|story|entry))?[ \t]*[:!]?)",
        r"(?i:(?:sign up|subscribe)\b[^\n]{0,40}\b(?:newsletter|mailing list|rss feed|e-?mail updates)\b[^\n]{0,60})",
    ),
    "login": (
        r"(?:请)?先?登录(?:后|以后)[^\n。]{0,5}(?:评论|发言|回复|查看)[^\n]{0,12}",
        r"忘记密码[?？]?|还没有[账帐]号[^\n]{0,12}|文明上网[^\n]{0,30}",
        r"(?:我要|发表|网友|查看|最新)(?:评论|留言|纠错)(?:[ \t]*[（(]\d+[)）])?",
        r"(?i:(?:log|sign) ?in (?:to|or) (?:comment|post|reply|leave|sign|register|join|create)[^\n]{0,50})",
        r"(?i:leave a (?:reply|comment)|comments are closed\.?|no comments(?: yet)?\.?|forgot (?:your )?password\??)",
        r"(?i:already (?:a member|registered|have an account)\?[^\n]{0,40}|don[’']t have an account\?[^\n]{0,40})",
    ),
    "punctuation": (r"(?P<mark>[!！?？。.…~～·])(?P=mark){7,}",),
}

PARTS: dict[str, str] = {
    "editor": r"\s*(?:[（(【\[]\s*(?:责任|本文|值班)?(?:编辑|责编)\s*[:：][^\n）)】\]。]{1,25}[）)】\]]"
    r"|(?:(?<=[。！？”\s])|^)(?:责任编辑|责编|本文编辑|值班编辑)\s*[:：|｜][^\n。，]{1,25}"
    r"|(?:(?<=[。！？”\s])|^)编辑\s\w{2,4}\s+校对\s\w{2,4})$",
    "registration": r"^[^\n。]{0,120}(?:ICP[备证]|公网安备)[^\n。]{0,80}$",
    "rights": r"(?i:^[^\n]{0,150}all rights reserved[^\n]{0,60}$)",
    "cookies": r"^(?=[^\n]*(?i:\bwe\b|\b(?:this|our) (?:web)?site\b|\byou (?:accept|agree|consent)|本网站|本站|我们))"
    r"[^\n]*(?i:\b(?:uses?|using|use of|accept(?: all)?|storing of) cookies|\bcookie (?:policy|consent|preferences)"
    r"|(?:使用|接受)\s?(?:了\s?)?cookies?)[^\n]*$",
    "javascript": r"(?i:^[^\n]{0,100}(?:(?:enable|turn on|activate|requires?) javascript"
    r"|javascript (?:is|must be|has been|to be|seems to be) (?:disabled|enabled|turned|required))[^\n]{0,120}$)",
    "policy": r"^[^\n.!?]{0,60}(?:[Pp]rivacy [Pp]olicy|Terms of (?:[Uu]se|[Ss]ervice))[^\n.!?]{0,60}$",
    "click_here": r"(?:(?<=[.!?])\s+|^\s*)(?i:(?:please )?click here(?: (?:to|for|if)(?: (?:see|view|get|find))?"
    r" (?:more|our|the full|read|learn|sign|subscribe|register|download|visit|buy|order|submit|donate|join|book)\b"
    r"[^\n.!?]{0,100})?[.!?]*)$"
    rf"|(?:(?<=[。！？])\s*|^\s*)(?:请|想了解更多[^\n。]{{0,10}})?点击(?:这里|此处){_DO}[^\n。，「“]{{0,15}}[。！]?$",
    "teaser": r"^[^\n]*(?:\.\.\.|…)\]?\s*(?:(?i:\[?(?:read more|continue reading)\b)[^\n.]{0,40}"
    rf"|\[(?:详细|更多|全文)\]|(?:阅读|查看|展开)全文)\s*{_CLOSE}$",
}

# The beginnings of LINES, in lower case, two to nine characters of each: most other lines are not looked at.
BEGINNINGS = (
    "首页 主页 新闻 体育 财经 娱乐 关于我们 联系我们 网站地图 登录 注册 帮助中心 隐私政策 您现在 您当前 您的位 "
    "您所在 您位置 你现在 你当前 你的位 你所在 你位置 现在的 现在所 现在位 当前的 当前所 当前位 所在位 返回顶部 "
    "返回首页 返回列表 返回目录 回到顶部 回到首页 回到列表 回到目录 上一篇 上一条 下一篇 下一条 设为首页 加入收藏 "
    "收藏本站 【打印】 【关闭】 请点击 点击 查看 阅读 显示 加载 浏览 展开 相关阅读 相关新闻 相关报道 相关推荐 "
    "推荐阅读 热门推荐 猜你喜欢 为您推荐 更多精彩 版权所有 版权声明 未经授权 未经许可 未经允许 分享到 分享至 微信扫 "
    "微信长 手机扫 手机长 扫一扫 扫码 长按 请关注 请添加 请搜索 欢迎关 欢迎添 欢迎搜 敬请关 敬请添 敬请搜 关注 添加 "
    "搜索 请先登录 请登录 先登录 忘记密码 还没有账 还没有帐 文明上网 我要 发表 网友 最新 (c) home help about "
    "advertise already click_to comments contact continue copyright_ news newer_ blog back_to_ log leave_a_ "
    "learn_mor like linkedin sign sitemap site_map skip_to_ show_more sponsored story_con share subscribe register "
    "return_to read_more read_the_ related_a related_p related_s reddit privacy previous_ posted_in pin terms tweet "
    "twitter tumblr telegram faq filed_und forgot_ follow facebook you_are_h you_may_a jump_to_ older_ view_more "
    "load_more whatsapp instagram google+ email e-mail don't_hav don’t_hav no_commen"
)
BEGINNINGS = [beginning.replace("_", " ") for beginning in BEGINNINGS.split()]
BEGINNINGS += ["©" + follows for follows in " \tc12"] + [8 * mark for mark in "!！?？。.…~～·"]
_ANY_LINE = "|".join(f"(?P<{reason}>{'|'.join(patterns)})" for reason, patterns in LINES.items())
LINE = re.compile(rf"(?:{_ANY_LINE})(?=\n|\Z)")
_CUT = r"\]?[ \t]*(?i:\[?read more|\[?continue reading|\[详细|\[更多|\[全文|阅读全|查看全|展开全)"
# Something that each of PARTS has. Each alternative begins with a rare character, from which the rest is looked at
# backwards.
CLUE = re.compile(
    r"责任编辑|责编|辑[ \t]*[:：|｜]|辑[ \t]\w{2,4}[ \t]+校对|P[备证]|网安备"
    r"|v(?<=hts [rR]eserv)ed|V(?<=HTS RESERV)ED|k(?<=[cC]ook)ie|K(?<=COOK)IE"
    r"|j(?i:avascript)|J(?i:avascript)|v(?<=riv)acy [pP]olicy|T(?:erms of [uUsS])|k(?<=lick) here|K(?<=LICK) HERE"
    rf"|击(?<=点击)(?:这里|此处)|\.\.\.{_CUT}|…{_CUT}"
)
# What CLUE begins with: those rare characters, and the first few characters of what it matches, in lower case.
RARE = "责辑P网vVkKjJT击.…"
CLUES = "责任编辑 责编 p备 p证 网安备 ved kie javascript vacy_poli terms_of_ k_here 击这里 击此处"
CLUES = [clue.replace("_", " ") for clue in CLUES.split()] + ["辑" + follows for follows in ":：|｜ \t"]
CLUES += [dots + follows for dots in ("...", "…") for follows in "] \t[rc阅查展"]
