"""Round trips to rsatoolbox, pandas and nilearn; what comes back is what went out."""

import numpy as np
import pandas as pd
import pytest
from rsa_data import matched_design
from synthetic import make_responses, make_set

from cogneuro_sae.contrasts import contrast_map, glm_contrast_map
from cogneuro_sae.errors import InputError
from cogneuro_sae.rsa import (cell_rdms, data_rdm, from_dataset, from_long, from_nilearn, from_square,
                              from_temporal_dataset, match_rdms, to_dataset, to_long, to_nilearn, to_square,
                              to_temporal_dataset)


def a_set():
    stimuli = make_set(items=5)
    return stimuli, make_responses(stimuli, units=7)


def test_a_dataset_there_and_back():
    stimuli, responses = a_set()
    X = responses.pool()
    names = [f"latent {i}" for i in range(7)]
    dataset = to_dataset(X, table=stimuli.table, features=names, descriptors={"site": responses.site})
    assert dataset.obs_descriptors["condition"][:3] == stimuli.table["condition"].tolist()[:3]
    back = from_dataset(dataset)
    np.testing.assert_array_equal(back.X, X)
    assert back.features.tolist() == names and back.descriptors == {"site": responses.site}
    pd.testing.assert_frame_equal(back.table, stimuli.table.reset_index(drop=True), check_dtype=False)
    known = stimuli.table[["id", "item", "condition"]]
    dataset = to_dataset(X, table=known, features=names)
    assert to_dataset(from_dataset(dataset).X, table=from_dataset(dataset).table, features=names) == dataset


def test_a_dataset_gives_the_rdm_of_data_rdm():
    from rsatoolbox.rdm import calc_rdm

    stimuli, responses = a_set()
    X = responses.pool()
    twin = calc_rdm(to_dataset(X, table=stimuli.table), method="correlation")
    np.testing.assert_allclose(twin.get_vectors(), data_rdm(X).get_vectors())


def test_a_dataset_survives_the_disk(tmp_path):
    from rsatoolbox.data import load_dataset

    stimuli, responses = a_set()
    dataset = to_dataset(responses.pool(), table=stimuli.table[["item", "condition"]])
    dataset.save(str(tmp_path / "data.h5"), file_type="hdf5")
    back = from_dataset(load_dataset(str(tmp_path / "data.h5")))
    np.testing.assert_array_equal(back.X, responses.pool())
    assert back.table["item"].tolist() == stimuli.table["item"].tolist()


def test_tokens_there_and_back():
    _, responses = a_set()
    dataset = to_temporal_dataset(responses)
    lengths = np.diff(responses.offsets)
    assert dataset.measurements.shape == (20, 7, lengths.max())
    row = int(lengths.argmin())
    assert np.isnan(dataset.measurements[row, :, lengths[row]:]).all() and lengths[row] < lengths.max()
    np.testing.assert_array_equal(dataset.measurements[3, :, 2], responses.values[responses.offsets[3] + 2])
    back = from_temporal_dataset(dataset)
    np.testing.assert_array_equal(back.values, responses.values)
    np.testing.assert_array_equal(back.offsets, responses.offsets)
    assert back.ids == responses.ids and back.site == responses.site
    np.testing.assert_allclose(back.pool(), responses.pool())


def test_some_features_and_positions_of_an_sae():
    _, responses = a_set()

    class Double:
        def transform(self, values):
            return np.hstack([values, 2 * values])

    dataset = to_temporal_dataset(responses, n=4, through=Double(), features=[8, 0])
    assert dataset.measurements.shape == (20, 2, 4) and dataset.channel_descriptors["feature"] == [8, 0]
    start = responses.offsets[5]
    np.testing.assert_allclose(dataset.measurements[5, 0], 2 * responses.values[start:start + 4, 1])


def test_rdms_there_and_back_and_matched_by_id():
    design, rng = matched_design(6), np.random.default_rng(0)
    rdms = cell_rdms(rng.normal(size=(24, 9)), design)
    square = to_square(rdms)
    assert square.loc["0.target", "1.near"] == square.loc["1.near", "0.target"] == rdms.get_matrices()[0][0, 3]
    np.testing.assert_array_equal(from_square(square).get_vectors(), rdms.get_vectors())
    ids = [rdms.pattern_descriptors["id"][i] for i in (7, 2, 0, 5)]
    matched = match_rdms(rdms, ids)
    np.testing.assert_array_equal(matched.get_matrices()[0][0, 2], rdms.get_matrices()[0][7, 0])
    np.testing.assert_array_equal(to_square(matched), square.loc[ids, ids])
    assert matched.pattern_descriptors["item"] == ["3", "1", "0", "2"]
    frame = rdms.to_df()
    pair = frame[(frame["id_1"] == "0.target") & (frame["id_2"] == "1.near")]
    assert pair["dissimilarity"].tolist() == [square.loc["0.target", "1.near"]]


