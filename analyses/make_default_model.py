"""Make the folder of the embedded default model: weights in half precision, scales, measured card, manifest.

Usage:  python analyses/make_default_model.py CHECKPOINT CORPORA OUT [--stimuli DIR] [--tokens 200000] [--quick]

CHECKPOINT is a Hugging Face folder (config.json, model.safetensors, tokenizer.json, training.json), CORPORA the folder of
corpora it was trained on (gzipped text, documents separated by a blank line), OUT the folder to make. With `--stimuli`
(folders `blimp` and `subjectivity`) the card also gets those two numbers. `--quick` measures on little text.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from cogneuro_sae import files
from cogneuro_sae.errors import InputError
from cogneuro_sae.language_model import LanguageModel

TRAINED_ON = ("enwiki2014/train_*", "openstax_ccby3/*", "story_openlicence/*", "onestop_english/int*",
              "onestop_english/ele*", "movie_reviews/*", "speeches_pd/*", "novels33/*")
HELD_OUT = "enwiki2014/heldout"
PIECE = 800          # characters read at a time: about 200 tokens, inside the context seen in training
COPIED = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def documents(path: Path) -> list[str]:
    """Return the documents of a gzipped corpus file."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8")
    return [document for document in text.split("\n\n") if document.strip()]


def pieces(document: str, *, longest: int = PIECE) -> Iterator[str]:
    """Yield a document in pieces of at most `longest` characters, cut at spaces where there are any."""
    while document:
        cut = len(document) if len(document) <= longest else document.rfind(" ", 1, longest)
        cut = cut if cut > 0 else longest
        if document[:cut].strip():
            yield document[:cut]
        document = document[cut:]


def training_sample(corpora: Path, *, characters: int, seed: int = 0) -> list[str]:
    """Return pieces of the training corpora, each corpus file in proportion to its size."""
    paths = [path for pattern in TRAINED_ON for path in sorted(corpora.glob(f"{pattern}.txt.gz"))]
    if not paths:
        raise InputError("no training corpora", where=str(corpora), allowed=", ".join(TRAINED_ON))
    rng = np.random.default_rng(seed)
    sizes = np.array([path.stat().st_size for path in paths], dtype=float)
    sample = []
    for path, share in zip(paths, sizes / sizes.sum(), strict=True):
        found, length = documents(path), 0
        for row in rng.permutation(len(found)):
            if length >= share * characters:
                break
            for piece in pieces(found[row][:6000]):
                sample.append(piece)
                length += len(piece)
    return sample


def residual_scales(model: LanguageModel, texts: list[str]) -> tuple[dict[str, float], int]:
    """Return {site: mean norm of the residual stream / sqrt(d_model)} without specials, and the tokens it rests on."""
    sites = [model.resolve_site("resid_pre.0")] + [model.resolve_site(f"resid_post.{layer}")
                                                   for layer in range(model.n_layers)]
    total, count = dict.fromkeys(sites, 0.0), 0
    for start in range(0, len(texts), 64):
        recorded = model.record(texts[start:start + 64], sites, token_budget=4096)
        content = ~recorded[sites[0]].specials
        count += int(content.sum())
        for site in sites:
            total[site] += float(np.linalg.norm(recorded[site].values[content].astype(np.float64), axis=1).sum())
    return {site: total[site] / count / math.sqrt(model.d_model) for site in sites}, count


def bits_per_byte(model: LanguageModel, texts: list[str]) -> dict[str, float]:
    """Return held-out bits per byte and nats per token; each piece of text starts anew after BOS."""
    losses = model.token_losses([item.ids for item in model.tokenize(texts)])
    nats, tokens = sum(float(item.sum()) for item in losses), sum(map(len, losses))
    return {"bits_per_byte": nats / math.log(2) / sum(len(text.encode("utf-8")) for text in texts),
            "nats_per_token": nats / tokens, "tokens": tokens}


