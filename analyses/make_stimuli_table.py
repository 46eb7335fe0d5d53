"""Check every shipped stimulus set, write stimuli/table.csv and the table in stimuli/README.md, and draw the confounds.

    python analyses/make_stimuli_table.py

`stimuli/written.csv` keeps what the bag of words reached when a set was first written: that is known only then.
"""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from cogneuro_sae import files, plots
from cogneuro_sae.stimuli import THRESHOLDS, StimulusSet

ROOT = Path(__file__).parents[1]
STIMULI = ROOT / "stimuli"
BEGIN, END = "<!-- table: made by `python analyses/make_stimuli_table.py` -->\n", "<!-- end of table -->"
LIMITS = "<!-- thresholds -->\n", "<!-- end of thresholds -->"
KEPT = ("set", "group", "kind", "language", "items", "confirm_items", "texts", "words_target", "words_foil",
        "bag_of_words", "bag_of_words_discovery", "char_ngrams", "length", "words_auroc", "words_auroc_low",
        "words_auroc_high", "bag_of_words_far", "largest_d", "largest_d_measure", "duplicates", "near_duplicates",
        "banned", "paraphrase_overlap", "frame_share", "over_tuned", "flags", "errors")


def set_files() -> list[Path]:
    """Return the files of all shipped sets, by folder and name."""
    return sorted(STIMULI.glob("*/*.yaml"))


def measure(path: Path) -> tuple[dict, dict]:
    """Return the table's row on one set, and the summary of its check."""
    stimuli = StimulusSet.from_yaml(path)
    checks = stimuli.check()
    flags = dict.fromkeys(line.name for line in checks.lines if line.level in ("warning", "error"))
    row = {**checks.summary, "flags": " ".join(flags)}
    kept = {"folder": path.parent.name, **{name: row.get(name) for name in KEPT}, "sha256": stimuli.sha256}
    return kept, checks.summary


def between(page: str, begin: str, end: str, text: str) -> str:
    """Return a page with what stands between two marks replaced."""
    head, rest = page.split(begin)
    return head + begin + text + end + rest.split(end)[1]


def thresholds() -> str:
    """Return the check's thresholds as a table."""
    lines = [f"| `{name}` | {value:g} | {meaning} |" for name, value, meaning in THRESHOLDS.describe()]
    return "\n".join(["\n| threshold | value | meaning |", "|---|--:|---|", *lines, "\n"])


def markdown(table: pd.DataFrame, written: pd.DataFrame) -> str:
    """Return the table as it stands in the README: one section per folder."""
    first = dict(zip(written["set"], written["bag_of_words"].astype(str)))
    out = io.StringIO()
    for folder, rows in table.groupby("folder", sort=False):
        out.write(f"\n### {folder}\n\n| set | kind | items | texts | length of texts | words | first | discovery "
                  "| letters | length | far | flags |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
        for row in rows.to_dict("records"):
            counts = f"{_number(row['words_target'], 1)} / {_number(row['words_foil'], 1)}"
            scores = [_number(row["bag_of_words"]), first.get(row["set"], ""),
                      *(_number(row[name]) for name in ("bag_of_words_discovery", "char_ngrams", "words_auroc",
                                                        "bag_of_words_far"))]
            flags = "" if pd.isna(row["flags"]) else ", ".join(row["flags"].split()).replace("_", "-")
            out.write(f"| {row['set']} | {row['group']} | {row['items']} | {row['texts']} | {counts} | "
                      f"{' | '.join(scores)} | {flags} |\n")
    return out.getvalue() + "\n"


def _number(value: object, digits: int = 2) -> str:
    return "" if pd.isna(value) else f"{value:.1f}" if digits == 1 else f"{value:.2f}".replace("0.", ".", 1)


def main() -> None:
    """Write the table, the README's part and the figure."""
    rows, concepts = [], []
    for path in set_files():
        row, summary = measure(path)
        rows.append(row)
        concepts += [summary] if path.parent.name == "concepts" else []
        print(f"{path.stem}: bag of words {rows[-1]['bag_of_words']:.2f}, {rows[-1]['flags'] or 'no flag'}", flush=True)
    table = pd.DataFrame(rows)
    files.write_text(STIMULI / "table.csv", table.to_csv(index=False, float_format="%.4f", lineterminator="\n"))
    table = pd.read_csv(STIMULI / "table.csv")
    page = (STIMULI / "README.md").read_text("utf-8")
    written = pd.read_csv(STIMULI / "written.csv", dtype=str)
    page = between(page, BEGIN, END, markdown(table, written))
    files.write_text(STIMULI / "README.md", between(page, *LIMITS, thresholds()))
    with plots.look():
        figure = plots.confounds(pd.DataFrame(concepts))
    figure.savefig(ROOT / "docs" / "figures" / "concept_confounds.png", dpi=110)


if __name__ == "__main__":
    main()
