"""Intervals of shares end where shares end; names of cells hold what differs between them and no more."""

import numpy as np
import pandas as pd

from cogneuro_sae.compare.comparison import Comparison
from cogneuro_sae.compare.summary import cell_table, cut


def row(selector, k, repeat, fold, auroc):
    return {"concept": "c", "contrast": "main", "model": "m", "representation": "raw", "site": "s", "window": "all",
            "pooling": "mean", "selector": selector, "k": k, "ensemble": "lda", "kind": "method", "repeat": repeat,
            "fold": fold, "n_train": 8, "n_test": 2, "auroc": auroc, "pair_accuracy": auroc, "balanced_accuracy": auroc,
            "log_loss": np.nan, "d_prime": 3 * auroc, "features": "1 2", "coverage": 1.0, "seconds": 0.1, "status": "ok",
            "reason": "", "inner_auroc": 0.5}


def cells(ks=(4,)):
    rows = [row("welch_t", k, 0, fold, auroc) for k in ks for fold, auroc in enumerate((0.2, 1.0, 1.0, 0.1, 1.0))]
    return cell_table(rows, [], splits=5, n_features={})


def test_intervals_of_shares_are_cut_and_others_are_not():
    found = cells().iloc[0]
    for name in ("auroc", "pair_accuracy", "balanced_accuracy"):
        assert found[f"{name}_high"] == 1.0 and 0.0 <= found[f"{name}_low"] < found[name]
    assert found["d_prime_high"] > 3.0
    assert cut("auroc", -0.2, 0.7) == (0.0, 0.7) and cut("d_prime", -0.2, 1.7) == (-0.2, 1.7)


def headline(ks):
    nested = pd.DataFrame(columns=["concept", "method", "repeat", "fold", "auroc", "pair_accuracy"])
    table = pd.DataFrame(columns=["concept", "kind", "auroc"])
    shown = Comparison(table=table, cells=cells(ks), nested=nested, config={"folds": {"splits": 5}}).headline()
    return shown[shown["kind"] == "method"]["what"].tolist()


def test_names_hold_k_only_where_it_differs():
    assert headline((4,)) == ["raw / welch_t"]
    assert headline((4, 8)) == ["raw / welch_t / k=4", "raw / welch_t / k=8"]
