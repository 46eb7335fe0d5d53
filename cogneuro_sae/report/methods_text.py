"""The Methods text: written from the settings and versions that were used, with numbered references."""

from __future__ import annotations

from cogneuro_sae.report.folder import Run, View, as_text

REFERENCES = {
    "rsa": "Kriegeskorte N, Mur M, Bandettini P (2008). Representational similarity analysis - connecting the branches "
           "of "
           "systems neuroscience. Frontiers in Systems Neuroscience 2:4.",
    "toolbox": "Nili H, Wingfield C, Walther A, Su L, Marslen-Wilson W, Kriegeskorte N (2014). A toolbox for "
               "representational "
               "similarity analysis. PLoS Computational Biology 10:e1003553.",
    "rsatoolbox": "Sch\u00fctt HH, Kipnis AD, Diedrichsen J, Kriegeskorte N (2023). Statistical inference on "
                  "representational "
                  "geometries. eLife 12:e82566.",
    "maxt": "Nichols TE, Holmes AP (2002). Nonparametric permutation tests for functional neuroimaging: a primer with "
            "examples. Human Brain Mapping 15:1-25.",
    "exchange": "Winkler AM, Ridgway GR, Webster MA, Smith SM, Nichols TE (2014). Permutation inference for the "
                "general "
                "linear model. NeuroImage 92:381-397.",
    "never_zero": "Phipson B, Smyth GK (2010). Permutation p-values should never be zero. Statistical Applications in "
                  "Genetics and Molecular Biology 9:39.",
    "bh": "Benjamini Y, Hochberg Y (1995). Controlling the false discovery rate. Journal of the Royal Statistical "
          "Society B "
          "57:289-300.",
    "circular": "Kriegeskorte N, Simmons WK, Bellgowan PSF, Baker CI (2009). Circular analysis in systems "
                "neuroscience: the "
                "dangers of double dipping. Nature Neuroscience 12:535-540.",
    "resampled": "Nadeau C, Bengio Y (2003). Inference for the generalization error. Machine Learning 52:239-281.",
    "holm": "Holm S (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of "
            "Statistics "
            "6:65-70.",
    "kuncheva": "Kuncheva LI (2007). A stability index for feature selection. Proceedings of the 25th IASTED "
                "conference on "
                "artificial intelligence and applications, 390-395.",
    "dictionary": "Bricken T, Templeton A, Batson J, et al. (2023). Towards monosemanticity: decomposing language "
                  "models with "
                  "dictionary learning. Transformer Circuits Thread.",
    "l1": "Conerly T, Templeton A, Bricken T, Marcus J, Henighan T (2024). Update on how we train SAEs. Transformer "
          "Circuits "
          "Thread, April 2024.",
    "sklearn": "Pedregosa F, Varoquaux G, Gramfort A, et al. (2011). Scikit-learn: machine learning in Python. Journal "
               "of "
               "Machine Learning Research 12:2825-2830.",
    "torch": "Paszke A, Gross S, Massa F, et al. (2019). PyTorch: an imperative style, high-performance deep learning "
             "library. Advances in Neural Information Processing Systems 32.",
    "transformers": "Wolf T, Debut L, Sanh V, et al. (2020). Transformers: state-of-the-art natural language "
                    "processing. "
                    "EMNLP system demonstrations, 38-45.",
    "numpy": "Harris CR, Millman KJ, van der Walt SJ, et al. (2020). Array programming with NumPy. Nature 585:357-362.",
    "scipy": "Virtanen P, Gommers R, Oliphant TE, et al. (2020). SciPy 1.0: fundamental algorithms for scientific "
             "computing "
             "in Python. Nature Methods 17:261-272.",
    "seaborn": "Waskom ML (2021). seaborn: statistical data visualization. Journal of Open Source Software 6:3021.",
}
SOFTWARE = {"torch": "torch", "transformers": "transformers", "numpy": "numpy", "scipy": "scipy",
            "scikit-learn": "sklearn",
            "rsatoolbox": "rsatoolbox", "seaborn": "seaborn"}
