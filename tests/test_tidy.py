"""What the code promises about itself: sizes, words, exactness, and nothing of anybody's machine.

Each test collects every offender before it fails, so one run shows all there is to mend.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
FUNCTION_LINES_MAX = 50
FILE_LINES_MAX = 400
# A longer file says why in its docstring, in a sentence that begins so.
EXCUSE = "Long because"

# Where an amount must stay a whole number. Ratios of amounts are made in `measure`, `risk`, `sim`.
EXACT = ("money", "book", "strategy", "message", "guard", "outbox", "engine", "jobs", "store")

# Django finds these by name.
FOUND_BY_NAME = {"__init__", "__main__", "admin", "apps", "formats", "models"}

# People have names of their own here (docs/explanation/glossary.md).
NEVER = re.compile(r"\b(?:customer|consumer|user|client|installment|debtor)s?\b", re.IGNORECASE)
MEANT = re.compile(  # … and these are not people, or the law's word for them
    r"consumer (?:finance|lend|loan|credit|protection)\w*|`?debtor`?|user agent|API clients?",
    re.IGNORECASE,
)
# PostgreSQL, SMPP and Django have users and clients of their own.
OUR_WORDS = ("book", "risk", "message", "strategy", "guard", "outbox", "measure", "sim", "engine")


@cache
def tracked() -> tuple[Path, ...]:
    """Every text file that is, or is about to be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


@cache
def text_of(path: Path) -> str:
    """The file's text; empty for a binary one."""
    data = path.read_bytes()
    return "" if b"\0" in data[:4096] else data.decode("utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path), filename=str(path))


def python(*folders: str) -> list[Path]:
    """Tracked Python files under the folders; migrations are Django's writing, not ours."""
    roots = [ROOT / folder for folder in folders]
    return [
        path
        for path in tracked()
        if path.suffix == ".py"
        and any(root in path.parents for root in roots)
        and "migrations" not in path.parts
    ]


def place(path: Path, line: int = 1) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def nodes(paths: list[Path], wanted: Callable[[ast.AST], bool]) -> list[str]:
    """Where in the files stands a node of that kind."""
    return [
        place(path, getattr(node, "lineno", 1))
        for path in paths
        for node in ast.walk(tree_of(path))
        if wanted(node)
    ]


def assert_none(offenders: list[str]) -> None:
    assert not offenders, "\n" + "\n".join(offenders)


def test_it_keeps_functions_within_a_screen() -> None:
    long = [
        f"{place(path, node.lineno)} {node.name}: {size} lines"
        for path in python("src", "tests", "tools")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := _code_lines(node)) > FUNCTION_LINES_MAX
    ]
    assert_none(long)


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, the docstring not counted."""
    first = node.body[0]
    documented = ast.get_docstring(node, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def test_it_keeps_files_short_or_says_why_not() -> None:
    long = [
        f"{place(path)} {size} lines"
        for path in python("src", "tests", "tools")
        if (size := text_of(path).count("\n")) > FILE_LINES_MAX
        and EXCUSE not in (ast.get_docstring(tree_of(path)) or "")
    ]
    assert_none(long)


def test_it_says_in_each_module_what_it_is_for() -> None:
    silent = [
        place(path) for path in python("src", "tools") if not ast.get_docstring(tree_of(path))
    ]
    assert_none(silent)


def test_it_leaves_no_notes_to_self() -> None:
    note = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    left = [found for path in tracked() for found in _lines_with(note, path)]
    assert_none(left)


def _lines_with(pattern: re.Pattern[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        if pattern.search(line):
            yield f"{place(path, number)} {line.strip()[:80]}"


def test_it_names_no_index_and_no_machine() -> None:
    somebodys = re.compile(
        r"pypi\.org|files\.pythonhosted|registry\.npmjs|index-url +=|extra-index"
        r"|(?<![\w.])/(?:work|root|home|Users)/\w"
    )
    named = [
        found
        for path in tracked()
        if path != Path(__file__).resolve()
        for found in _lines_with(somebodys, path)
    ]
    assert_none(named)


def test_it_never_makes_a_float_of_an_amount() -> None:
    exact = [SRC / "duewise" / name for name in EXACT]
    paths = [
        path
        for path in python("src")
        if any(root in path.parents or root.with_suffix(".py") == path for root in exact)
    ]
    assert_none(nodes(paths, _floats_an_amount))


def _floats_an_amount(node: ast.AST) -> bool:
    """`float(x_minor)`, `x_minor / y`, and the same of a column."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
        return any("minor" in ast.unparse(argument) for argument in node.args)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return "_minor" in ast.unparse(node.left)
    return False


