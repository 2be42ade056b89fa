"""Print constraints.txt with the lowest versions that pyproject.toml states in place of the tested ones."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
lowest = dict(requirement.split(">=") for requirement in project["dependencies"])
# torch is tied to the machine: its build and its CUDA.
del lowest["torch"]
for line in Path("constraints.txt").read_text().splitlines():
    name = re.match(r"[\w-]*", line)[0]
    print(f"{name}=={lowest[name]}" if name in lowest else line)
