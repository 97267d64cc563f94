"""Patterns of lines that belong to a web page and not to its text, in Chinese and in English.

LINES match whole lines, without the spaces around them. PARTS match lines, or the ends of lines; what precedes the
match stays. English patterns ignore case. A line is examined if it begins as one of LINES does, or contains a substring
that all of PARTS have; `hints` finds these places for many texts at once.

Text about notices is not a notice: articles on copyright law, tutorials on JavaScript and documentation of cookies
contain the same words. So a pattern requires a whole notice from its first word to the last, and does not match a line
that continues as a sentence.

C4 drops every line without a full stop. That removes headings, lists, verses and code too, and all Chinese text that
ends in "。". Here no line is removed for what it lacks: only for what it says, or for a sentence truncated by a link.
"""

from __future__ import annotations

import re

_CLOSE = r"[ \t.!?。！？…»›>→）)\]】]*"
_SECTION = (
    r"(?:首页|主页|新闻|体育|财经|娱乐|关于我们|联系我们|网站地图|登录|注册|帮助中心|隐私政策"
    r"|(?i:home|about(?: us)?|contact(?: us)?|news|blog|log ?in|sign up|register|site ?map|privacy(?: policy)?"
    r"|terms(?: of (?:use|service))?|help|faq))"
)
# Possessive: there is one way to split a line into pieces, so the time is linear in its length.
_BAR, _PIECE = r"[ \t]*+[|｜/·•>»]", r"[^|｜/·•>»\n。.!?！？]{1,30}+"
_CRUMBS = r"(?:[ \t]*+[>»›][^>»›\n]{1,40}+)+"
_SITE = r"(?:facebook|twitter|whatsapp|pinterest|linkedin|reddit|tumblr|instagram|google\+|telegram|e-?mail)"
# What follows in prose about such a notice: a verb, within a few words.
_PROSE = (
    r"[^\n]{0,80}?\b(?:is|are|was|were|has|had|have|means?|meant|protects?|became|requires?|gave|hours|which|who|whose"
    r"|whichever|because)\b"
)
_HOLDER = rf"(?:(?!{_PROSE})[^\n]{{0,150}}|[^\n]{{0,100}}(?i:rights reserved)[^\n]{{0,100}})"
_CLAIM = r"保留(?:所有|一切)权利|(?:翻印|侵权|盗版)必究|违者必究|请勿转载|不得转载"
_RESERVED = rf"(?>{_CLAIM}|未经[^\n，。不禁请]{{2,12}}[，,]?(?:不得|禁止|请勿)(?:(?!{_CLAIM})[^\n，。未]){{2,20}})"
_COPY = (
    r"(?:(?:以任何(?:形式|方式)|以其他(?:形式|方式)|擅自|随意|任意)?(?:转载|复制|摘编|使用|翻印|转贴|传播"
    r"|建立镜像|刊登|引用|链接|下载"
    r"|商用|用于商业用途)[、或及和/，, ]*)+(?:(?:本[站网文]|上述)[^\n，。]{0,10})?(?:[，,。]?(?:违者"
    r"|否则)[^\n，。]{2,15})?[。.!！]?"
)
_THINGS = r"(?:内容|评论|回复|图片|新闻|文章|资讯|资料|详情|精彩|相关|专题|视频|推荐|热门|帖子|动态|>)*"
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
        r"(?i:(?:previous|older|newer) (?:post|article|entry|story|entries|posts|stories)"
        r"(?:[ \t]*[:»›→][^\n]{0,80})?)",
    ),
    "read_more": (
        rf"(?:请)?点击(?:此处|这里)?{_DO}?(?:更多|全文|原文|余下|剩余|大图|高清|专题)[^\n。]{{0,12}}{_CLOSE}",
        rf"(?:请)?点击(?:此处|这里)(?:{_DO}[^\n。「“]{{0,15}})?{_CLOSE}",
        rf"(?:查看|阅读|显示|加载|浏览|展开)(?:更多{_THINGS}|全文|原文|余下全文|剩余\d+%)[ \t.…»›→>）)\]】]*",
        r"(?:相关(?:阅读|新闻|报道|推荐)|推荐阅读|热门推荐|猜你喜欢|为您推荐|更多精彩(?:内容|文章)?)[ \t]*[:：]?",
        rf"(?i:click to (?:enlarge|expand|zoom|read more|view (?:full|larger)[^\n]{{0,20}}){_CLOSE})",
        r"(?i:(?:read|show|view|load) more"
        rf"(?: (?:at|on|here|about|from|posts|articles|stories|comments)\b[^\n]{{0,60}})?{_CLOSE})",
        r"(?i:read the (?:full|rest|entire|original)(?: of (?:the|this))?"
        r" (?:story|article|post|review|interview|report|text|entry|piece|release|transcript|thing)"
        r"(?: (?:here|at|on|in|by|from|of)\b[^\n]{0,40}|[ \t.»›→>]*))",
        r"(?i:continue reading)(?:[ \t]*[.:»›→…>]*|[ \t]*(?:[:»›→“\"‘']|[A-Z0-9])[^\n.!?]{0,80}[»›→.…]*)",
        rf"(?i:learn more{_CLOSE})",
        r"(?i:(?:filed under|posted in)\b[ \t]*:?(?![ \t]*(?:the|a|an|his|her|my|our|their"
        r"|[12][0-9]{3})\b)[^\n.!?]{0,100})",
        r"(?i:(?:related (?:articles|posts|stories)|you may also like)[ \t]*:?)",
        r"(?i:advertisement|sponsored content|story continues below[^\n]{0,40})",
    ),
    "copyright": (
        r"版权(?:所有|声明)(?:[ \t]*(?:[:：©|｜／/(（\[\\-]|[0-9A-Za-z])[^\n]{0,150})?[。.]?",
        rf"版权所有(?:[ \t，,。;；!！]*+{_RESERVED})+[。.!！]?|版权所有[ \t]+[^\n，。的]{{2,20}}(?:公司"
        rf"|集团|网站?|社|局|中心|协会|学院|大学|报|台)",
        rf"未经(?:[^\n，。的]{{0,12}})(?:授权|许可|允许|同意)[，,]?(?:任何[^\n，。]{{0,12}})?(?:不得|禁止|请勿"
        rf"|谢绝|严禁){_COPY}",
        rf"(?i:copyright (?:©|\(c\)|[12][0-9]{{3}})){_HOLDER}",
        rf"(?i:©[ \t]*(?:copyright )?[12][0-9]{{3}}\b){_HOLDER}",
        r"(?i:\(c\)[ \t]*(?:copyright [12][0-9]{3}\b|[12][0-9]{3}(?:[-–, ]++(?:[12][0-9]{0,3}|[0-9]{1,3}))*+[ ,]+"
        r"(?:by )?(?-i:(?=[A-Z]))))"
        rf"{_HOLDER}",
    ),
    "sharing": (
        r"分享(?:到|至)[ \t]*[:：]?(?:[ \t|/、,，]*(?:(?:新浪|腾讯)?微博|微信(?:好友|朋友圈)?|朋友圈|QQ(?:空间"
        r"|好友)?|人人网?|豆瓣"
        r"|开心网|百度贴吧|贴吧|更多))*+[ \t.…。]*",
        r"(?:微信|手机)?(?:扫一扫|扫码|长按)(?:[^\n。，的就能]{0,20})(?:二维码|公众号|关注|分享|下载)"
        r"(?:[ \t，,]*(?:该|本|我们的?)?(?:公众号|微信|客户端|APP|app|我们|本[站号]|更多|到朋友圈|吧))*+[ \t。.!！]*",
        r"(?:请|欢迎|敬请)?(?:关注|添加|搜索)[^\n。，的]{0,12}(?:我们的|本[站号刊]的?)?(?:[^\n。，的]{0,8})?"
        r"(?:公众号|官方微博|官方微信|微信号)"
        r"(?:[ \t]*[:：“「『\"（(][^\n。]{1,30})?[。.!！]?",
        rf"(?i:(?:(?:share|tweet|pin|follow|like|email)(?: (?:this|it|us|on|via|to|by|with))*[ \t,|/:&·]+)+{_SITE}"
        rf"(?:[ \t,|/:&·]+{_SITE})*)",
        rf"(?i:{_SITE}(?:[ \t,|/&·]+{_SITE})+|share this(?: (?:article|post|page|story|entry))?[ \t]*[:!]?)",
        r"(?i:(?:sign up|subscribe)(?: here| now| today| free)?(?: (?:for|to|with|by))*"
        r" (?:(?:our|the|this|my|your|free|weekly|daily|monthly|e-?mail) |[^\n ]{1,20}['’]s? ){1,3}"
        rf"(?:newsletter|mailing list|rss feed|e-?mail updates)\b(?!{_PROSE})[^\n]{{0,60}})",
    ),
    "login": (
        r"(?:请)?先?登录(?:后|以后)[^\n。]{0,5}(?:评论|发言|回复|查看)(?:更多|全文|全部|内容|评论|回复"
        r"|详情)*[ \t。.!！]*",
        r"忘记密码[?？]?|还没有[账帐]号[?？，, \t]*(?:(?:请|立即|马上|点此|免费|去)*注册)?[ \t>]*"
        r"|文明上网[，, \t]*(?:理性|登录|请|遵守|自觉)[^\n]{0,30}",
        r"(?:我要|发表|网友|查看|最新)(?:评论|留言|纠错)(?:[ \t]*[（(]\d+[)）])?",
        r"(?i:(?:log|sign) ?in (?:to|or) (?:comment|post|reply|leave|sign|register|join|create)[^\n]{0,50})",
        r"(?i:leave a (?:reply|comment)|comments are closed\.?|no comments(?: yet)?\.?|forgot (?:your )?password\??)",
        r"(?i:already (?:a member|registered|have an account)\?[^\n]{0,40}|don[’']t have an account\?[^\n]{0,40})",
    ),
    "punctuation": (r"(?P<mark>[!！?？。.…~～·])(?P=mark){7,}",),
}