def test_it_asks_a_duration_for_its_total_seconds() -> None:
    # `.seconds` of a day and a second is 1.
    found = nodes(
        python("src", "tests", "tools"),
        lambda node: isinstance(node, ast.Attribute) and node.attr == "seconds",
    )
    assert_none(found)


def test_it_calls_people_what_they_are() -> None:
    wrong = [
        f"{place(path, line)} {words.strip()[:80]}"
        for path in python(*(f"src/duewise/{folder}" for folder in OUR_WORDS))
        for line, words in _own_words(path)
        if _says_never(words)
    ]
    wrong += [
        f"{place(path, number)} {line.strip()[:80]}"
        for path in tracked()
        if path.suffix == ".md"
        for number, line in enumerate(_prose(text_of(path)).splitlines(), start=1)
        if _says_never(line)
    ]
    assert_none(wrong)


def _says_never(words: str) -> bool:
    return bool(NEVER.search(MEANT.sub("", words.replace("_", " "))))


def _own_words(path: Path) -> Iterator[tuple[int, str]]:
    """What we named ourselves, and what we say of it: definitions, arguments, docstrings."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", node.name)
            for number, line in enumerate((ast.get_docstring(node) or "").splitlines()):
                yield node.lineno + 1 + number, _prose(line)
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def _prose(text: str) -> str:
    """The text without code: a lender's own column may be called what it likes."""
    without_blocks = re.sub(r"```.*?```", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`|\(https?://[^)]*\)", "", without_blocks)


def test_it_has_no_dead_module() -> None:
    modules = {_module_name(path): path for path in python("src")}
    named = set(re.findall(r"duewise(?:\.\w+)+", text_of(ROOT / "pyproject.toml")))
    for path in python("src"):
        named |= _names_in(path)
    dead = [
        place(path)
        for name, path in modules.items()
        if path.stem not in FOUND_BY_NAME
        and path.parent.name != "templatetags"
        and not _is_named(name, named)
    ]
    assert_none(dead)


def _module_name(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


def _names_in(path: Path) -> set[str]:
    """Dotted names the module imports, or spells out for somebody who imports by name."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = _module_name(path).split(".")[: -node.level or None] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"\bduewise(?:\.\w+)+", node.value))
    return found - {_module_name(path)}


def _is_named(module: str, named: set[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for name in named)


def test_it_tests_without_mocks_and_skips() -> None:
    mock = re.compile(r"^\s*(?:from|import) +(?:unittest +import +)?(?:unittest\.)?mock\b")
    skip = re.compile(r"pytest\.(?:skip|xfail|importorskip)|mark\.(?:skip|xfail)|unittest\.skip")
    found = [
        line
        for path in python("tests")
        if path != Path(__file__).resolve()
        for pattern in (mock, skip)
        for line in _lines_with(pattern, path)
    ]
    assert_none(found)


def test_it_names_every_test_as_a_sentence() -> None:
    nameless = [
        f"{place(path, node.lineno)} {node.name}"
        for path in python("tests")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test")
        and not node.name.startswith("test_it_")
    ]
    assert_none(nameless)


def test_it_gives_each_test_file_a_name_of_its_own() -> None:
    names = [path.name for path in python("tests") if path.name.startswith("test_")]
    assert len(names) == len(set(names)), sorted({n for n in names if names.count(n) > 1})