SCORE_WORDS = {
    "paired_t": "a one-sample t over the item differences", "welch_t": "Welch's t over cell means",
    "hedges_g": "Hedges' g over cell means", "auroc": "the area under the ROC curve",
    "mean_difference": "the difference of cell means", "rate_difference": "the difference of firing rates",
}
RSA_WORDS = {
    "discriminative": "D, the mean Fisher z between profiles of target texts minus the mean z between target and foil "
                      "texts",
    "categorical": "the categorical score, mean within-class minus mean between-class similarity",
    "coherence": "coherence, the mean z between target texts minus the mean z between foil texts",
    "model": "the correlation of the feature's RDM with a model RDM",
}


class Citations:
    """Numbers references in the order in which the text first cites them."""

    def __init__(self):
        self.order: list[str] = []

    def __call__(self, *keys: str) -> str:
        """Return the bracketed numbers of some references.

        Parameters
        ----------
        *keys : str
            Keys of `REFERENCES`.

        Returns
        -------
        str
            Such as "[1, 2]".
        """
        self.order += [key for key in keys if key not in self.order]
        return "[" + ", ".join(str(self.order.index(key) + 1) for key in keys) + "]"

    def listed(self) -> str:
        """Return the reference list, one numbered line each."""
        return "\n".join(f"{number}. {REFERENCES[key]}" for number, key in enumerate(self.order, start=1))


def methods_text(run: Run) -> tuple[list[str], str]:
    """Return the paragraphs of the Methods section and the reference list they cite.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    (list of str, str)
        Paragraphs with the settings used, and one numbered reference per line.
    """
    cite = Citations()
    view = next(iter(run.views.values()), View({}, {}, {}))
    writers = [_stimuli, _responses, _saes, _maps, _comparison if run.verb == "compare" else _looking, _software]
    return [text for writer in writers if (text := writer(run, view, cite))], cite.listed()


def _stimuli(run: Run, view: View, cite: Citations) -> str:
    parts = []
    for record in (each.records["stimuli"] for each in run.views.values() if "stimuli" in each.records):
        counts = ", ".join(f"{count} {name} texts" for name, count in record.get("texts", {}).items())
        parts.append(f"The stimulus set {record.get('name')} ({record.get('concept')}) has {record.get('n_items')} "
                     f"items in "
                     f"use ({counts}); contrast {record.get('contrast')}: {record.get('expression')}.")
    if parts:
        parts.append("The item is the unit of exchange and of cross-validation; paraphrases of a cell (item x "
                     "condition) move "
                     "together and are averaged before any univariate statistic. Items marked confirm were left out.")
    return " ".join(parts)


def _responses(run: Run, view: View, cite: Citations) -> str:
    record = view.records.get("responses")
    if not record:
        return ""
    scale = record.get("scale") or 1.0
    text = (f"Responses were recorded from {record.get('model') or 'an unnamed model'} at "
            f"{record.get('site') or 'an unnamed site'}"
            f" {cite('transformers')}; special tokens were left out by position. ")
    if run.verb == "compare":
        text += (f"Representations: {_pairs(run.config.get('representations') or {})}; tokens were encoded first, then "
                 f"pooled "
                 f"({as_text(run.config.get('pooling'))}) over the window {as_text(run.config.get('window'))}")
    else:
        text += _pooled(record)
    if record.get("transform") == "log1p":
        text += f" and taken as sign(x) log1p(|x|/s), s = {scale:.4g}"
    return text + "."


def _pairs(representations: dict) -> str:
    return ", ".join(f"{name} ({value})" if str(name) != str(value) else str(name) for name,
                     value in representations.items())


def _pooled(record: dict) -> str:
    text = (f"Each token was encoded by {record['representation']}, then pooled" if record.get("representation") not in
             (None, "raw") else "Raw units were pooled")
    return text + f" ({as_text(record.get('pooling'))}) over the window {as_text(record.get('window'))}"


def _saes(run: Run, view: View, cite: Citations) -> str:
    if not run.saes:
        return ""
    names = "; ".join(f"{sae.get('name')} ({sae.get('n_latents')} latents on {sae.get('d_in')} units of "
                      f"{sae.get('site')})"
                      for sae in run.saes)
    return (f"Sparse autoencoders: {names} {cite('dictionary', 'l1')}. FVU, mean L0, dead latents and loss recovered "
            f"are on "
            "held-out documents; loss recovered is against mean ablation and not clipped.")


