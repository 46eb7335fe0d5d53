"""Set up the environment and run a verb: `python3 bootstrap.py demo | test | test-quick | test-long | setup`.

Standard library only. Safe to run again: a finished set-up is recognised, an interrupted one is completed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "set-up-complete"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
TORCH = "torch==2.13.0"
TESTS = ["python", "-m", "pytest", "-n", "2", "--dist", "loadfile"]

VERBS = {
    "setup": [],
    "demo": ["cogneuro-sae", "compare", "demo"],
    "test": [*TESTS, "-m", "not long"],
    "test-quick": [*TESTS, "-m", "not slow and not long"],
    "test-long": [*TESTS, "-m", "long"],
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fail(text: str) -> None:
    say(text)
    sys.exit(3)


def fingerprint() -> str:
    """Hash of all that decides what the environment holds."""
    digest = hashlib.sha256(f"{sys.version_info[:3]}{TORCH}".encode())
    for name in ("constraints.txt", "setup.py"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_ready() -> bool:
    return STAMP.is_file() and STAMP.read_text("utf-8") == fingerprint() and program("python").exists()


def program(name: str) -> Path:
    return BIN / (name + (".exe" if os.name == "nt" else ""))


def run(step: str, command: list[str]) -> None:
    begin = time.time()
    say(f"set-up: {step} ...")
    done = subprocess.run(command, cwd=ROOT)
    if done.returncode:
        fail(f"set-up: {step} did not work (exit {done.returncode}); the lines above say why. "
             "Mend that and run the same command again: finished steps are kept.")
    say(f"set-up: {step} done in {time.time() - begin:.0f} s")


def torch_is_there() -> bool:
    check = f"import importlib.metadata as m; assert m.version('torch').split('+')[0] == '{TORCH.split('==')[1]}'"
    return subprocess.run([program("python"), "-c", check], capture_output=True).returncode == 0


def set_up() -> None:
    """Make .venv and install the package into it, torch first and alone."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        fail(f"Python 3.11, 3.12 or 3.13 is needed, this is {sys.version.split()[0]}; "
             "try `make PYTHON=python3.11 demo` or `python3.11 bootstrap.py demo`")
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        fail("this Python lacks venv; on Debian or Ubuntu: apt install python3-venv")
    if subprocess.run([program("python"), "-m", "pip", "--version"], capture_output=True).returncode \
            if program("python").exists() else True:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        run("environment .venv", [sys.executable, "-m", "venv", str(ENVIRONMENT)])
    STAMP.unlink(missing_ok=True)
    pip = [str(program("python")), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not torch_is_there():
        index = os.environ.get("TORCH_INDEX_URL")
        if not index and sys.platform == "linux":
            say("set-up: on Linux pip may choose the CUDA build of torch (several GB); "
                "set TORCH_INDEX_URL to PyTorch's CPU index for the small one")
        run(TORCH, [*pip, TORCH, *(["--index-url", index] if index else [])])
    run("packages (about two minutes)", [*pip, "-c", "constraints.txt", "-e", ".[test]"])
    STAMP.write_text(fingerprint(), "utf-8")


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
        say(f"usage: {Path(sys.argv[0]).name} {' | '.join(VERBS)} [further arguments]")
        return 2
    if not is_ready():
        set_up()
    command = VERBS[sys.argv[1]]
    if not command:
        say("set-up: complete")
        return 0
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if "pytest" in command:
        environment.setdefault("OMP_NUM_THREADS", "1")
    return subprocess.run([str(program(command[0])), *command[1:], *sys.argv[2:]], cwd=ROOT,
                          env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