PARTS: dict[str, str] = {
    "editor": r"\s*(?:[（(【\[]\s*(?:责任|本文|值班)?(?:编辑|责编)\s*[:：][^\n）)】\]。负]{1,25}[）)】\]]"
    r"|(?:(?<=[。！？”\s])|^)(?:责任编辑|责编|本文编辑|值班编辑)\s*[:：|｜][^\n。，负]{1,25}"
    r"|(?:(?<=[。！？”\s])|^)编辑\s\w{2,4}\s+校对\s\w{2,4})$",
    "registration": r"^[^\n。]{0,120}(?:ICP[备证](?:案)?(?:字)?(?:第)?[ :：]*[0-9]{4}|公网安备[ :：]*"
    r"(?:第)?[ ]*[0-9]{6})[^\n。]{0,80}$",
    # After a name, a year or a mark; not "with all rights reserved to" and not the words in quotes.
    "rights": rf"^(?!{_PROSE})(?:(?=[^\n]{{0,150}}(?:©|\([cC]\)|[cC]opyright|COPYRIGHT))[^\n]{{0,150}}"
    r"|(?:[^\n]{0,100}[.;|·–—>-]|[^\n]{0,100}\b[12][0-9]{3},?)?[ \t]*"
    r"|#?[ \t]*(?:[A-Z0-9][^\s\"“”]*+(?:[ \t]++(?:(?:of|and|the|by|for) )?[A-Z0-9][^\s\"“”]*+){0,9}[ \t]++)?)"
    r"(?:All [rR]ights [rR]eserved|ALL RIGHTS RESERVED|(?<=, )all rights reserved)"
    r"[.!;,]?(?:[ \t]*(?:[|·©(\[A-Z0-9-])[^\n]{0,60})?$",
    "cookies": r"^[ \t]*(?i:(?:we|(?:this|our) (?:web)?site|(?:this|our) (?:app|page)|[^\n.]{1,25}\.(?:com|org|net))"
    r"(?: and our [^\n.]{1,30})? (?:uses?|may use|are using|stores?) cookies"
    r"[^\n]{0,60}\b(?:experience|improve|personali[sz]e|analy[sz]e|traffic|ads?|advertis\w+|offer you|best|continu\w+"
    r"|agree|consent|privacy|learn more|settings|policy|accept|ok|essential|services?)\b[^\n]*"
    r"|by (?:continuing|using|browsing|clicking|visiting|closing|accessing)\b[^\n]{0,120}\bcookie[^\n]*"
    r"|(?:accept(?: all)?|manage|reject(?: all)?) cookies[ \t|.!]*|(?:our )?cookie (?:policy|consent"
    r"|preferences|settings|notice)[ \t|.!:]*"
    r"|you (?:accept|agree|consent) to [^\n]{0,40}cookies[^\n]*)$"
    r"|^[ \t]*(?:本(?:网站|站|网页|网)|我们(?:的网站)?)[^\n。]{0,10}使用\s?(?:了\s?)?(?i:cookies?)[^\n]*"
    r"(?:浏览|体验|同意|继续|隐私|接受)[^\n]*$",
    "javascript": r"^[ \t]*(?i:(?:(?:sorry|oops|warning|note|error)[,.:! ]+)?"
    r"(?:(?:please|you (?:must|need to|have to|should)|(?:in order )?to (?:view|use|see|post|read|access"
    r"|comment)[^\n]{0,60}?)[ ,]+(?:please )?)?"
    r"(?:enable|turn on|activate|switch on) javascript(?: support)?"
    r"(?: (?:in|on) (?:your|the) (?:web )?browser(?: settings)?)?"
    r"(?: (?:and|to|in order to|for) (?:view|use|see|display|load|post|read|access|reload|continue|comment"
    r"|enjoy|get|run|the|a|full)\b[^\n]{0,80})?[.!]*"
    r"|(?:[^\n.]{0,60} )?requires? javascript(?: (?:to|and|in order)\b[^\n]{0,60})?[.!]*"
    r"|(?:(?:it (?:looks|seems) like|we(?:'ve| have)? detect(?:ed)? that) )?javascript (?:is|must be|has been"
    r"|needs to be|seems to be|appears to be)"
    r" (?:currently |either )*(?:disabled|enabled|turned off|required|not enabled)"
    r"(?: (?:in|on|by) (?:your|the|this) (?:web )?browser)?(?: (?:(?:in order )?to (?:view|use|see|access|display)"
    r"|(?:in order )?for (?:you to|this (?:web)?(?:site|page)|full functionality|the (?:web)?(?:site"
    r"|page)))\b[^\n]{0,80})?"
    r"(?:[.!,]+[ \t]*(?:please|enable|this|you|to)\b[^\n]{0,80})?[.!]*"
    r"|your (?:web )?browser [^\n]{0,40}javascript[^\n]{0,100})$",
    "policy": r"^[ \t]*(?:(?i:(?:(?:please )?(?:see|read|view|review|check)|by [a-z ]{3,30} you (?:agree"
    r"|accept)(?: to)?"
    r"|(?:i|you) (?:agree|accept)(?: to)?|[a-z]{3,12})(?: (?:our|the|its|their|these))?(?: [a-z]{3,12})? )?)?"
    r"(?:Privacy [Pp]olicy|Terms of (?:[Uu]se|[Ss]ervice)|PRIVACY POLICY|TERMS OF (?:USE|SERVICE))"
    r"(?:[ \t]*(?:[|/,&·•-]|\b(?:and|or)\b)[^\n.!?:]{0,50})?[ \t.]*$",
    "click_here": r"(?:(?<=[.!?])\s+|^\s*)(?i:(?:please )?click here(?: (?:to|for|if)(?: (?:see|view|get|find))?"
    r" (?:more|our|the full|read|learn|sign|subscribe|register|download|visit|buy|order|submit|donate|join|book)\b"
    r"[^\n.!?]{0,100})?[.!?]*)$"
    rf"|(?:(?<=[。！？])\s*|^\s*)(?:请|想了解更多[^\n。]{{0,10}})?点击(?:这里|此处){_DO}[^\n。，「“]{{0,15}}[。！]?$",
    "teaser": r"^[^\n]*(?:\.\.\.|…)\]?\s*(?:(?i:\[?(?:read more|continue reading)\b)[^\n.]{0,40}"
    rf"|\[(?:详细|更多|全文)\]|(?:阅读|查看|展开)全文)\s*{_CLOSE}$",
}

# The beginnings of LINES, in lower case, two to nine characters of each: most other lines are skipped.
BEGINNINGS = (
    "首页 主页 新闻 体育 财经 娱乐 关于我们 联系我们 网站地图 登录 注册 帮助中心 隐私政策 您现在 您当前 您的位 "
    "您所在 您位置 你现在 你当前 你的位 你所在 你位置 现在的 现在所 现在位 当前的 当前所 当前位 所在位 返回顶部 "
    "返回首页 返回列表 返回目录 回到顶部 回到首页 回到列表 回到目录 上一篇 上一条 下一篇 下一条 设为首页 加入收藏 "
    "收藏本站 【打印】 【关闭】 请点击 点击 查看 阅读 显示 加载 浏览 展开 相关阅读 相关新闻 相关报道 相关推荐 "
    "推荐阅读 热门推荐 猜你喜欢 为您推荐 更多精彩 版权所有 版权声明 未经 分享到 分享至 微信扫 "
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
# A substring that all of PARTS have. Each alternative begins with a rare character; the rest is matched by lookbehind.
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
