"""The words replies are read by: patterns on the normal form, in order of precedence."""

from __future__ import annotations

from typing import NamedTuple

# China: R, older TD, T, N; the US and carriers' lists (47 CFR 64.1200(a)(10) names most of them).
OPT_OUT_WORDS = frozenset(
    (
        *("r", "td", "t", "n", "退订", "拒收", "停", "取消"),
        *("回r", "回复r", "回td", "回复td", "td退订", "退订r", "r退订"),
        *("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"),
        *("arret", "remove"),
    )
)
PAID_WORDS = frozenset(
    ("已还", "还了", "已付", "付了", "已还款", "还完了", "已还清", "已结清", "paid", "done")
)


class Reading(NamedTuple):
    """One way to understand a reply: it matches, and nothing in it speaks against it."""

    kind: str
    confidence: float
    pattern: str
    unless: str = ""


_WRONG_PERSON = (
    r"打错|(?<!金额)(?<!数目)发错|搞错[人号]|认错人|找错",
    r"(?:不是|非)(?:我?本人|机主|[他她]本人|这?个?人|你们?要?找)",
    r"(?:号码?|手机|电话)(?:已经?)?(?:不是|换了?主|换人)|换(?:了)?(?:号|机主|手机号)|新(?:机主|号主)",
    (
        r"我(?:不是|不叫)(?!故意|有意|不|没|说|骗|老赖|已|刚|昨|早|这)"
        r"[\u4e00-\u9fff]{2,3}(?:先生|女士|$)"
    ),
    r"不认识(?:[他她]|这个?人|此人)",
    r"我是(?:[他她]|机主)的?(?:家|爱人|老婆|老公|妻|丈夫|妈|爸|父|母|儿|女|朋友|同事)",
    r"wrong (?:number|person)|not (?:my|the) (?:name|person)|don'?t know (?:him|her|this person)",
    r"i(?:'m| am) not (?:mr|mrs|ms|him|her|the person)\b|new owner|no one (?:here )?by that name",
)
_OPT_OUT = (
    r"退订|拒收|取消(?:短信|提醒|订阅)",
    (
        r"(?:不要|别|勿|停止|不想|不许|禁止|不准)(?:再|在|给我|向我|继续|老|总|一直)*"
        r"(?:发|打扰|骚扰|推送|收到)"
    ),
    r"(?:不要|别|停止)再?联系(?!我?的?(?:家|父|母|单位|公司|朋友|同事))",
    r"\b(?:stop|quit|don'?t|do not|no more) ?(?:texting|text|sending|send|messag\w*|contact\w*)",
    r"\b(?:stop|no more) (?:sms|these|it|this|bothering)|^stop\b|\bunsubscribe\b",
    r"\bopt(?:ing)?[ -]?(?:me )?out\b|\bremove me\b|take me off|leave me alone",
)
_DISPUTE = (
    r"(?:不是|没有?|从没|从未|并未)(?:我|在你们?[这那]?)?(?:借(?!到)|贷|申请|办)",
    r"(?:金额|数目|数字|利息|账单|日期)[^。]{0,4}(?:不对|有误|有问题|错|太高)",
    r"算错|多[算收扣]|重复扣|扣了?[两2]次|有异议|不认可|盗用|冒用|被(?:诈)?骗",
    r"没(?:有)?收到(?:款|钱|放款|贷款|借款)",
    r"not my (?:loan|debt)|never (?:borrowed|took|applied)|did(?:n'?t| not) (?:borrow|take|apply)",
    r"(?:amount|balance|bill|figure) (?:is )?(?:wrong|incorrect|not right)|\bdisput",
    r"\bfraud|charged (?:me )?twice|identity theft|stole my",
)
_HARDSHIP = (
    r"没(?:有)?(?:钱|工作|收入|能力|办法还)|还不[起上了]|还款?困难|有困难|困难|难处|困境",
    r"失业|下岗|裁员|被辞|住院|生病|重病|手术|破产|受灾|揭不开锅|拖欠工资",
    r"周转不[开过来]|手头紧|没借到",
    r"(?:能|可以|可否|申请|想|办理|帮我)[^。]{0,4}(?:分期|延期|缓|展期|宽限|减免|协商|少还)",
    r"(?:晚|宽限|缓)[几两三多]天",
    r"(?:can'?t|cannot|can not|unable to) (?:pay|afford)|no money|lost my job|unemployed",
    r"laid off|hospital|hardship|struggling|more time|instal?lment plan|payment plan",
    r"an extension|\bbroke\b",
)
_PAID = (
    (
        r"(?:已经?|刚刚?|早就?|昨[天晚]|前天|今[天早]|上午|下午|都|我|全|钱|款)"
        r"(?:都|已经?|全部?|刚刚?|就)*(?:还|付|缴|交|转)[款清完过好上掉]*了"
    ),
    r"(?:已经?|刚刚?|早就?)(?:全部?)?(?:还|付|缴|转账)|^(?:还|付)[款清完过好]*了",
    r"结清|还过了|还清了|还完了|扣(?:款)?(?:成功|过)?了",
    r"\b(?:already|just|have|i've|i) paid\b|^paid\b|\bpaid (?:it|in full|already|yesterday|today)",
    r"payment (?:is |was )?(?:made|done|sent)",
)
_NOT_PAID = (
    r"没有?(?:还|付)|未还|(?:还|付)[款清完]*了?(?:吗|没有?$|多少)|多少|不了|结清(?:证明|要)",
    r"not paid|haven'?t paid|didn'?t pay|^(?:have|has|did|is) ",
)
_PROMISE = (
    (
        r"(?:会|就|再|来|去|一定|马上|立即|这就|等下|待会|回头|尽快|准时|按时|争取)[^。]{0,6}"
        r"(?:还|付|转|存|处理|结清)"
    ),
    r"(?:还|付|转|存)(?:款|钱|清|上|进去|给你们?)*$|等?发了?工资",
    r"\b(?:i will|i'll|will|going to|gonna|promise to)\b[^.]{0,20}\b(?:pay|settle|transfer|do it)",
    r"\bpay(?:ing)?\b",
)
_SETTLES = (
    r"(?:还|付|转)[^。]{0,4}(?:可以|行|好|成)(?:吗|么|不|嘛)",
    r"\bi (?:will|can) pay\b|\bis it ok(?:ay)? (?:if|to)",
)
_NOT_PAYING = (
    r"没有?(?:还|付)$|不(?:会|想|打算|可能|愿意|准备|肯)*再?(?:还|付)",
    r"\b(?:won'?t|will not|not going to|never|refuse to|not gonna)\b",
)
_QUESTION = (
    r"\?|[吗呢]|怎么|咋|如何|多少|为什么|为啥|什么|哪里|哪儿|几号|能不能|是不是|有没有|请问",
    r"^(?:how|what|when|where|why|who|which|can|could|is|are|do|does|did|have)\b",
)
_ABUSE = (
    r"滚|[操草艹]你|艹|他妈|tmd|妈的|傻[逼比叉]|煞笔|\bsb\b|去死|混蛋|王八|畜生|垃圾|骗子|诈骗|有病",
    r"神经病|不要脸|\bf+u+c+k|\bshit|bastard|\bidiot|go to hell|asshole|screw you|\bscam",
)


def _any(patterns: tuple[str, ...]) -> str:
    return "|".join(patterns)


READINGS: tuple[Reading, ...] = (
    Reading("wrong_person", 0.9, _any(_WRONG_PERSON)),
    Reading("opt_out", 0.9, _any(_OPT_OUT)),
    Reading("dispute", 0.9, _any(_DISPUTE)),
    Reading("hardship", 0.9, _any(_HARDSHIP)),
    Reading("paid", 0.9, _any(_PAID), unless=_any(_NOT_PAID)),
    Reading("promise", 0.7, _any(_SETTLES)),
    Reading("promise", 0.9, _any(_PROMISE), unless=_any(_QUESTION + _NOT_PAYING)),
    Reading("abuse", 0.8, _any(_ABUSE)),
    Reading("opt_out", 0.6, r"[别不](?:要)?再?(?:催|烦)"),
    Reading("hardship", 0.6, r"工资(?:还)?没发|没发工资"),
    Reading("question", 0.8, _any(_QUESTION)),
)
