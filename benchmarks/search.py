"""Corpus search: what it adds to the forward pass, and its memory, over as many tokens as asked for.

    OMP_NUM_THREADS=1 python benchmarks/search.py [--tokens 500000] [--features 32] [--latents 0] [--json FILE]

The packaged sample has about 0.9 million tokens; more are made by reading it again with other cuts (documents joined with
a shift, so that passages and windows begin elsewhere). The issue's run: --tokens 10000000.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from cogneuro_sae.corpus import Corpus, load_corpus
from cogneuro_sae.search.config import SearchConfig
from cogneuro_sae.search.describing import Recall, choose, window_rows
from cogneuro_sae.search.inputs import prepare
from cogneuro_sae.search.run import Stream

CHARACTERS_PER_TOKEN = 4.0


def repeated(corpus: Corpus, characters: int) -> Corpus:
    """The corpus again and again, every round cut elsewhere: each document begins a little later than the round before."""
    texts, sources, size, cut = [], [], 0, 0
    while size < characters:
        for text, source in zip(corpus.texts, corpus.sources, strict=True):
            shift = cut * 97 % max(len(text) // 2, 1)
            part = text[shift:].strip()
            if part and size < characters:
                texts.append(part)
                sources.append(f"{source} round {cut}")
                size += len(part)
        cut += 1
    return Corpus(f"{corpus.name} x {cut}", tuple(texts), tuple(sources), np.zeros(len(texts), bool), "")


def peak() -> float:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=500_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--latents", type=int, default=0, help="sentences per latent of the pass over all latents")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    config = SearchConfig(name="bench", features=tuple(range(arguments.features)), tokens=arguments.tokens,
                          latents=arguments.latents)
    inputs = prepare(config)
    inputs = inputs._replace(corpus=repeated(inputs.corpus, int(1.15 * arguments.tokens * CHARACTERS_PER_TOKEN)))
    begin, before = time.perf_counter(), peak()
    print(f"{len(inputs.corpus):,} documents of {inputs.corpus.name}; memory before the pass {before:.0f} MB", flush=True)
    stream = Stream(inputs)
    stream.run(lambda line: print(f"  {line}, peak {peak():.0f} MB", flush=True))
    streamed = time.perf_counter() - begin
    recall = Recall(inputs.model, inputs.corpus, passage=config.passage, bos=inputs.bos)
    chosen = [choose(stream.windows, place, recall, bins=5, per_bin=5) for place in range(len(inputs.signals))]
    rows = sum(len(window_rows(name, one, recall, context=config.context))
               for name, one in zip(inputs.signals.names, chosen, strict=True))
    chosen = time.perf_counter() - begin - streamed      # seconds of choosing
    times = stream.times()
    model = times["tokenise"] + times["forward"]
    print(f"{stream.tokens:,} tokens x {arguments.features} features in {streamed:.0f} s "
          f"({stream.tokens / streamed:,.0f} per second)")
    print(f"  model {model:.1f} s, search +{times['search_share']:.2%}, choosing {rows:,} windows {chosen:.1f} s "
          f"(+{chosen / model:.2%}), all latents +{times['latents_share']:.1%}")
    print(f"  peak memory {peak():.0f} MB, {peak() - before:.0f} MB above what model and text take")
    print(f"  10 million tokens would take {10e6 / stream.tokens * streamed / 60:.0f} minutes")
    if arguments.json:
        arguments.json.write_text(json.dumps({**times, "tokens": stream.tokens, "seconds": streamed, "choosing": chosen,
                                              "peak_mb": peak(), "before_mb": before}, indent=1))


if __name__ == "__main__":
    main()
