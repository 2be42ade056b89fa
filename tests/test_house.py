"""What the house promises and import-linter's contracts do not cover."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import sklrelight

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sklrelight"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_at_most_17_modules_and_packages_stand_in_the_hall():
    modules = [path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]
    packages = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    assert len(modules + packages) <= 17, sorted(modules + packages)


def test_rooms_below_the_network_do_not_wait_for_torch():
    program = """
import sys
import sklrelight.datasets, sklrelight.daylight, sklrelight.interpolation, sklrelight.metrics
import sklrelight.surface
import sklrelight.preprocessing, sklrelight.stacks
print(sorted({"torch", "skorch"} & sys.modules.keys()))
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_help_on_the_command_line_does_not_wait_for_torch():
    program = """
import sys
from sklrelight.cli import main
main(["--help"], standalone_mode=False)
print(sorted({"torch", "skorch", "matplotlib", "cv2"} & sys.modules.keys()))
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_the_version_is_the_same_everywhere():
    version = PYPROJECT["project"]["version"]
    assert sklrelight.__version__ == version
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1] == version


def test_the_wheel_holds_every_file_that_is_no_module():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["sklrelight"]
    packed = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    assert packed == {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
