"""Make the SAE that ships with the package: capture, train and measure as configs/sae/default.yaml says.

Usage: python analyses/make_default_sae.py [CORPORA] [--out DIR] [--set key=value ...] [--unseen FILE] [--ship] [--quiet]

CORPORA is a folder of text (the shipped SAE: 135 MB, see the model card); without it the packaged sample is used.
The same command resumes. `--unseen` measures the result on text that neither model nor SAE has seen (held-out Wikipedia),
`--ship` copies it to cogneuro_sae/data/saes/default. About 40 minutes on one core; `--quiet` without CORPORA: 20 seconds.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.capture import capture
from cogneuro_sae.corpus import load_corpus
from cogneuro_sae.language_model import LanguageModel
from cogneuro_sae.sae import load_sae, load_train_config, sae_metrics, train_from_config
from cogneuro_sae.sae.checkpoint import SHIPPED

GOALS = {"fvu": (0, 0.35), "l0": (10, 100), "dead_fraction": (0, 0.20), "loss_recovered": (0.85, float("inf"))}
QUICK = ["width=512", "tokens=40000", "batch=1024", "heldout_tokens=2000", "heldout_passages=5", "density_tokens=10000"]


def unseen_metrics(sae, text: Path, tokens: int = 32_768, passages: int = 200) -> dict:
    """Reconstruction and loss recovered on a text of its own."""
    model, corpus = LanguageModel.load("default"), load_corpus(text, heldout_share=0)
    with tempfile.TemporaryDirectory() as folder:
        store = capture(model, corpus, sae.site, folder, tokens=tokens)
        return sae_metrics(sae, store, model=model, texts=corpus.passages("train")[:passages])


def main(arguments: argparse.Namespace) -> None:
    overrides = (QUICK if arguments.quiet else []) + arguments.set
    overrides += [f"corpus={arguments.corpora}"] if arguments.corpora else []
    config = load_train_config("default", overrides)
    folder = train_from_config(config, out=arguments.out, quiet=arguments.quiet)
    sae = load_sae(folder)
    if arguments.unseen:
        found = unseen_metrics(sae, arguments.unseen)
        print("on unseen text: " + ", ".join(f"{key} {found[key]:.3f}" for key in ("fvu", "l0", "loss_recovered")))
        files.write_json(folder / "training.json", {**files.read_json(folder / "training.json"), "unseen_metrics": found})
        files.write_manifest(folder, [path.name for path in sorted(folder.iterdir()) if path.name != files.MANIFEST])
    for key, (low, high) in GOALS.items():
        print(f"{key}: {sae.metrics[key]:.3f} ({'goal met' if low <= sae.metrics[key] <= high else 'GOAL MISSED'})")
    if arguments.ship:
        shutil.rmtree(SHIPPED / "default", ignore_errors=True)
        shutil.copytree(folder, SHIPPED / "default")
    print(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--unseen", type=Path)
    parser.add_argument("--ship", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    main(parser.parse_args())