def _maps(run: Run, view: View, cite: Citations) -> str:
    maps = [fmap for found in run.maps.values() for fmap in found.values()]
    tested = [fmap for fmap in maps if fmap.pvalue is not None]
    scores = list(dict.fromkeys(fmap.name for fmap in maps))
    if not scores:
        return ""
    plain = [f"{name} ({SCORE_WORDS[name]})" for name in scores if name in SCORE_WORDS]
    rsa = [word for key, word in RSA_WORDS.items() if any(name.startswith("rsa") and key in name for name in scores)]
    text = f"Each feature was scored by {', '.join(plain)}. " if plain else ""
    if rsa:
        text += (f"Representational similarity {cite('rsa', 'toolbox')}: {'; '.join(rsa)}. Pairs within an item are "
                 f"masked; "
                 "features silent in too many items have no value rather than 0. ")
    if tested:
        info = tested[0].info
        how = ("all labellings were enumerated" if info.get("enumerated")
               else f"{info.get('permutations')} random labellings")
        text += (f"Inference is by permutation under the exchange scheme of the design {cite('exchange')} "
                 f"({info.get('scheme') or 'scheme not recorded'}; {how}, the observed one included "
                 f"{cite('never_zero')}). "
                 "Every p tests exchangeability. Family-wise error over features is controlled by the maximum of the "
                 f"permutation-standardised score {cite('maxt')}; q are Benjamini-Hochberg {cite('bh')}. ")
    return text + ("Maps are for looking: on the data that selected the features they are descriptive "
                   f"{cite('circular')}.")


def _looking(run: Run, view: View, cite: Citations) -> str:
    if not any("fits" in each.tables for each in run.views.values()):
        return ""
    return (f"RDMs are {as_text(str(view.rdms.get('measure', 'correlation')))} dissimilarities between cells, compared "
            f"with "
            f"model RDMs through rsatoolbox {cite('rsatoolbox')}. The ceiling is the paraphrase ceiling: agreement of "
            "single-paraphrase RDMs, paraphrases reassigned at random; it bounds wording noise only.")


def _comparison(run: Run, view: View, cite: Citations) -> str:
    config = run.config
    folds = config.get("folds") or {}
    splits, repeats, inner = (folds.get(name, "?") for name in ("splits", "repeats", "inner"))
    text = (f"Selectors ({as_text([_entry(each) for each in _listed(config.get('selectors'))])}) chose k = "
            f"{as_text(config.get('k'))} features, read out by "
            f"{as_text([_entry(each) for each in _listed(config.get('ensemble'))])}"
            f" {cite('sklearn')}. Selection, scaling, k and regularisation were fitted inside the training folds of "
            f"{repeats} x {splits} stratified group folds (inner {inner}) with the item as group; all cells share the "
            f"folds. "
            f"Within one concept, intervals and tests over folds use the corrected resampled t {cite('resampled')} "
            f"with "
            "splits - 1 degrees of freedom and are descriptive; across concepts, paired differences of nested scores "
            "are "
            f"tested by sign flips, Holm-adjusted {cite('holm')}. Selection stability is Jaccard and Kuncheva "
            f"{cite('kuncheva')}. ")
    return text + ("Surface baselines (" + as_text(config.get("baselines")) + ") saw the same folds; a baseline below "
                                                                              ".5 "
                   "counts as .5 in differences.")


def _entry(value: object) -> str:
    return str(value.get("label") or value.get("as") or value.get("name")) if isinstance(value, dict) else str(value)


def _listed(value: object) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _software(run: Run, view: View, cite: Citations) -> str:
    versions = run.provenance.get("versions") or {}
    if not versions:
        return ""
    named = [f"{name} {number}" + (f" {cite(SOFTWARE[name])}" if name in SOFTWARE else "") for name,
             number in versions.items()]
    return f"Software: {', '.join(named)}. Seed {run.provenance.get('seed')}."
