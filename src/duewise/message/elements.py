"""What a text contains: required elements, the consequences it asserts, what a glance gives away.

The patterns are read on the normal form (half width, simplified, lower case, punctuation kept).
They look for how notices are really written; a text they do not understand lacks the element, and
is then sent by nobody, which is the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from duewise.message.normal import normalise

ELEMENTS = (
    "sender_identity",
    "amount_or_pointer",
    "due_date",
    "overdue_fact",
    "pay_route",
    "official_contact",
    "dispute_or_help_route",
)

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = {
    "zh": r"(?:\d{1,2}月\d{1,2}[日号]|\d{4}-\d{1,2}-\d{1,2})",
    "en": rf"(?:\d{{1,2}} {_MONTH}|{_MONTH} \d{{1,2}}\b|\d{{4}}-\d{{1,2}}-\d{{1,2}})",
}
_CURRENCY = "cny|rmb|usd|eur|gbp|hkd|twd|sgd|jpy|inr|idr|php|kes|vnd|myr|thb"
_FIGURE = rf"[¥$€£]\s?\d|\b(?:{_CURRENCY})\s?\d|\d\.\d\d\b"
_NUMBER = r"(?:95[\dx]{3,6}|[48]00[- ]?\d{3}[- ]?\d{4}|0\d{2,3}-?\d{7,8}|1[02]\d{3,4}(?!\d))"
_SIGNED = r"^\s*(?:【[^【】]{2,}】|\[[^\[\]]{2,}\])"
_CLAUSE = r"(?:[^.;!?]|\.(?=\d))"  # one character of an English clause

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "sender_identity": _SIGNED + r"|(?:金融|银行|公司|贷款)[^,。;]{0,6}(?:提醒|提示|通知)",
        "amount_or_pointer": rf"\d\s*元|{_FIGURE}"
        r"|(?:登录|打开|进入|前往|在)[^。,;]{0,16}(?:查看|查询|查阅)",
        "due_date": rf"(?:还款日|到期|应还日|请于|请在)[^。;,]{{0,8}}{_DATE['zh']}"
        rf"|{_DATE['zh']}[^。;,]{{0,16}}(?:到期|还款日|应还|前|扣款)",
        "overdue_fact": r"逾期\s*\d+\s*[天日]|已(?:经)?逾期|逾期未还"
        r"|(?:已|超)过(?:了)?(?:应)?还款日",
        "pay_route": r"(?:app|小程序|公众号|官网|网银|账户|银行卡)[^。;]{0,14}"
        r"(?:还款(?!日)|还清|还上|支付|缴款|扣款|结清|办理)"
        r"|(?:存入|存足|备足|转入)[^。;]{0,12}(?:账户|银行卡)",
        "official_contact": r"(?:客服|热线|致电|电话|拨打|来电|联系|咨询)[^。;]{0,10}" + _NUMBER,
        "dispute_or_help_route": r"(?:异议|疑问|困难|难处|吃力|周转|协商|分期|延期)[^。]{0,24}"
        r"(?:致电|联系|拨打|客服|热线|申请|来电)"
        r"|(?:致电|联系|拨打|客服|热线|来电)[^。]{0,20}(?:协商|分期|延期|异议|困难)",
    },
    "en": {
        "sender_identity": _SIGNED + r"|^[a-z][\w&.' ]{2,40}:|\bthis is [a-z]",
        "amount_or_pointer": rf"{_FIGURE}|\b(?:see|check|view)\b{_CLAUSE}{{0,30}}\bapp\b",
        "due_date": rf"(?<!past )\b(?:due|by|before|payment date)\b(?:(?! as of){_CLAUSE}){{0,24}}"
        rf"{_DATE['en']}|{_DATE['en']}{_CLAUSE}{{0,16}}(?<!past )\b(?:due|payment date)\b",
        "overdue_fact": r"\b(?:past due|overdue)\b|\b\d+ days? late\b|\bwas due\b",
        "pay_route": rf"\bpay(?:ment)?\b{_CLAUSE}{{0,40}}\b(?:app|account|website|online)\b"
        rf"|\bapp\b{_CLAUSE}{{0,20}}\bpay\b",
        "official_contact": r"\b(?:help|call|phone|hotline|contact|questions?|service)\b"
        rf"[^;!?]{{0,24}}(?:{_NUMBER}|\+?\d[\d -]{{4,}}\d)",
        "dispute_or_help_route": r"(?:dispute|disagree|difficult|trouble|hard\b|struggl|instalment"
        r"|can'?t pay|cannot pay|not right).{0,60}\b(?:call|contact|tell|talk|ring)\b"
        r"|\b(?:call|contact|tell|talk|ring)\b.{0,60}(?:dispute|disagree|difficult|trouble|hard\b"
        r"|struggl|instalment|can'?t pay|cannot pay|not right)",
    },
}
_CROSSED_IN_THE_POST = {
    "zh": r"(?:已|刚)[^。;,]{0,6}(?:还|付|结清|缴|存)[^。;]{0,8}"
    r"(?:忽略|(?:不必|无需)(?:理会|处理))",
    "en": rf"\bpaid\b{_CLAUSE}{{0,30}}\b(?:ignore|disregard)\b"
    rf"|\b(?:ignore|disregard)\b{_CLAUSE}{{0,40}}\bpaid\b",
}
_OPT_OUT = {
    "zh": r"(?:拒收|退订)[^。;]{0,6}回(?:复)?\s*[a-z]|回(?:复)?\s*(?:r|td|t|n)(?![a-z])",
    "en": r"\b(?:reply|text|send)\s+(?:stop|r|td|unsubscribe)\b",
}
_CLAIMS: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "penalty_interest": r"罚息",
        "credit_will_be_reported": r"征信|信用记录|报送",
        "legal_action": r"起诉|诉讼|仲裁|律师|法律|法院",
    },
    "en": {
        "penalty_interest": r"penalty|late (?:fee|interest|charge)",
        "credit_will_be_reported": r"credit (?:bureau|report|record|score|file)",
        "legal_action": r"legal action|lawsuit|\bcourt\b|\bsue\b|solicitor|attorney",
    },
}
_SHOWS_DEBT = {
    "zh": rf"借款|贷款|还款|应还|欠|逾期|罚息|到期|分期|\d\s*元|{_FIGURE}",
    "en": rf"\b(?:loans?|due|overdue|repay\w*|owed?|owing|debts?|instalments?|pay)\b|{_FIGURE}",
}


def elements_of(text: str, *, locale: str) -> frozenset[str]:
    """The elements of `ELEMENTS` that a rendered text contains.

    >>> sorted(elements_of("【示例消费金融】还款日8月10日，客服95123", locale="zh-CN"))
    ['due_date', 'official_contact', 'sender_identity']
    """
    patterns = _TEXTS[_language(locale)]
    return frozenset(name for name in ELEMENTS if _has(text, patterns[name]))


def claims_of(text: str, *, locale: str) -> frozenset[str]:
    """Consequences of not paying that the text speaks of, as labels of `msg.claims`."""
    patterns = _CLAIMS[_language(locale)]
    return frozenset(claim for claim, pattern in patterns.items() if _has(text, pattern))


def has_crossed_line(text: str, *, locale: str) -> bool:
    """Whether it tells whoever has just paid to ignore it."""
    return _has(text, _CROSSED_IN_THE_POST[_language(locale)])


def has_opt_out_text(text: str, *, locale: str) -> bool:
    """Whether it offers to be refused by a reply, as only marketing does in China."""
    return _has(text, _OPT_OUT[_language(locale)])


def shows_debt(preview: str, *, locale: str) -> bool:
    """Whether whoever sees this line over a shoulder learns of a debt."""
    return _has(preview, _SHOWS_DEBT[_language(locale)])


def _has(text: str, pattern: str) -> bool:
    """ASCII, so that a border may lie between a letter and a Chinese character."""
    return re.search(pattern, normalise(text, joined=False).text, re.ASCII) is not None


def _language(locale: str) -> str:
    """Chinese notices are read by Chinese patterns, all others by English ones."""
    return "zh" if locale.lower().startswith("zh") else "en"