def test_long_form_there_and_back():
    stimuli, responses = a_set()
    X = responses.pool()
    frame = to_long(X, table=stimuli.table, features=list("abcdefg"))
    assert len(frame) == 140
    one = frame[(frame["id"] == stimuli.ids[3]) & (frame["feature"] == "e")]
    assert one["value"].tolist() == [X[3, 4]]
    back = from_long(frame)
    np.testing.assert_array_equal(back.X, X)
    pd.testing.assert_frame_equal(back.table, stimuli.table.reset_index(drop=True), check_dtype=False)
    assert back.features.tolist() == list("abcdefg")
    shuffled = from_long(frame.sample(frac=1, random_state=0))
    order = [list(shuffled.table["id"]).index(name) for name in stimuli.ids]
    columns = [shuffled.features.tolist().index(name) for name in "abcdefg"]
    np.testing.assert_array_equal(shuffled.X[np.ix_(order, columns)], X)
    gap = from_long(frame.drop(index=0))
    assert np.isnan(gap.X).sum() == 1, "what is not there is missing, not 0"


def test_nilearn_gets_a_full_rank_design_and_gives_the_same_t():
    from nilearn.glm import compute_contrast, expression_to_contrast_vector
    from nilearn.glm.first_level import run_glm

    stimuli, responses = a_set()
    X, design = responses.pool(), stimuli.design("main")
    length = pd.DataFrame({"words": [len(text.split()) for text in stimuli.texts]})
    for covariates in (None, length):
        made = to_nilearn(X, design, covariates=covariates)
        assert np.linalg.matrix_rank(made.matrix) == made.matrix.shape[1]
        np.testing.assert_array_equal(expression_to_contrast_vector("target - near", made.matrix.columns), made.contrast)
        t = compute_contrast(*run_glm(made.values, made.matrix.to_numpy(), noise_model="ols"), made.contrast,
                             stat_type="t").stat()
        apart = from_nilearn(made.matrix, ["target", "near"])
        again = glm_contrast_map(made.values, apart.regressors, "target - near", items=apart.items,
                                 covariates=apart.covariates)
        np.testing.assert_allclose(again.value, np.ravel(t), rtol=1e-7)
    paired = to_nilearn(X, design)
    t = compute_contrast(*run_glm(paired.values, paired.matrix.to_numpy(), noise_model="ols"), paired.contrast,
                         stat_type="t").stat()
    np.testing.assert_allclose(np.ravel(t), contrast_map(X, design, score="paired_t").value, rtol=1e-7)
    assert len(np.unique(from_nilearn(paired.matrix, ["target", "near"]).items)) == 5


def test_a_first_level_matrix_of_nilearn_is_taken_apart():
    from nilearn.glm.first_level import make_first_level_design_matrix

    events = pd.DataFrame({"onset": [0, 10, 20, 30], "duration": 2, "trial_type": ["a", "b"] * 2})
    matrix = make_first_level_design_matrix(np.arange(40.0), events, drift_model="polynomial", drift_order=2)
    apart = from_nilearn(matrix, ["a", "b"])
    assert list(apart.regressors) == ["a", "b"] and list(apart.covariates) == ["drift_1", "drift_2"]
    assert apart.items is None
    X = np.random.default_rng(0).normal(size=(40, 3)) + 3 * matrix[["a"]].to_numpy()
    found = glm_contrast_map(X, apart.regressors, "a - b", covariates=apart.covariates)
    assert (found.value > 2).all()


def test_what_does_not_fit_is_said():
    stimuli, responses = a_set()
    X, design = responses.pool(), stimuli.design("main")
    with pytest.raises(InputError, match="features has 2 entries for 7"):
        to_dataset(X, features=[1, 2])
    with pytest.raises(InputError, match="time axis"):
        from_dataset(to_temporal_dataset(responses, n=3))
    with pytest.raises(InputError, match="99 positions"):
        to_temporal_dataset(responses, n=99)
    broken = to_temporal_dataset(responses, n=3)
    broken.measurements[0, :, 0] = np.nan
    with pytest.raises(InputError, match="missing inside an observation"):
        from_temporal_dataset(broken)
    square = pd.DataFrame(np.eye(3), index=list("abc"), columns=list("acb"))
    with pytest.raises(InputError, match="other names"):
        from_square(square)
    with pytest.raises(InputError, match="not symmetric"):
        from_square(pd.DataFrame([[0, 1], [2, 0]]))
    rdms = from_square(pd.DataFrame(1 - np.eye(3), index=list("abc"), columns=list("abc")))
    with pytest.raises(InputError, match="1 of 2 stimuli are not in the RDMs, the first 'x'"):
        match_rdms(rdms, ["a", "x"])
    with pytest.raises(InputError, match="no pattern descriptor 'name'"):
        to_square(rdms, descriptor="name")
    frame = to_long(X, table=stimuli.table)
    with pytest.raises(InputError, match="there twice"):
        from_long(pd.concat([frame, frame.iloc[:1]]))
    with pytest.raises(InputError, match="a column 'item' already"):
        to_long(X, table=stimuli.table, value="item")
    same = pd.DataFrame({"item_code": np.repeat(np.arange(5.0), 4)})
    with pytest.raises(InputError, match="rank 6 for 7 columns"):
        to_nilearn(X, design, covariates=same)
    with pytest.raises(InputError, match="no column 'far'"):
        from_nilearn(to_nilearn(X, design).matrix, ["far"])
