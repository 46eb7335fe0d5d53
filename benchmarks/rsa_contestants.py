"""What benchmarks/rsa.py races: the data of each task, and each contestant as a function of them.

Every stimulus is its own item, because no peer can leave out pairs within items. A contestant gets the task's data `d` and
returns one or two arrays with a value per feature. Those too slow for all features run on the first `cap` of them (and `pcap`
permutations); their time is scaled, which is exact for loops.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import scipy.sparse
from scipy import stats
from scipy.spatial.distance import pdist, squareform
from scipy.special import gammaln

import cogneuro_sae as cn
from cogneuro_sae.inference import label_scheme, labellings
from cogneuro_sae.responses import Responses, TokenFeatures
from cogneuro_sae.rsa import condensed

ABSENT = {}


def sae_like(n: int, length: int, features: int, *, firing: float, seed: int) -> np.ndarray:
    """(n, length, features) float32, non-negative. firing 1: every latent fires in every text; else most are silent in most.

    Below 1, half of the latents never fire, 1 % fire at every token, and the others fire in a Beta(1, 2) share of the texts.
    """
    rng, out = np.random.default_rng(seed), np.empty((n, length, features), np.float32)
    kind = rng.random(features)
    texts, tokens = rng.beta(1, 2, (2, features)).astype(np.float32)
    if firing < 1:
        texts[kind < 0.5], texts[kind > 0.99], tokens[kind > 0.99] = 0, 1, 1
    for i in range(n):
        out[i] = rng.standard_exponential((length, features), np.float32)
        if firing < 1:
            out[i] *= rng.random((length, features), np.float32) < tokens * (rng.random(features) < texts)
    return out


def pooled_values(n: int, features: int, *, seed: int) -> np.ndarray:
    """(n, features) float32: a latent's mean over a text, 0 in 70 % of the texts; made a row at a time."""
    rng, out = np.random.default_rng(seed), np.empty((n, features), np.float32)
    for row in range(n):
        out[row] = rng.standard_exponential(features, np.float32) * (rng.random(features, np.float32) < 0.3)
    return out


