"""When can RSA differ from a t-test? The figure of docs/rsa_or_t.md: one identity, three cases outside it.

    python analyses/rsa_or_t.py [OUT.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import cogneuro_sae as cn
from cogneuro_sae.plots.style import ACCENT, CALM, PALETTE, legend_below, tidy
from cogneuro_sae.responses import Responses
from cogneuro_sae.rsa import model_matrix, pooled_corr_cov, pooled_cosine_cov

ITEMS, TOKENS, LEVELS, DRAWS = 24, 12, 5, 40


def paired_set():
    """24 made-up items with a target and a foil each."""
    rows = [{"item": f"i{i:02d}", "condition": side, "text": f"Text {i:02d} {side}."} for i in range(ITEMS)
            for side in ("target", "near")]
    return cn.StimulusSet.from_frame(pd.DataFrame(rows), name="made-up", concept="none",
                                     contrasts={"main": "target - near"})


def identity(ax, random) -> str:
    """500 features, two classes of unequal size: RSA against t."""
    y = np.repeat([1, 0], [16, 24])
    X = random.normal(size=(40, 500)) + 0.6 * random.normal(size=500) * y[:, None]
    t, M, n = stats.ttest_ind(X[y == 1], X[y == 0]).statistic, model_matrix("categorical", len(y), labels=y), len(y)
    curve = np.linspace(t.min(), t.max(), 200)
    ax.plot(curve, curve**2 / (curve**2 + n - 2), color="black", linewidth=0.8, label="t$^2$/(t$^2$+n-2)")
    ax.scatter(t, pooled_cosine_cov(X, M), s=9, color=CALM, linewidths=0, label="whitened cosine")
    ax.scatter(t, pooled_corr_cov(X, M), s=9, color=PALETTE[1], linewidths=0, label="whitened correlation")
    tidy(ax, title="a  two classes, pooled: the same (500 features)", x="pooled t, 16 against 24 texts",
         y="RSA with the class model")
    gap = np.abs(pooled_cosine_cov(X, M) - t**2 / (t**2 + n - 2)).max()
    return f"a  largest difference between the whitened cosine and t^2/(t^2+n-2): {gap:.1e}"


def graded(ax, random) -> str:
    """Features that rise with the grade, and features that fire at the highest grade only, matched in their t."""
    grade = np.tile(np.arange(LEVELS), ITEMS)
    shapes = {"rises with the grade": np.arange(LEVELS) / (LEVELS - 1),
              "highest grade only": np.r_[np.zeros(LEVELS - 1), 1.0]}
    M, ends, said = model_matrix("graded", len(grade), labels=grade), np.isin(grade, (0, LEVELS - 1)), []
    for (name, shape), colour in zip(shapes.items(), (CALM, PALETTE[1])):
        X = random.normal(size=(len(grade), 150)) + np.outer(shape[grade], random.uniform(0, 3, 150))
        t = stats.ttest_ind(X[ends & (grade > 0)], X[ends & (grade == 0)]).statistic
        fit = pooled_cosine_cov(X, M)
        ax.scatter(t, fit, s=9, color=colour, linewidths=0, label=name)
        said.append(f"{name} {fit[t > 6].mean():.2f}")
    tidy(ax, title="b  five grades (2 x 150 features)", x="pooled t, highest against lowest grade",
         y="RSA with the graded model")
    return "b  mean fit of features with t > 6: " + ", ".join(said)


def profile(ax, random) -> str:
    """Features with a course shared by the targets and no mean difference, and the other way round."""
    stimuli = paired_set()
    design, n, each = stimuli.design(), len(stimuli), 100
    y = (stimuli.table["condition"] == "target").to_numpy()
    values = random.normal(3, 1, size=(n, TOKENS, 2 * each))
    course = random.normal(size=(TOKENS, each))
    values[y, :, :each] += 0.8 * (course - course.mean(axis=0))
    values[y, :, each:] += random.uniform(0.2, 0.6, size=each)
    lengths = np.full(n, TOKENS)
    responses = Responses(values.reshape(-1, 2 * each), np.full(n * TOKENS, "w"), np.r_[0, np.cumsum(lengths)],
                          np.zeros(n * TOKENS, bool), np.full((n * TOKENS, 2), -1), tuple(stimuli.ids),
                          "made up", "", "")
    t = cn.contrast_map(responses.pool("mean", transform="none"), design, score="paired_t").value
    D = cn.rsa_map(responses, design, score="discriminative").value
    for start, name, colour in ((0, "shared course", CALM), (each, "higher mean", PALETTE[1])):
        ax.scatter(t[start:start + each], D[start:start + each], s=9, color=colour, linewidths=0, label=name)
    tidy(ax, title="c  token profiles (2 x 100 features)", x="paired t of the mean, 24 items",
         y="D, token profiles (mean z)")
    return (f"c  shared course: mean |t| {np.abs(t[:each]).mean():.2f}, D {D[:each].mean():.2f}; "
            f"higher mean: {np.abs(t[each:]).mean():.2f}, {D[each:].mean():.2f}")


def feature_set(ax, random) -> str:
    """Sets of weak features: the whole set's RSA, and its best single feature corrected for having looked at all."""
    stimuli, sizes = paired_set(), (1, 4, 8, 16, 32, 64)
    design, y = stimuli.design(), (stimuli.table["condition"] == "target").to_numpy()
    found = {"RSA of the set": [], "best feature (t, FWE)": []}
    for size in sizes:
        draws = []
        for _ in range(DRAWS):
            X = random.normal(size=(len(y), size)) + 0.5 * y[:, None] * random.choice([-1, 1], size)
            # one feature has no pattern: its pooled values are compared instead
            whole = cn.rsa_map(X, design, score="categorical", variant="pattern" if size > 1 else "pooled",
                               permutations=999)
            alone = cn.contrast_map(X, design, score="paired_t", permutations=999)
            draws.append((whole.pvalue.min(), alone.p_fwe.min()))
        for name, values in zip(found, -np.log10(draws).T):
            found[name].append(values.mean())
    for (name, values), colour in zip(found.items(), (CALM, PALETTE[1])):
        ax.plot(sizes, values, marker="o", color=colour, label=name)
    ax.axhline(-np.log10(0.05), color=ACCENT, linestyle="--", linewidth=0.8)
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, sizes)
    tidy(ax, title=f"d  sets of weak features (mean of {DRAWS} draws)", x="features in the set (each d = 0.5)",
         y="-log10 p, 24 items, 999 permutations")
    return "d  -log10 p by size: " + "; ".join(
        f"{name} " + ", ".join(f"{k}: {v:.1f}" for k, v in zip(sizes, values)) for name, values in found.items())


def main(out: Path) -> None:
    """Draw the four panels and print what they show."""
    random = np.random.default_rng(0)
    with cn.plots.look():
        figure, axes = plt.subplots(2, 2, figsize=(9.4, 8.0), layout="constrained")
        for ax, panel in zip(axes.ravel(), (identity, graded, profile, feature_set)):
            print(panel(ax, random))
            legend_below(ax)
        figure.savefig(out, dpi=130)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "figures" / "rsa_or_t.png")
