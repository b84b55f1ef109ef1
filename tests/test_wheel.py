"""An installed wheel works without the repository: built offline, run elsewhere, its data inside."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What is no Python module and must travel all the same, by folder of the package.
DATA = {
    "py.typed": "py.typed",
    "book/mappings": "*.yaml",
    "guard/profiles": "*.yaml",
    "jobs": "*.yaml",
    "message/templates": "*.yaml",
    "store/sql": "*.sql",
    "strategy/strategies": "*.yaml",
    "strategy/tone.yaml": "tone.yaml",
    "web/locale": "*.mo",
    "web/report": "*.html",
    "web/report/report.css": "report.css",
    "web/report/report.js": "report.js",
    "web/sheet.html": "sheet.html",
    "web/static": "*",
    "web/templates": "*.html",
    "workspace.toml": "workspace.toml",
}
RUN_S_MAX = 120


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command's result; its output is shown where it fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DUEWISE"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built with what is installed here and no network."""
    out = tmp_path_factory.mktemp("dist")
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    options = ("--wheel", "--offline", "--no-build-isolation", "--python", sys.executable)
    run(uv, "build", *options, "--out-dir", out, ROOT, cwd=out)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `duewise` of a fresh environment that sees our dependencies and not the checkout."""
    home = tmp_path_factory.mktemp("elsewhere")
    venv.create(home, with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(home), "platbase": str(home)})
    # Only the folder is put on the path: the .pth file of our editable install is not read from it.
    (Path(paths["purelib"]) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    python = Path(paths["scripts"]) / "python"
    run(uv, "pip", "install", "--offline", "--no-deps", "--python", python, wheel, cwd=home)
    return Path(paths["scripts"]) / "duewise"


def test_it_carries_every_data_file(wheel: Path) -> None:
    package = ROOT / "src" / "duewise"
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder, pattern in DATA.items():
        place = package / folder
        wanted = [place] if place.is_file() else [p for p in place.rglob(pattern) if p.is_file()]
        assert wanted, f"nothing like {pattern} in {folder}"
        missing = {str(path.relative_to(package.parent)) for path in wanted} - inside
        assert not missing


def test_it_carries_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    strangers = [name for name in names if not name.startswith(("duewise/", "duewise-"))]
    assert not [*strangers, *(name for name in names if "__pycache__" in name)]


def test_it_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    python = installed.parent / "python"
    where = run(python, "-c", "import duewise; print(duewise.__file__)", cwd=tmp_path).stdout
    assert not Path(where.strip()).is_relative_to(ROOT)
    assert metadata.version("duewise") in run(installed, "--version", cwd=tmp_path).stdout


def test_it_makes_a_workspace_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    run(installed, "init", tmp_path / "lender", cwd=tmp_path)
    assert (tmp_path / "lender" / "duewise.toml").is_file()
    assert list((tmp_path / "lender").rglob("*.yaml")), "a strategy of the lender's own"