def own_items(n: int) -> SimpleNamespace:
    """A design whose every stimulus is an item; the first half are targets."""
    cells, y = np.arange(n), (np.arange(n) < n // 2).astype(int)
    return SimpleNamespace(rows=cells, y=y, weights=np.where(y, 1.0, -1.0), groups=cells, cells=cells,
                           scheme=label_scheme(cells, y), contrast="far", expression="target - far")


def responses_of(X: np.ndarray) -> Responses:
    """Packed responses that show (n, length, features) values as they lie, without a copy."""
    n, length, features = X.shape
    return Responses(values=X.reshape(-1, features), tokens=np.full(n * length, "w"), offsets=np.arange(n + 1) * length,
                     specials=np.zeros(n * length, bool), spans=np.full((n * length, 2), -1),
                     ids=tuple(str(i) for i in range(n)), site="simulated", model="simulated", sha256="")


def task_data(task: str, features: int, permutations: int, *, n: int = 100, length: int = 50, firing: float = 1.0, seed: int = 0):
    """Data object of a task: X, y, design, model RDM M (square) and the labellings that all contestants share."""
    tokens = task.startswith("profile")
    X = sae_like(n, length, features, firing=firing, seed=seed) if tokens else pooled_values(n, features, seed=seed)
    d = SimpleNamespace(X=X, n=n, T=length, F=features, P=permutations, design=own_items(n), seed=1)
    d.y = d.design.y.astype(bool)
    between = (d.y[:, None] != d.y).astype(float)
    d.M = squareform(np.random.default_rng(9).random(n * (n - 1) // 2)) if task == "pooled" else between
    d.labels = labellings(d.design.scheme, permutations, seed=1).values.astype(bool) if permutations else d.y[None]
    return d


def first_features(d, cap: int, pcap: int | None = None):
    """The same task on its first features (and permutations)."""
    part = SimpleNamespace(**vars(d))
    part.X, part.F = d.X[..., :cap], min(cap, d.F)
    if pcap is not None and pcap < d.P:
        part.P, part.labels = pcap, d.labels[:pcap + 1]
    return part


# ours -------------------------------------------------------------------------------------------------------------
def ours(score: str, permuted: bool):
    def run(d):
        found = cn.rsa_map(TokenFeatures(responses_of(np.ascontiguousarray(d.X))), d.design, score=score,
                           model="categorical" if score == "model" else None, permutations=d.P if permuted else 0, seed=d.seed)
        return (found.value, found.pvalue) if permuted else (found.value,)
    return run


def ours_pooled(d):
    return (cn.rsa_map(d.X, d.design, score="model", variant="pooled", model=d.M).value,)


def ours_permuted_t(d):
    """Hedges g is the pooled t times a constant, and its p is that of the pooled t."""
    found = cn.contrast_map(d.X, d.design, score="hedges_g", permutations=d.P, seed=d.seed)
    a, df = int(d.y.sum()), d.n - 2
    small = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    return found.value / small / np.sqrt(1 / a + 1 / (d.n - a)), found.pvalue


# study C ----------------------------------------------------------------------------------------------------------
def study_c(d):
    """corrcoef of a feature's profiles, Fisher z, within-target pairs against target-foil pairs; one feature after another."""
    out, na = np.full(d.F, np.nan), int(d.y.sum())
    upper = np.triu(np.ones((na, na)), k=1).astype(bool)
    for f in range(d.F):
        patterns = np.vstack([d.X[d.y, :, f], d.X[~d.y, :, f]])
        if np.std(patterns) < 1e-9:
            continue
        z = np.arctanh(np.clip(np.corrcoef(patterns), -0.999, 0.999))
        within, across = z[:na, :na][upper], z[:na, na:].flatten()
        within, across = within[np.isfinite(within)], across[np.isfinite(across)]
        if len(within) > 1 and len(across) > 1:
            stats.ttest_ind(within, across)  # what it ranked by; the values compared are the mean differences
            out[f] = within.mean() - across.mean()
    return (out,)


def study_c_permuted(d):
    """The same loop, once more for every labelling."""
    value, p = np.full(d.F, np.nan), np.full(d.F, np.nan)
    for f in range(d.F):
        z, found = np.arctanh(np.clip(np.corrcoef(d.X[:, :, f]), -0.999, 0.999)), []
        for y in d.labels:
            within, across = z[np.ix_(y, y)][np.triu_indices(int(y.sum()), 1)], z[np.ix_(y, ~y)].ravel()
            found.append(within.mean() - across.mean())
        found = np.array(found)
        value[f], p[f] = found[0], (found >= found[0] - 1e-9).mean()
    return value, p


# rsatoolbox, mne-rsa, scipy, nilearn ------------------------------------------------------------------------------
def _toolbox_rdm(x, method, named):
    """With names of the stimuli, as its documentation has it, or with bare rows, which is several times quicker."""
    import rsatoolbox

    if not named:
        return rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(x.astype(float)), method=method)
    data = rsatoolbox.data.Dataset(x.astype(float), obs_descriptors={"stimulus": np.arange(len(x))})
    return rsatoolbox.rdm.calc_rdm(data, method=method, descriptor="stimulus")


def _toolbox(method, named=True):
    def run(d):
        import rsatoolbox

        model, out = rsatoolbox.rdm.RDMs(condensed(d.M)[None]), np.full(d.F, np.nan)
        for f in range(d.F):
            x = d.X[:, :, f] if method == "correlation" else d.X[:, f:f + 1]
            try:
                out[f] = rsatoolbox.rdm.compare(_toolbox_rdm(x, method, named), model, method="corr")[0, 0]
            except ValueError:  # it refuses an RDM with missing entries
                continue
        return (out,)
    return run


def toolbox_permuted(d):
    """It has no permutation test of one RDM: permute_rdms and compare, once per labelling."""
    import rsatoolbox
    from rsatoolbox.rdm.rdms import permute_rdms

    model, value, p = rsatoolbox.rdm.RDMs(condensed(d.M)[None]), np.full(d.F, np.nan), np.full(d.F, np.nan)
    orders = [np.argsort(~y, kind="stable") for y in d.labels]
    for f in range(d.F):
        data = rsatoolbox.data.Dataset(d.X[:, :, f].astype(float), obs_descriptors={"index": np.arange(d.n)})
        rdm = rsatoolbox.rdm.calc_rdm(data, method="correlation", descriptor="index")
        found = np.array([rsatoolbox.rdm.compare(permute_rdms(rdm, order), model, method="corr")[0, 0] for order in orders])
        value[f], p[f] = found[0], (found >= found[0] - 1e-9).mean()
    return value, p


def _mne(metric):
    def run(d):
        import mne_rsa

        series = np.ascontiguousarray(d.X.transpose(0, 2, 1) if metric == "correlation" else d.X[:, :, None], dtype=float)
        patches = mne_rsa.searchlight(series.shape, dist=scipy.sparse.eye(d.F, format="csr"), spatial_radius=0.0)
        found = mne_rsa.rsa_array(series, condensed(d.M), patches, data_rdm_metric=metric, rsa_metric="pearson", n_jobs=1)
        return (np.asarray(found, float).ravel(),)
    return run


def _scipy(metric):
    def run(d):
        model, out = condensed(d.M) - condensed(d.M).mean(), np.full(d.F, np.nan)
        model /= np.linalg.norm(model)
        for f in range(d.F):
            v = pdist(d.X[:, :, f] if metric == "correlation" else d.X[:, f:f + 1], metric)
            v = v - v.mean()
            out[f] = v @ model / np.linalg.norm(v)
        return (out,)
    return run


def scipy_permuted_t(d):
    """scipy's t over all features, once per labelling."""
    found = np.array([stats.ttest_ind(d.X[y], d.X[~y]).statistic for y in d.labels])
    return found[0], (np.abs(found) >= np.abs(found[0]) - 1e-6).mean(axis=0)


def nilearn_permuted_t(d):
    """Its own draws of labels; its p is family-wise only, so agreement is checked on t."""
    from nilearn.mass_univariate import permuted_ols

    found = permuted_ols(d.y[:, None].astype(float), d.X, n_perm=d.P, two_sided_test=True, random_state=0, n_jobs=1)
    return (found["t"][0] if isinstance(found, dict) else found[1][0],)


def _capped(function, cap=None, pcap=None):
    return SimpleNamespace(run=function, cap=cap, pcap=pcap)


def contestants(task: str) -> dict:
    """Contestants of a task -> their function, caps and the one of ours that computes the same statistic."""
    profile = {
            "cogneuro_sae": _capped(ours("discriminative", False)), "cogneuro_sae_model": _capped(ours("model", False)),
            "study_c": _capped(study_c, 600), "rsatoolbox": _capped(_toolbox("correlation"), 300),
            "rsatoolbox_bare": _capped(_toolbox("correlation", False), 300),
            "mne_rsa": _capped(_mne("correlation"), 300), "scipy": _capped(_scipy("correlation"), 600)}
    return {
        "profile": profile, "profile_dense": profile,
        "profile_perm": {
            "cogneuro_sae": _capped(ours("discriminative", True)), "cogneuro_sae_model": _capped(ours("model", True)),
            "study_c": _capped(study_c_permuted, 3), "rsatoolbox": _capped(toolbox_permuted, 8)},
        "pooled": {
            "cogneuro_sae": _capped(ours_pooled), "rsatoolbox": _capped(_toolbox("euclidean"), 500),
            "rsatoolbox_bare": _capped(_toolbox("euclidean", False), 500),
            "mne_rsa": _capped(_mne("sqeuclidean"), 500), "scipy": _capped(_scipy("sqeuclidean"), 2000)},
        "permuted_t": {
            "cogneuro_sae": _capped(ours_permuted_t), "nilearn": _capped(nilearn_permuted_t, None, 500),
            "scipy": _capped(scipy_permuted_t, None, 20)},
    }[task]


SAME_STATISTIC = {(task, name): "cogneuro_sae_model" for task in ("profile", "profile_dense", "profile_perm")
                  for name in ("rsatoolbox", "rsatoolbox_bare", "mne_rsa", "scipy")}
