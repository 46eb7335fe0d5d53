"""Training: the recipe against a plain second implementation, exact resume, and every way it can stop."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, ManyErrors, SetupError
from cogneuro_sae.interrupts import Interrupted
from cogneuro_sae.sae import TrainConfig, load_sae, load_train_config, train_from_config, train_sae
from cogneuro_sae.sae.state import latest_checkpoint
from cogneuro_sae.sae.tracking import Progress
from cogneuro_sae.sae.training import l1_at, lr_at
from cogneuro_sae.store import KIND, ActivationStore, shard_name, write_shard

pytestmark = pytest.mark.slow

D, LATENTS = 16, 32


def make_store(folder, values, shards=4, **extra):
    pieces = np.array_split(np.asarray(values, np.float32), shards)
    for index, piece in enumerate(pieces):
        write_shard(folder, index, piece, plan="")
    files.write_manifest(folder, [shard_name(index) for index in range(shards)],
                         {"kind": KIND, "rows": [len(piece) for piece in pieces], "d_model": values.shape[1],
                          "site": "model.layers.0", "model_sha256": "0" * 64, "prepend_bos": True, **extra})
    return ActivationStore(folder)


def planted(n, seed):
    """Sparse mixtures of 24 directions, far from the origin."""
    rng = np.random.default_rng(1234)
    dictionary = rng.normal(size=(24, D))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    weights = (rng.random((n, 24)) < 0.08) * rng.uniform(1, 2, (n, 24))
    return weights @ dictionary * 5 + 40 + rng.normal(0, 0.05, (n, D)), dictionary


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return make_store(folder / "train", planted(6000, 1)[0]), make_store(folder / "held", planted(800, 2)[0])


def config(**changes):
    return TrainConfig(**{"name": "test", "width": LATENTS, "tokens": 6000, "batch": 100, "l1": 1.0, "lr": 3e-3,
                          "checkpoint_every": 1000, "heldout_tokens": 800, "density_tokens": 2000, **changes})


def weights(sae):
    return {name: value.detach() for name, value in sae.named_parameters()}


def assert_same(one, two):
    for name, value in weights(one).items():
        assert torch.equal(value, weights(two)[name]), name


def test_schedules_by_hand():
    assert [l1_at(step, 100, 4.0) for step in (0, 1, 4, 5, 50, 99)] == pytest.approx([0, 0.8, 3.2, 4, 4, 4])
    assert [lr_at(step, 100, 1.0) for step in (0, 50, 79, 80, 81, 90, 99)] == pytest.approx([1, 1, 1, 1, .95, .5, .05])


def test_training_is_the_recipe_written_out_again(stores, tmp_path):
    """A second implementation: autograd on the formula of docs/methods.md, Adam and clipping by hand."""
    settings = config(tokens=2000, checkpoint_every=10**6)
    found = {}
    train_sae(stores[0], settings, tmp_path, validation=stores[1], quiet=True,
              after_step=lambda step, sae: found.update({step: {n: v.clone() for n, v in weights(sae).items()}}))
    x = np.concatenate(list(stores[0].chunks(10**6))).astype(np.float64)
    center = x.mean(axis=0)
    scale = math.sqrt(D) / np.linalg.norm(x - center, axis=1).mean()
    rows = np.random.default_rng([0, 1]).standard_normal((LATENTS, D), dtype=np.float32)
    W_dec = torch.tensor(rows * 0.1 / np.linalg.norm(rows, axis=1, keepdims=True), dtype=torch.float64)
    p = {"W_enc": W_dec.T.clone(), "b_enc": torch.zeros(LATENTS).double(), "W_dec": W_dec, "b_dec": torch.zeros(D).double()}
    first, second = ({name: torch.zeros_like(value) for name, value in p.items()} for _ in range(2))
    for step, batch in zip(range(20), stores[0].batches(100, 0), strict=False):
        z = torch.tensor((batch - center) * scale)
        leaves = {name: value.clone().requires_grad_() for name, value in p.items()}
        f = (z @ leaves["W_enc"] + leaves["b_enc"]).clamp(min=0)
        hat = f @ leaves["W_dec"] + leaves["b_dec"]
        l1 = 1.0 * min(1, step / 1)                                  # 5 % of 20 steps
        loss = ((z - hat) ** 2).sum(1).mean() + l1 * (f * leaves["W_dec"].pow(2).sum(1).sqrt()).sum(1).mean()
        gradient = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        norm = math.sqrt(sum(float(g.pow(2).sum()) for g in gradient.values()))
        rate = 3e-3 * min(1, (20 - step) / 4)
        for name, g in gradient.items():
            g = g / max(1, norm)
            first[name] = 0.9 * first[name] + 0.1 * g
            second[name] = 0.999 * second[name] + 0.001 * g**2
            root = (second[name] / (1 - 0.999 ** (step + 1))).sqrt()
            p[name] = p[name] - rate * first[name] / (1 - 0.9 ** (step + 1)) / (root + 1e-8)
        for name in p:
            torch.testing.assert_close(found[step + 1][name].double(), p[name], atol=2e-4, rtol=1e-3)


@pytest.mark.slow
def test_a_planted_dictionary_is_found(stores, tmp_path):
    sae = train_sae(stores[0], config(tokens=200_000, l1=0.5), tmp_path, validation=stores[1], quiet=True)
    best = np.abs(sae.decoder @ planted(1, 0)[1].T).max(axis=0)
    assert best.mean() > 0.97 and np.median(best) > 0.98
    history = sae.metrics["training"]["history"]
    assert history[-1]["fvu"] < 0.15 < history[0]["fvu"]
    assert sae.firing_rate.shape == (LATENTS,) and 0 < sae.firing_rate.mean() < 0.3
    x = np.concatenate(list(stores[0].chunks(10**6)))
    assert sae.scale == pytest.approx(np.linalg.norm(x, axis=1).mean() / math.sqrt(D), rel=1e-5)


def test_the_best_validation_is_what_comes_out(stores, tmp_path, monkeypatch):
    from cogneuro_sae.sae import training

    measure, calls, kept = training.reconstruction_metrics, [], {}

    def worse_later(sae, rows, limit=None):
        calls.append(1)
        found = measure(sae, rows, limit=limit)
        return found._replace(reconstruction_loss=found.reconstruction_loss + (1000 if len(calls) > 2 else 0))

    monkeypatch.setattr(training, "reconstruction_metrics", worse_later)
    sae = train_sae(stores[0], config(), tmp_path, validation=stores[1], quiet=True,
                    after_step=lambda step, live: kept.update({step: live.folded()}))
    assert sae.metrics["training"]["best_step"] == 20
    assert_same(sae, kept[20])


# ---- resume ----

class Stop(Exception):
    pass


def stop_at(number):
    def after_step(step, sae):
        if step == number:
            raise Stop
    return after_step


@pytest.mark.parametrize("stopped", [[5], [17], [30, 31, 59]])
def test_resumed_training_is_bit_for_bit_the_same(stores, tmp_path, stopped):
    whole = train_sae(stores[0], config(), tmp_path / "whole", validation=stores[1], quiet=True)
    for number in stopped:
        with pytest.raises(Stop):
            train_sae(stores[0], config(), tmp_path / "parts", validation=stores[1], quiet=True, after_step=stop_at(number))
    steps = []
    again = train_sae(stores[0], config(), tmp_path / "parts", validation=stores[1], quiet=True,
                      after_step=lambda step, sae: steps.append(step))
    assert_same(whole, again)
    assert steps[0] == stopped[-1] // 10 * 10 + 1                    # at most one interval is lost
    assert again.metrics == whole.metrics
    np.testing.assert_array_equal(again.firing_rate, whole.firing_rate)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_at_once_and_nothing_is_lost(stores, tmp_path, number):
    whole = train_sae(stores[0], config(), tmp_path / "whole", validation=stores[1], quiet=True)
    with pytest.raises(Interrupted, match="step 27 of 60.*everything so far is saved.*re-run the same command") as caught:
        train_sae(stores[0], config(), tmp_path / "parts", validation=stores[1], quiet=True,
                  after_step=lambda step, sae: step == 27 and os.kill(os.getpid(), number))
    assert caught.value.exit_code == 130
    steps = []
    again = train_sae(stores[0], config(), tmp_path / "parts", validation=stores[1], quiet=True,
                      after_step=lambda step, sae: steps.append(step))
    assert steps[0] == 28
    assert_same(whole, again)


def test_an_edited_config_is_refused_by_name(stores, tmp_path):
    with pytest.raises(Stop):
        train_sae(stores[0], config(), tmp_path, validation=stores[1], quiet=True, after_step=stop_at(15))
    with pytest.raises(InputError, match=r"changed: l1 \(was 1.0, now 2.0\), lr \(was 0.003, now 0.001\)") as caught:
        train_sae(stores[0], config(l1=2, lr=1e-3), tmp_path, validation=stores[1], quiet=True)
    assert "--overwrite" in str(caught.value) and caught.value.exit_code == 2
    other = make_store(tmp_path / "other", planted(6000, 3)[0])
    with pytest.raises(InputError, match="changed: activations"):
        train_sae(other, config(), tmp_path, validation=stores[1], quiet=True)
    train_sae(stores[0], config(keep_activations=True), tmp_path, validation=stores[1], quiet=True)


def damage(path, how):
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"truncated": data[:100], "empty": b"", "flipped": data[:-3] + bytes([data[-3] ^ 4]) + data[-2:]}[how])


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("how", ["gone", "truncated", "empty", "flipped"])
def test_a_damaged_checkpoint_is_passed_over(stores, tmp_path, name, how):
    small = config(tokens=3000, checkpoint_every=500)
    whole = train_sae(stores[0], small, tmp_path / "whole", validation=stores[1], quiet=True)
    with pytest.raises(Stop):
        train_sae(stores[0], small, tmp_path / "parts", validation=stores[1], quiet=True, after_step=stop_at(22))
    standing = sorted(path.name for path in (tmp_path / "parts").glob("step-*"))
    assert standing == ["step-00000015", "step-00000020"]            # the previous one is kept
    damage(tmp_path / "parts" / "step-00000020" / name, how)
    steps = []
    again = train_sae(stores[0], small, tmp_path / "parts", validation=stores[1], quiet=True,
                      after_step=lambda step, sae: steps.append(step))
    if (name, how) != ("manifest.json", "flipped"):
        assert steps[0] == 16
    assert_same(whole, again)


# ---- stops ----

def with_nan(tmp_path, rows):
    values = planted(6000, 1)[0]
    values[rows] = np.nan
    write = make_store(tmp_path / "clean", planted(6000, 1)[0])
    bad = make_store(tmp_path / "nan", values)
    # center and scale of the clean data: the fault is in the middle of training, not in the first pass
    bad.moments, bad.mean_norm = write.moments, write.mean_norm
    return bad


def test_not_finite_steps_are_counted_and_skipped(stores, tmp_path):
    sae = train_sae(with_nan(tmp_path, [100, 4000]), config(), tmp_path / "run", validation=stores[1], quiet=True)
    assert sae.metrics["training"]["nonfinite_steps"] == 2
    assert all(torch.isfinite(value).all() for value in weights(sae).values())


def test_too_many_of_them_stop_the_run_and_keep_the_last_good_checkpoint(stores, tmp_path):
    bad = with_nan(tmp_path, slice(0, 6000, 1500))
    rows = [bool(np.isnan(batch).any()) for _, batch in zip(range(60), bad.batches(100, 0), strict=False)]
    last = [step for step, hit in enumerate(rows) if hit][2]
    with pytest.raises(InputError, match=rf"3 steps with NaN.*max_nonfinite is 2.*step {last}, batch {last}") as caught:
        train_sae(bad, config(max_nonfinite=2, checkpoint_every=100), tmp_path / "run", validation=stores[1], quiet=True)
    assert caught.value.exit_code == 2 and "last good checkpoint is kept" in str(caught.value)
    newest = sorted((tmp_path / "run").glob("step-*"))[-1]
    assert files.is_complete(newest)
    assert all(torch.isfinite(value).all() for value in load_file(newest / "weights.safetensors").values())


def test_a_collapse_is_an_error_with_a_remedy(stores, tmp_path):
    with pytest.raises(InputError, match=r"the SAE collapsed \(L0 0.*lower l1 \(now 1000\)") as caught:
        train_sae(stores[0], config(l1=1000, lr=0.05, tokens=30_000), tmp_path, validation=stores[1], quiet=True)
    assert caught.value.exit_code == 2


def test_stores_of_two_models_are_refused(stores, tmp_path):
    other = make_store(tmp_path / "other", planted(100, 3)[0], model_sha256="1" * 64)
    with pytest.raises(InputError, match="differ in model_sha256"):
        train_sae(stores[0], config(), tmp_path / "run", validation=other, quiet=True)
    with pytest.raises(InputError, match="unknown architecture 'l2'.*did you mean 'l1'"):
        train_sae(stores[0], config(architecture="l2"), tmp_path / "run", validation=stores[1], quiet=True)


def test_two_runs_in_one_folder(stores, tmp_path):
    with files.locked(tmp_path), pytest.raises(SetupError, match="in use by process") as caught:
        train_sae(stores[0], config(), tmp_path, validation=stores[1], quiet=True)
    assert caught.value.exit_code == 3


# ---- what a user sees ----

def test_without_a_terminal_there_is_a_line_per_ten_percent(capsys):
    with Progress("training", 1000) as bar:
        for done in range(1, 1001):
            bar.update(done, "loss 1.0")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10 and lines[0] == "training:  10 % of 1,000 tokens loss 1.0" and "100 %" in lines[-1]
    with Progress("training", 1000, done=550, quiet=True) as bar:
        bar.update(1000)
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_tracking_online_without_a_key_goes_offline_in_one_line(stores, tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("anthropic", "openai"):        # other tests of this process loaded them; wandb advertises for their users
        monkeypatch.delitem(sys.modules, name, raising=False)
    train_sae(stores[0], config(wandb="online"), tmp_path / "run", validation=stores[1], quiet=True)
    assert capfd.readouterr().err.strip() == "wandb: no WANDB_API_KEY in the environment, tracking offline"
    assert list((tmp_path / "run").glob("wandb/offline-run-*/*.wandb"))


def test_the_config_file_is_the_schema(tmp_path):
    shipped = load_train_config("default")
    assert (shipped.corpus, shipped.site, shipped.architecture, shipped.width) == ("sample", "middle", "l1", 4096)
    assert shipped.steps == -(-shipped.tokens // shipped.batch)
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\nl1: -1\nwidht: 4\ntokens: 1.5\nbatch: 0\n", "utf-8")
    with pytest.raises(ManyErrors) as caught:
        load_train_config(bad)
    for said in ("bad.yaml:2", "l1", "widht", "width", "tokens", "batch"):
        assert said in str(caught.value)


def test_paths_in_the_file_start_at_the_file_and_those_of_overrides_here(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    for folder in (tmp_path / "texts", tmp_path / "configs" / "texts"):
        folder.mkdir()
    (tmp_path / "configs" / "one.yaml").write_text("name: one\ncorpus: ./texts\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_train_config("configs/one.yaml").corpus == str(tmp_path / "configs" / "texts")
    assert load_train_config("configs/one.yaml", ["corpus=texts", "l1=2"]).corpus == "texts"
    assert load_train_config("configs/one.yaml", ["l1=2"]).l1 == 2.0


# ---- from a text to a folder ----

TEXT = "\n\n".join(f"The {word} stood by the river and waited. Nobody came on day {n}, and nobody asked why the {word} stayed."
                   for n, word in enumerate(["miller", "old horse", "ferry", "teacher", "soldier", "cat"] * 6))
SMALL = {"name": "small", "width": 64, "tokens": 40_000, "batch": 256, "l1": 2.0, "heldout_tokens": 200,
         "heldout_passages": 3, "heldout_share": 0.25, "density_tokens": 500, "checkpoint_every": 2560}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text(TEXT, "utf-8")
    return str(path)


@pytest.mark.slow
def test_one_call_from_text_to_folder(default_model, text, tmp_path, capsys):
    settings = TrainConfig(**SMALL, corpus=text)
    assert train_from_config(settings, out=tmp_path / "run", dry_run=True) == tmp_path / "run" / "sae"
    assert "would train 64 latents on 40,000 tokens" in capsys.readouterr().err and not (tmp_path / "run").exists()
    made = train_from_config(settings, out=tmp_path / "run")
    assert "loss recovered" in capsys.readouterr().err
    sae = load_sae(made, model=default_model, site="middle")
    assert sae.n_latents == 64 and sae.metrics["fvu"] < 1 and sae.metrics["dead_over_tokens"] == 500
    record = files.read_json(made / "training.json")
    assert record["config"]["l1"] == 2.0 and record["hashes"]["model"] == default_model.sha256
    assert not (tmp_path / "run" / "activations").exists()
    stamp = (made / "manifest.json").stat().st_mtime_ns
    assert train_from_config(settings, out=tmp_path / "run") == made
    assert "already done" in capsys.readouterr().err and (made / "manifest.json").stat().st_mtime_ns == stamp
    (made / "manifest.json").unlink()                                # killed before the manifest: not finished
    train_from_config(settings, out=tmp_path / "run", quiet=True)
    assert load_sae(made).sha256 == sae.sha256
    with pytest.raises(InputError, match="changed: l1, seed|changed: l1 .*seed"):
        train_from_config(settings.model_copy(update={"l1": 3.0, "seed": 1}), out=tmp_path / "run")
    train_from_config(settings.model_copy(update={"seed": 1}), out=tmp_path / "run", overwrite=True, quiet=True)
    assert load_sae(made).sha256 != sae.sha256


def test_bad_references_and_folders_are_refused_before_anything_is_written(text, tmp_path):
    with pytest.raises(InputError, match="no corpus 'nowhere'"):
        train_from_config(TrainConfig(**SMALL, corpus="nowhere"), out=tmp_path / "run")
    with pytest.raises(InputError, match="unknown architecture"):
        train_from_config(TrainConfig(**{**SMALL, "architecture": "x"}, corpus=text), out=tmp_path / "run")
    one = tmp_path / "one.txt"
    one.write_text("A single document.")
    with pytest.raises(InputError, match="of its 1 documents are held out"):
        train_from_config(TrainConfig(**SMALL, corpus=str(one)), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"not a training run's \(thesis.txt\)"):
        train_from_config(TrainConfig(**SMALL, corpus=text), out=tmp_path / "foreign", overwrite=True)
    assert (tmp_path / "foreign" / "thesis.txt").read_text() == "mine"


KILLED = """
    import sys
    from cogneuro_sae.sae import TrainConfig, train_from_config
    print(train_from_config(TrainConfig.model_validate_json(sys.argv[1]), out=sys.argv[2], quiet=True))
