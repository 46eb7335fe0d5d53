"""Every message says what, where, what is allowed and what to do."""

import pickle

from cogneuro_sae.errors import CogneuroError, InputError, ManyErrors, SetupError, unknown_name


def test_the_message_has_all_four_parts_in_order():
    error = InputError("window 'frist(3)' is not known", where="a.yaml:7: window", allowed="all, first(n)", do="mend it")
    assert str(error) == "a.yaml:7: window: window 'frist(3)' is not known; allowed: all, first(n); mend it"
    assert isinstance(error, ValueError) and isinstance(error, CogneuroError)


def test_exit_codes():
    assert (CogneuroError.exit_code, InputError.exit_code, SetupError.exit_code) == (1, 2, 3)


def test_unknown_names_propose_the_nearest():
    error = unknown_name("selector", "welch", ["welch_t", "auroc"], where="c.yaml:3")
    assert str(error) == "c.yaml:3: unknown selector 'welch'; allowed: welch_t, auroc; did you mean 'welch_t'?"
    assert "did you mean" not in str(unknown_name("selector", "zzz", ["welch_t"]))


def test_many_errors_keep_each_line():
    error = ManyErrors([InputError("one", where="a"), InputError("two", where="b")])
    assert str(error).splitlines() == ["a: one", "b: two"]
    assert error.exit_code == 2


def test_errors_cross_process_borders():
    for error in (InputError("x", where="w", allowed="a", do="d"), ManyErrors([InputError("x"), SetupError("y")])):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
