"""Ensembles: scikit-learn's checks, hand-computed read-outs, library twins, export without pickle."""

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from cogneuro_sae.errors import InputError
from cogneuro_sae.selection import ENSEMBLES, load_ensemble, save_ensemble
from cogneuro_sae.selection.ensembles import LogisticL1, LogisticRidge, MeanZ, ShrinkageLDA, Template


def make(name):
    return ENSEMBLES[name](C=1.0) if ENSEMBLES[name].grid else ENSEMBLES[name]()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 40)
    X = rng.normal(size=(80, 6)) * [1, 10, 0.1, 1, 1, 1] + [0, 100, 0, 0, 0, 0]
    X[y == 1, 0] += 2
    X[y == 1, 1] -= 15
    return X, y, np.repeat(np.arange(40), 2)


@parametrize_with_checks([LogisticL1(C=1.0), LogisticRidge(C=1.0), ShrinkageLDA(), MeanZ(), Template()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_decision_predict_and_probability_agree(name, data):
    X, y, _ = data
    model = make(name).fit(X[:60], y[:60])
    decision = model.decision_function(X[60:])
    assert decision.shape == (20,)
    np.testing.assert_array_equal(model.predict(X[60:]), (decision > 0).astype(int))
    assert (model.predict(X[60:]) == y[60:]).mean() >= 0.7
    assert hasattr(model, "predict_proba") == model.probabilities
    if model.probabilities:
        np.testing.assert_allclose(model.predict_proba(X[60:])[:, 1], expit(decision), rtol=1e-12)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_read_outs_do_not_depend_on_units(name, data):
    X, y, _ = data
    first = make(name).fit(X, y).decision_function(X)
    second = make(name).fit(X * 7 + 3, y).decision_function(X * 7 + 3)
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_a_constant_column_changes_nothing(name, data):
    X, y, _ = data
    with_constant = np.column_stack([X, np.full(len(X), 0.1)])
    if name in ("template", "lda"):  # both use the number of columns: a correlation over them, a shrinkage
        assert np.isfinite(make(name).fit(with_constant, y).decision_function(with_constant)).all()
        return
    share = 6 / 7 if name == "mean_z" else 1
    np.testing.assert_allclose(make(name).fit(with_constant, y).decision_function(with_constant),
                               share * make(name).fit(X, y).decision_function(X), rtol=1e-3, atol=1e-3)


def test_logistic_and_lda_equal_the_library(data):
    X, y, _ = data
    Z = StandardScaler().fit_transform(X)
    twin = LogisticRegression(C=0.5, max_iter=1000).fit(Z, y)
    np.testing.assert_allclose(LogisticRidge(C=0.5).fit(X, y).decision_function(X), twin.decision_function(Z),
                               rtol=1e-6)
    twin = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5]).fit(Z, y)
    np.testing.assert_allclose(ShrinkageLDA().fit(X, y).decision_function(X), twin.decision_function(Z), rtol=1e-8)
    twin = LogisticRegression(C=0.5, l1_ratio=1.0, solver="saga", max_iter=100_000, tol=1e-8).fit(Z, y)
    np.testing.assert_allclose(LogisticL1(C=0.5).fit(X, y).coef_, twin.coef_[0], atol=0.02)


def test_mean_z_and_template_by_hand():
    X, y = np.array([[1.0, 5.0, 0.0], [3.0, 3.0, 1.0], [5.0, 1.0, 1.0], [7.0, -1.0, 2.0]]), np.array([0, 0, 1, 1])
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    np.testing.assert_allclose(MeanZ().fit(X, y).decision_function(X), (Z[:, 0] - Z[:, 1] + Z[:, 2]) / 3, atol=1e-12)
    wanted = [np.corrcoef(row, Z[2:].mean(axis=0))[0, 1] - np.corrcoef(row, Z[:2].mean(axis=0))[0, 1] for row in Z]
    np.testing.assert_allclose(Template().fit(X, y).decision_function(X), wanted, atol=1e-12)
    with pytest.raises(InputError, match="1 feature"):
        Template().fit(X[:, :1], y)


def test_inner_cross_validation_needs_groups_and_keeps_items_together(data):
    X, y, groups = data
    with pytest.raises(InputError, match="needs groups"):
        LogisticL1().fit(X, y)
    model = LogisticL1().fit(X, y, groups=groups)
    assert model.C_ in LogisticL1.grid
    rng = np.random.default_rng(1)
    noise = np.repeat(rng.normal(size=(20, 30)), 4, axis=0) + 0.01 * rng.normal(size=(80, 30))
    labels = np.repeat(rng.permutation(np.tile([0, 1], 10)), 4)
    # copies of an item in both parts would make the weakest penalty look best
    assert LogisticRidge().fit(noise, labels, groups=np.repeat(np.arange(20), 4)).C_ <= 10.0


@pytest.mark.parametrize("name", ENSEMBLES)
def test_export_and_reload_predict_the_same(name, data, tmp_path):
    X, y, _ = data
    model = make(name).fit(X, y)
    save_ensemble(model, tmp_path / name, indices=[9, 4, 7, 1, 0, 2], classes=("failure", "achievement"),
                  extra={"site": "x"})
    again = load_ensemble(tmp_path / name)
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.feature_indices_.tolist() == [9, 4, 7, 1, 0, 2] and again.class_names_ == ("failure", "achievement")
    assert again.extra_ == {"site": "x"}
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["ensemble.json", "ensemble.npz",
            "manifest.json"]
    assert json.loads((tmp_path / name / "ensemble.json").read_text())["method"] == name


def test_named_classes_survive_the_reload(data, tmp_path):
    X, y, _ = data
    model = MeanZ().fit(X, np.where(y == 1, "yes", "no"))
    again = load_ensemble(save_ensemble(model, tmp_path / "named"))
    assert set(again.predict(X)) == {"no", "yes"} and (again.predict(X) == model.predict(X)).all()


def test_an_altered_or_unknown_export_is_refused(data, tmp_path):
    X, y, _ = data
    folder = save_ensemble(MeanZ().fit(X, y), tmp_path / "one")
    text = (folder / "ensemble.json").read_text()
    (folder / "ensemble.json").write_text(text.replace("mean_z", "mean_q"))
    with pytest.raises(InputError, match="does not match the manifest"):
        load_ensemble(folder)
    with pytest.raises(InputError, match="not a fitted ensemble"):
        save_ensemble(LogisticRegression(), tmp_path / "two")
    with pytest.raises(InputError, match="2 indices for 6 columns"):
        save_ensemble(MeanZ().fit(X, y), tmp_path / "three", indices=[1, 2])
