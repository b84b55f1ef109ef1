"""How a borrower is addressed where the lender does not say: short, masked, and neutral of sex.

The form follows the script of the name, for a name is written in its owner's way whatever the
language of the notice. Whoever reads over a shoulder learns no full name (PIPL article 28).
"""

from __future__ import annotations

import re

COMPOUND_SURNAMES = frozenset(
    ("欧阳", "上官", "司马", "诸葛", "司徒", "慕容", "夏侯", "皇甫", "东方", "令狐", "尉迟", "长孙")
)
FORENAME_CHARS_MAX = 12
_HAN = re.compile(r"[\u3400-\u9fff]")
_TITLE = re.compile(r"(?:mr|mrs|ms|miss|dr|mx)\.?$", re.IGNORECASE)


def salutation(name: str) -> str | None:
    """A masked name to greet; None where there is none to be made.

    >>> salutation("李明"), salutation("欧阳娜娜"), salutation("阿依古丽·买买提")
    ('李*', '欧阳*', '阿依古丽*')
    >>> salutation("Ms Ming Li"), salutation("Chen"), salutation("  ")
    ('Ming L*', 'C*', None)
    """
    words = [word for word in name.split() if not _TITLE.match(word)]
    if not words:
        return None
    if _HAN.search(words[0]):
        return f"{_family_name(''.join(words))}*"
    if len(words) == 1:
        return f"{words[0][0]}*"
    return f"{words[0][:FORENAME_CHARS_MAX]} {words[-1][0]}*"


def _family_name(name: str) -> str:
    """One character, or two; of a name with a middle dot what stands before it, which is called."""
    before, dot, _ = name.partition("·")
    if before and dot:
        return before[:FORENAME_CHARS_MAX]
    compound = name[:2]
    return compound if compound in COMPOUND_SURNAMES and name != compound else name[0]
