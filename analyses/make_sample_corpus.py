"""Make the packaged sample of the training text from a folder with the full corpora.

Usage: python analyses/make_sample_corpus.py CORPORA [--out cogneuro_sae/data/corpora/sample]

Takes documents (of novels and speeches: stretches, so that one book is many documents) in an order fixed by their hash.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.corpus import cut_text, load_corpus

# name in the sample: (files of the corpora, characters to take, longest document)
SOURCES = {
    "wikipedia": ("enwiki2014/train_0.txt.gz", 1_200_000, 6_000),
    "novels": ("novels33/novels.txt.gz", 1_200_000, 6_000),
    "textbooks": ("openstax_ccby3", 700_000, 12_000),
    "speeches": ("speeches_pd/speeches.txt.gz", 300_000, 6_000),
    "news": ("onestop_english/int.txt.gz", 300_000, 12_000),
}


def main(corpora: Path, out: Path) -> None:
    for name, (reference, characters, longest) in SOURCES.items():
        texts = load_corpus(corpora / reference).documents()
        pieces = [piece for text in texts for piece in cut_text(text, longest) if len(piece) >= 200]
        # salted: the hash of the bare text decides what is held out, and must not decide what is in the sample too
        pieces.sort(key=lambda piece: hashlib.sha256(f"sample {piece}".encode()).hexdigest())
        taken, total = [], 0
        while pieces and total < characters:
            taken.append(pieces.pop())
            total += len(taken[-1])
        text = "\n\n".join(taken) + "\n"
        files.write_bytes(out / f"{name}.txt.gz", gzip.compress(text.encode("utf-8"), 9, mtime=0))
        print(f"{name}: {len(taken)} documents, {total:,} characters")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--out", type=Path, default=Path("cogneuro_sae/data/corpora/sample"))
    arguments = parser.parse_args()
    main(arguments.corpora, arguments.out)