def blimp(model: LanguageModel, path: Path, *, per_paradigm: int) -> dict[str, float]:
    """Return the share of minimal pairs whose good sentence is the more probable one."""
    taken: dict[str, list] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            pair = json.loads(line)
            if len(taken.setdefault(pair["UID"], [])) < per_paradigm:
                taken[pair["UID"]].append((pair["sentence_good"], pair["sentence_bad"]))
    texts = [sentence for pairs in taken.values() for pair in pairs for sentence in pair]
    losses = np.array([item.sum() for item in model.token_losses([item.ids for item in model.tokenize(texts)])])
    return {"accuracy": float((losses[0::2] < losses[1::2]).mean()), "pairs": len(texts) // 2}


def subjectivity(model: LanguageModel, folder: Path, *, per_class: int) -> dict:
    """Return the 5-fold accuracy of a ridge read-out of each layer's mean, subjective against objective sentences."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    texts, y = [], []
    for label, name in enumerate(("plot.tok.gt9.5000.txt", "quote.tok.gt9.5000.txt")):
        text = (folder / name).read_bytes().decode("latin-1")
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
        texts += lines[:per_class]
        y += [label] * len(lines[:per_class])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    sites = [model.resolve_site("resid_pre.0"), *(model.resolve_site(f"resid_post.{i}") for i in range(model.n_layers))]
    accuracy = {site: float(cross_val_score(make_pipeline(StandardScaler(), RidgeClassifier(alpha=100.0)),
                                            recorded.pool("mean"), y, cv=folds).mean())
                for site, recorded in model.record(texts, sites, token_budget=4096).items()}
    words = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    return {"accuracy": accuracy, "tfidf": float(cross_val_score(words, texts, y, cv=folds).mean()), "texts": len(texts)}


def store_weights(checkpoint: Path, out: Path) -> str:
    """Write the weights in half precision and return the dtype; weights that are half precision stay bit for bit."""
    weights = load_file(checkpoint / "model.safetensors")
    kinds = {tensor.dtype for tensor in weights.values()}
    if kinds == {torch.float32}:
        large = max(float(tensor.abs().max()) for tensor in weights.values()) >= torch.finfo(torch.float16).max
        weights = {name: tensor.to(torch.bfloat16 if large else torch.float16) for name, tensor in weights.items()}
    with files.replacing(out / "model.safetensors") as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
        temporary.chmod(0o644)      # safetensors writes files that only their owner can read
    return str(next(iter(weights.values())).dtype).removeprefix("torch.")


def measure(model: LanguageModel, corpora: Path, stimuli: Path | None, *, quick: bool) -> dict:
    """Return what the card says was measured."""
    held = [piece for document in documents(corpora / f"{HELD_OUT}.txt.gz")[:5 if quick else 150]
            for piece in pieces(document[:4000])]
    found = {"held_out": bits_per_byte(model, held)}
    if stimuli is not None:
        found["blimp"] = blimp(model, stimuli / "blimp" / "blimp.jsonl.gz", per_paradigm=2 if quick else 12)
        found["subjectivity"] = subjectivity(model, stimuli / "subjectivity", per_class=60 if quick else 600)
    return found


CARD = """---
license: cc-by-sa-4.0
language: en
library_name: transformers
pipeline_tag: text-generation
---
# The default model of cogneuro_sae

A small Llama for English text that ships inside the package, so that every example, test and demonstration of
cogneuro_sae runs on a real trained language model, offline and in seconds. Nothing but its name distinguishes it in
code from a large one: `LanguageModel.load("default")` and `LanguageModel.load("openlm-research/open_llama_3b_v2",
allow_download=True)` take the same way.

## Size

{parameters:.2f} million parameters: {layers} blocks, width {width}, {heads} attention heads, MLP {mlp}, context of up to
{positions} positions, byte-level BPE of {vocabulary} pieces, tied embeddings. Weights are stored in {dtype}
({megabytes:.1f} MB) and loaded in float32. `<s>` stands in front of every document. There is no pad token; nothing needs
one.

## Training

{training}

| corpus | licence | attribution |
|---|---|---|
| English Wikipedia, plain text of about 2014 | CC BY-SA 3.0 | Wikipedia contributors |
| OpenStax College textbooks, 2014-2016 editions | CC BY 3.0 | OpenStax College |
| OneStopEnglish news texts, elementary and intermediate versions | CC BY-SA 4.0 | OneStopEnglish corpus |
| Picture-book stories, Pratham Books StoryWeaver and African Storybook | CC BY, CC BY-SA, CC0, public domain | the authors named by each story |
| Movie reviews (Pang and Lee, through NLTK) | CC BY 4.0 | nltk_data |
| US inaugural and State-of-the-Union addresses | public domain | - |
| 33 English novels of the 19th and early 20th century | public domain | - |

## Measured

| what | value |
|---|---|
{measured}

`scales.json` holds, for the residual stream before the first and after every block, s = mean norm / sqrt(width) over
{scale_tokens} tokens of the training corpora, specials left out; pooled values are divided by it before they enter
statistics. The numbers above and `scales.json` are made by `analyses/make_default_model.py`.

## What it can show, and what not

It can show how a study works from stimuli to report: it knows grammar well above chance, and topic and tone as far as
words carry them. It cannot show how large models represent concepts. It has little knowledge of the world, and what it
tells apart it mostly tells apart by the words: a bag-of-words classifier or its own embeddings will often do as well as
its middle, and the comparison then says "no evidence beyond surface form". Read a positive result as one about this
model. It is not made for generating text for readers, has had no safety training, and repeats the views of its sources,
old novels included.

## Licence

CC BY-SA 4.0, because part of the training text is share-alike.
"""


def training_line(training: dict) -> str:
    """Return the card's sentence about the training, from the checkpoint's training.json."""
    seen, held = training.get("tokens"), training.get("train_tokens")
    text = f"Trained on {seen / 1e6:.1f} million tokens" if seen else "Trained"
    if seen and held:
        text += f", {seen / held:.2f} passes over the {held / 1e6:.1f} million tokens of the corpora below"
    how = training.get("how", "next-token loss, Muon for the block matrices and AdamW for the rest, bf16 autocast")
    text += f" ({how}). Held-out Wikipedia articles were kept apart."
    if training.get("bits_per_byte"):
        text += (f" At the end of training: {training['bits_per_byte']:.3f} bits per byte and "
                 f"{training['held_loss']:.3f} nats per token on them, in packed windows of 256 tokens.")
    return text


def measured_rows(found: dict) -> str:
    """Return the rows of the card's table of measurements."""
    held = found["held_out"]
    rows = [f"| held-out Wikipedia, pieces of at most {PIECE} characters, each read from `<s>` on | "
            f"{held['bits_per_byte']:.3f} bits per byte, {held['nats_per_token']:.3f} nats per token ({held['tokens']} tokens) |"]
    if "blimp" in found:
        rows.append(f"| BLiMP, sentence log-probability, {found['blimp']['pairs']} minimal pairs (chance .5) | "
                    f"{found['blimp']['accuracy']:.3f} |")
    if "subjectivity" in found:
        probe = found["subjectivity"]
        values = list(probe["accuracy"].values())
        rows.append(f"| subjective against objective sentences, {probe['texts']} texts, ridge read-out of each layer's mean, "
                    f"5-fold accuracy | embeddings {values[0]:.3f}, blocks {min(values[1:]):.3f} to {max(values[1:]):.3f}; "
                    f"TF-IDF {probe['tfidf']:.3f} |")
    return "\n".join(rows)


def write_card(out: Path, model: LanguageModel, training: dict, found: dict, *, dtype: str, scale_tokens: int) -> None:
    """Write README.md from the model and what was measured on it."""
    config = model.model.config
    files.write_text(out / "README.md", CARD.format(
        parameters=sum(parameter.numel() for parameter in model.model.parameters()) / 1e6, layers=model.n_layers,
        width=model.d_model, heads=config.num_attention_heads, mlp=config.intermediate_size, positions=model.max_tokens,
        vocabulary=config.vocab_size, dtype=dtype, megabytes=(out / "model.safetensors").stat().st_size / 1e6,
        training=textwrap.fill(training_line(training), 118), measured=measured_rows(found), scale_tokens=scale_tokens))


def make(checkpoint: Path, corpora: Path, out: Path, *, stimuli: Path | None, tokens: int, quick: bool) -> Path:
    """Make the folder; the manifest comes last."""
    out.mkdir(parents=True, exist_ok=True)
    (out / files.MANIFEST).unlink(missing_ok=True)
    for name in COPIED:
        if (checkpoint / name).is_file() and checkpoint.resolve() != out.resolve():
            shutil.copyfile(checkpoint / name, out / name)
    dtype = store_weights(checkpoint, out)
    files.write_json(out / "config.json", {**files.read_json(out / "config.json"), "dtype": dtype})
    training = files.read_json(checkpoint / "training.json") if (checkpoint / "training.json").is_file() else {}
    training = training.get("training", training)
    model = LanguageModel.load(out)
    scales, count = residual_scales(model, training_sample(corpora, characters=int(4.2 * (5000 if quick else tokens))))
    files.write_json(out / "scales.json", scales)
    found = measure(LanguageModel.load(out), corpora, stimuli, quick=quick)
    write_card(out, model, training, found, dtype=dtype, scale_tokens=count)
    files.write_json(out / "training.json", {"training": training, "measured": found, "scale_tokens": count})
    names = sorted(path.name for path in out.iterdir() if path.is_file() and not path.name.startswith("."))
    files.write_manifest(out, names)
    return out


def main() -> None:
    """Read the command line and make the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--stimuli", type=Path, default=None)
    parser.add_argument("--tokens", type=int, default=200_000)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    print(make(given.checkpoint, given.corpora, given.out, stimuli=given.stimuli, tokens=given.tokens, quick=given.quick))


if __name__ == "__main__":
    main()
