"""The wheel carries everything and runs elsewhere, offline, without a home folder; set-up tells what it needs."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # built from a copy, so that nothing an earlier build left in the checkout gets into the wheel
    source = shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(".*", "build", "results", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "--no-build-isolation", "-q", "-w", str(folder)]
    subprocess.run(command, check=True, cwd=folder)
    return next(folder.glob("*.whl"))


def run_elsewhere(wheel, tmp_path, *words):
    """Run the command line from the unpacked wheel in an empty folder with a home that cannot be written."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    cwd, home = tmp_path / "elsewhere", tmp_path / "home"
    cwd.mkdir()
    home.mkdir(mode=0o500)
    environment = {**os.environ, "PYTHONPATH": str(site), "HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("MPLCONFIGDIR", None)
    done = subprocess.run([sys.executable, "-m", "cogneuro_sae", *words], cwd=cwd, env=environment, capture_output=True,
                          text=True)
    return done, cwd, home


@pytest.mark.slow
def test_the_wheel_holds_package_stimuli_configs_and_weights(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("cogneuro_sae/shipped/stimuli/concepts/achievement.yaml",
                   "cogneuro_sae/shipped/configs/compare/study_c.yaml", "cogneuro_sae/data/models/default/model.safetensors",
                   "cogneuro_sae/data/saes/default/sae_weights.safetensors", "cogneuro_sae/templates/report.html"):
        assert wanted in names, wanted
    weights = sum(entry.file_size for entry in zipfile.ZipFile(wheel).infolist() if entry.filename.endswith(".safetensors"))
    assert weights < 60e6
    assert not [name for name in names if name.startswith("tests/")]


@pytest.mark.slow
def test_the_wheel_checks_a_shipped_set_from_another_folder(wheel, tmp_path):
    done, cwd, home = run_elsewhere(wheel, tmp_path, "check", "achievement")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("site/cogneuro_sae/shipped/stimuli/concepts/achievement.yaml")
    assert list(home.iterdir()) == [] and list(cwd.iterdir()) == []


@pytest.mark.long
def test_the_wheel_runs_the_demo_from_another_folder(wheel, tmp_path):
    done, cwd, home = run_elsewhere(wheel, tmp_path, "compare", "demo")
    assert done.returncode == 0, done.stderr
    assert Path(cwd, done.stdout.strip().splitlines()[-1]).is_file()
    assert list(home.iterdir()) == []


def test_bootstrap_names_its_verbs():
    done = subprocess.run([sys.executable, str(ROOT / "bootstrap.py"), "nonsense"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "demo | test" in done.stderr


def test_bootstrap_refuses_an_unsupported_python():
    code = ("import sys; sys.argv = ['bootstrap.py', 'setup']; sys.version_info = (3, 9, 0, 'final', 0); "
            f"sys.path.insert(0, {str(ROOT)!r}); import bootstrap; bootstrap.set_up()")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3
    assert "Python 3.11, 3.12 or 3.13 is needed" in done.stderr


def test_constraints_pin_every_direct_requirement():
    import re

    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
              if "==" in line}
    block = re.search(r"install_requires=\[(.*?)\]", (ROOT / "setup.py").read_text(), re.S).group(1)
    wanted = {name.lower().replace("_", "-") for name in re.findall(r'"([A-Za-z0-9_-]+)', block)}
    assert wanted and wanted <= pinned
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()
