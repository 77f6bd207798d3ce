"""The Dockerfile: built where Docker runs, and its lines checked everywhere."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT

LINES = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


def instructions(name: str) -> list[str]:
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(f"{name} ")]


def docker_runs() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def test_what_is_copied_is_there_and_not_ignored() -> None:
    """The context has these files alone: no images, no environment, no history."""
    copied = [source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]]
    assert {"requirements.txt", "pyproject.toml", "s2match"} <= set(copied)
    assert all((ROOT / source).exists() for source in copied)
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(copied)
    # the build of the wheel reads these files
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [project["project"]["readme"], *project["project"]["license-files"]]
    assert all(any(Path(pattern).is_relative_to(source) for source in copied) for pattern in needed)
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["s2match"]


def test_versions_user_and_entry_point() -> None:
    """The versions are those of requirements.txt; the process is not root's; the command is that of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    images = instructions("FROM")
    assert len(images) == 2
    for image in images:
        (version,) = re.findall(r"^python:(\d+\.\d+)-slim-\w+", image)
        assert f">={version}" == project["requires-python"]
    (install,) = [line for line in instructions("RUN") if "pip install" in line]
    assert "--constraint requirements.txt" in install and "download.pytorch.org/whl/cpu" in install
    # no second place for a version
    assert not re.search(r"[=~]=\d", "\n".join(LINES))
    (user,) = instructions("USER")
    assert user != "root" and any(re.search(rf"useradd .*{user}$", line) for line in instructions("RUN"))
    (entry,) = instructions("ENTRYPOINT")
    assert re.findall(r'"(\w+)"', entry) == ["s2match"] and "s2match" in project["scripts"]


@pytest.mark.slow
@pytest.mark.skipif(not docker_runs(), reason="Docker does not run here")
def test_the_image_matches_a_pair() -> None:
    subprocess.run(["docker", "build", "--quiet", "--tag", "s2match-test", "."], cwd=ROOT, check=True)
    sample = sorted((ROOT / "dataset" / "sample").glob("SYNTHETIC-B_2024*_TCI.jp2"))[:2]
    words = ["docker", "run", "--rm", "--volume", f"{ROOT / 'dataset' / 'sample'}:/images:ro", "--workdir", "/tmp"]
    images = [f"/images/{path.name}" for path in sample]
    done = subprocess.run([*words, "s2match-test", "match", "--images", *images], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("verdict"), done.stderr
