"""What people answer, one line a reply: the intent and, where one is promised, the day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from duewise.message.reply import ACTIONS, read_reply
from duewise.message.when import read_date

TODAY = date(2026, 8, 10)  # a Monday

REPLIES = """
R                            | opt_out
ｒ。                         | opt_out
 Td                          | opt_out
T                            | opt_out
N                            | opt_out
回复R                        | opt_out
退订                         | opt_out
退 订！                      | opt_out
拒收                         | opt_out
STOP                         | opt_out
Stop.                        | opt_out
ＳＴＯＰ                     | opt_out
stop all                     | opt_out
Opt out                      | opt_out
OPT-OUT                      | opt_out
UNSUBSCRIBE                  | opt_out
cancel                       | opt_out
quit!                        | opt_out
请不要再发短信了             | opt_out
別再發了                     | opt_out
不要再给我发了               | opt_out
别发了我已经还了             | opt_out
Please stop texting me       | opt_out
don't message me again       | opt_out
take me off your list        | opt_out
别再催了                     | opt_out
已还                         | paid
已还款，谢谢                 | paid
还过了                       | paid
昨天就还了                   | paid
我刚刚转账了                 | paid
钱已经还了，怎么还发？       | paid
已結清                       | paid
paid                         | paid
I have already paid          | paid
I paid yesterday             | paid
Payment sent                 | paid
明天还                       | promise       | 2026-08-11
后天一定还                   | promise       | 2026-08-12
今晚还                       | promise       | 2026-08-10
15号发工资就还               | promise       | 2026-08-15
5号还                        | promise       | 2026-09-05
十五号还款                   | promise       | 2026-08-15
8月20日还清                  | promise       | 2026-08-20
下周五还                     | promise       | 2026-08-21
周五还可以吗                 | promise       | 2026-08-14
三天后还                     | promise       | 2026-08-13
月底还                       | promise       | 2026-08-31
下个月3号处理                | promise       | 2026-09-03
8月9日的那期我明天还         | promise       | 2026-08-11
还没发工资，15号还           | promise       | 2026-08-15
尽快还                       | promise
马上还                       | promise
I will pay tomorrow          | promise       | 2026-08-11
I'll pay on Friday           | promise       | 2026-08-14
will settle on 15 Aug        | promise       | 2026-08-15
Paying within three days     | promise       | 2026-08-13
15号                         | promise       | 2026-08-15
没钱                         | hardship
我失业了，实在还不上         | hardship
没钱，下个月15号才有         | hardship      | 2026-09-15
可以分期吗                   | hardship
能不能晚几天                 | hardship
住院了，能申请延期吗         | hardship
没借到钱                     | hardship
工资还没发                   | hardship
I lost my job                | hardship
I cannot pay today, can pay friday | hardship | 2026-08-14
Can I get an instalment plan?| hardship
不是我借的                   | dispute
我没借过你们的钱             | dispute
金额不对                     | dispute
已经还了，金额不对           | dispute
利息算错了吧                 | dispute
重复扣款                     | dispute
This is not my loan          | dispute
The amount is wrong          | dispute
打错了                       | wrong_person
你打错了，不要再发           | wrong_person
不是本人                     | wrong_person
我不是李红                   | wrong_person
这个号码已经换人了           | wrong_person
不认识这个人                 | wrong_person
我是他老婆                   | wrong_person
Wrong number                 | wrong_person
I don't know him             | wrong_person
滚                           | abuse
你们这些骗子                 | abuse
fuck off                     | abuse
怎么还款？                   | question
欠多少钱                     | question
还了吗                       | question
请问几号扣款                 | question
How do I pay?                | question
Where is the app             | question
我不是故意的                 | other
好的                         | other
ok                           | other
收到，谢谢                   | other
我还没还                     | other
不要联系我家人               | other
我不会还的                   | other
I will not pay               | other
                             | other
"""

TABLE = [[cell.strip() for cell in line.split("|")] for line in REPLIES.strip("\n").split("\n")]


@pytest.mark.parametrize(("text", "kind", "day"), [[*row, ""][:3] for row in TABLE])
def test_it_reads_what_a_reply_means(text: str, kind: str, day: str) -> None:
    intent = read_reply(text, today=TODAY)
    promised = date.fromisoformat(day) if day else None
    assert (intent.kind, intent.date) == (kind, promised)


def test_it_knows_an_action_for_every_intent_of_the_table() -> None:
    assert {kind for _, kind, *_ in TABLE} == set(ACTIONS)


def test_it_is_surer_of_a_plain_word_than_of_a_guess() -> None:
    plain, named, vague = (
        read_reply(text, today=TODAY).confidence for text in ("R", "明天还", "好的")
    )
    assert plain == 1.0
    assert plain > named > vague


@pytest.mark.parametrize(
    ("text", "today", "day"),
    [
        ("31号", date(2026, 2, 1), date(2026, 3, 31)),
        ("2月30日", date(2026, 2, 1), None),
        ("1月5日", date(2026, 12, 20), date(2027, 1, 5)),
        ("8月1日", date(2026, 8, 10), None),  # over: nobody promises it for next year
        ("2026-08-15", date(2026, 8, 10), date(2026, 8, 15)),
        ("8.15", date(2026, 8, 10), date(2026, 8, 15)),
        ("868.40元", date(2026, 8, 10), None),
        ("周一", date(2026, 8, 12), date(2026, 8, 17)),
        ("下下周日", date(2026, 8, 10), date(2026, 8, 30)),
        ("大后天", date(2026, 8, 10), date(2026, 8, 13)),
        ("下个月底", date(2026, 8, 10), date(2026, 9, 30)),
        ("下月初", date(2026, 12, 10), date(2027, 1, 1)),
        ("sept 3rd", date(2026, 8, 10), date(2026, 9, 3)),
        ("the 5th", date(2026, 8, 10), date(2026, 9, 5)),
        ("next tuesday", date(2026, 8, 10), date(2026, 8, 18)),
        ("end of the month", date(2026, 8, 10), date(2026, 8, 31)),
        ("my friend has money", date(2026, 8, 10), None),
    ],
)
def test_it_reads_the_day_a_phrase_names(text: str, today: date, day: date | None) -> None:
    assert read_date(text, today=today) == day


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("下周五先还500", "500"),
        ("明天还1,200.50元", "1200.50"),
        ("周五还2千，剩下的月底", "2000"),
        ("I will pay 300 dollars on Friday", "300"),
        ("15号还", None),
        ("明天10点还", None),
        ("will pay 15 Aug", None),
        ("我15号发工资，16号还清", None),
    ],
)
def test_it_reads_how_much_is_promised_and_takes_no_date_for_it(
    text: str, amount: str | None
) -> None:
    found = read_reply(text, today=date(2026, 8, 10))
    assert found.kind == "promise"
    assert found.amount == (None if amount is None else Decimal(amount))


def test_it_asks_a_person_where_a_promise_has_no_day() -> None:
    vague, dated = (read_reply(text, today=date(2026, 8, 10)) for text in ("会还的", "明天还"))
    assert (vague.kind, vague.action) == ("promise", "hand_to_person")
    assert dated.action == "record_promise"