"""


def _kill_and_compare(text, tmp_path, kills):
    settings = TrainConfig(**SMALL, corpus=text)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), settings.model_dump_json()]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    train_from_config(settings, out=tmp_path / "clean", quiet=True)
    checkpoints = tmp_path / "killed" / "checkpoints"
    for kill in range(kills):
        process = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment, stdout=subprocess.DEVNULL)
        deadline = time.time() + 120
        wanted = f"step-{10 * (3 * kill + 2):08d}"
        while process.poll() is None and not any(path.name >= wanted for path in checkpoints.glob("step-*")):
            assert time.time() < deadline
            time.sleep(0.001)
        time.sleep(0.003 * kill)          # once between, once inside the writing of a checkpoint
        process.kill()
        process.wait()
        assert not (tmp_path / "killed" / "sae" / "manifest.json").exists(), "killed too late to show anything"
        whole = [path for path in checkpoints.glob("step-*") if files.is_complete(path)]
        assert whole, "no complete checkpoint survived"
        for path in whole:
            load_file(path / "weights.safetensors")
    done = subprocess.run([*command, str(tmp_path / "killed")], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "killed" / "sae")
    for name in ("sae_weights.safetensors", "sparsity.safetensors", "cfg.json"):
        assert files.sha256_file(tmp_path / "killed" / "sae" / name) == files.sha256_file(tmp_path / "clean" / "sae" / name)
    before, after = (files.read_json(tmp_path / which / "sae" / "training.json")["metrics"] for which in ("clean", "killed"))
    assert before == after


@pytest.mark.slow
def test_killed_training_ends_with_the_same_weights_bit_for_bit(text, tmp_path):
    _kill_and_compare(text, tmp_path, kills=1)


@pytest.mark.long
def test_training_killed_again_and_again(text, tmp_path):
    _kill_and_compare(text, tmp_path, kills=5)


def test_no_checkpoint_is_no_error(tmp_path):
    assert latest_checkpoint(tmp_path / "absent", {}) is None
