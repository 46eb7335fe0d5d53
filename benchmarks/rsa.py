"""Speed, agreement and memory of RSA and permuted maps beside their peers: one thread, the same data, interleaved rounds.

    OMP_NUM_THREADS=1 python benchmarks/rsa.py [--quick] [--tasks profile pooled] [--json FILE]

Agreement is checked before anything is timed; a contestant that disagrees is not timed. Times are of all features (those of
capped contestants scaled up), ratios are medians over rounds of peer / ours within the round. The share of sgemm is the
arithmetic a task cannot do without, over the time taken, over what a 2048 x 2048 float32 product reaches here. Peak memory is
that of a process of its own. Absent peers are named. mne-rsa declares a graphical desktop (pyside6, pyvista) as dependencies, so
it is no extra of this package; to race it too:

    pip install --target PEERS --no-deps mne-rsa mne nibabel lazy_loader pooch decorator
    python benchmarks/rsa.py --peers PEERS
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import importlib.util
import json
import logging
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

TASKS = ("profile", "profile_dense", "profile_perm", "pooled", "permuted_t")
PEERS = {"rsatoolbox": "rsatoolbox", "mne_rsa": "mne_rsa", "nilearn": "nilearn", "scipy": "scipy"}
# features and permutations per task
FULL = {"profile": (20_000, 0), "profile_dense": (10_000, 0), "profile_perm": (10_000, 1000), "pooled": (200_000, 0), "permuted_t": (50_000, 10_000)}
QUICK = {"profile": (1000, 0), "profile_dense": (500, 0), "profile_perm": (500, 100), "pooled": (10_000, 0), "permuted_t": (2000, 200)}
GOALS = {("profile", "study_c"): 15, ("profile", "rsatoolbox"): 20, ("profile", "mne_rsa"): 9,
         ("profile_perm", "rsatoolbox"): 1000, ("pooled", "rsatoolbox"): 250, ("pooled", "scipy"): 50,
         ("permuted_t", "nilearn"): 20}
FIRING = {"profile": 0.3}      # most latents of an SAE are silent in most texts; elsewhere all fire in all
AGREEMENT = {"profile": (40, 0), "profile_dense": (40, 0), "profile_perm": (3, 60), "pooled": (40, 0), "permuted_t": (40, 40)}
TOLERANCE = 1e-5


def flops(task: str, d) -> float:
    """Floating-point operations of the products that a task cannot do without, over all features."""
    pairs = d.n * (d.n - 1) / 2
    return d.F * {"profile": 2 * pairs * d.T, "profile_dense": 2 * pairs * d.T, "profile_perm": 2 * pairs * (d.T + d.P + 1), "pooled": 2 * d.n**2,
                  "permuted_t": 2 * d.n * (d.P + 1)}[task]


def sgemm(size: int = 2048) -> float:
    """float32 GFLOP/s of a square product."""
    a = np.random.default_rng(0).random((size, size), np.float32)
    begin = time.perf_counter()
    a @ a
    return 2 * size**3 / (time.perf_counter() - begin) / 1e9


def present(task: str) -> dict:
    """The contestants of a task that can be imported here; the others are named once."""
    from rsa_contestants import ABSENT, contestants

    racing = contestants(task)
    for name in [name for name in racing if name in PEERS and importlib.util.find_spec(PEERS[name]) is None]:
        if name not in ABSENT:
            print(f"absent: {name} cannot be imported here, so it does not race")
        ABSENT[name] = racing.pop(name)
    return racing


def agreement(task: str, racing: dict) -> dict[str, float]:
    """Largest difference of every peer from ours, in values and p, over the largest value; who disagrees leaves the race.

    On latents that fire in all texts, because the peers have no rule for silence.
    """
    from rsa_contestants import SAME_STATISTIC, task_data

    features, permutations = AGREEMENT[task]
    d, ours, out = task_data(task, features, permutations, seed=5), {}, {}
    for name in [name for name in racing if not name.startswith("cogneuro_sae")]:
        twin = SAME_STATISTIC.get((task, name), "cogneuro_sae")
        ours[twin] = ours.get(twin) or racing[twin].run(d)
        gaps = [np.max(np.abs(np.asarray(a, float) - b)) / np.max(np.abs(b))
                for a, b in zip(racing[name].run(d), ours[twin])]
        out[name] = float(max(gaps))
        if not out[name] <= TOLERANCE:
            print(f"{task}: {name} differs from ours by {out[name]:.2g}: not timed")
            del racing[name]
    return out


def race(task: str, d, racing: dict, rounds: int) -> tuple[dict[str, list[float]], float]:
    """Seconds of every contestant in every round, and the best sgemm met between them."""
    from rsa_contestants import first_features

    times, best = {name: [] for name in racing}, 0.0
    for _ in range(rounds):
        for name, one in racing.items():
            cap, pcap = one.cap or d.F, one.pcap or d.P
            part = first_features(d, cap, pcap)
            begin = time.perf_counter()
            one.run(part)
            took = time.perf_counter() - begin
            times[name].append(took * d.F / part.F * ((d.P + 1) / (part.P + 1) if one.pcap else 1.0))
            best = max(best, sgemm())
    return times, best


def table(task: str, d, times: dict, gaps: dict, best: float) -> None:
    """Print seconds, ratios with their goals, agreement and the share of sgemm."""
    from rsa_contestants import SAME_STATISTIC, contestants

    print(f"\n{task}: {d.F:,} features, {d.n} stimuli" + (f" x {d.T} tokens" if task.startswith("profile") else "")
          + (f", {d.P:,} permutations" if d.P else "") + f"; sgemm {best:.0f} GFLOP/s")
    print(f"  {'contestant':<20}{'seconds':>11}{'us/feature':>12}{'peer/ours':>11}{'goal':>7}  agreement")
    for name, taken in times.items():
        one, middle = contestants(task)[name], float(np.median(taken))
        row = f"  {name:<20}{middle:>11.3f}{middle / d.F * 1e6:>12.1f}"
        if name.startswith("cogneuro_sae"):
            share = flops(task, d) / middle / 1e9 / best
            print(f"{row}{'':>18}  {share:.1%} of sgemm")
            continue
        ours = times[SAME_STATISTIC.get((task, name), "cogneuro_sae")]
        ratio, goal = float(np.median(np.array(taken) / ours)), GOALS.get((task, name))
        scaled = f", timed on {one.cap} features" if one.cap and one.cap < d.F else ""
        scaled += f", timed on {one.pcap} permutations" if one.pcap and one.pcap < d.P else ""
        print(f"{row}{ratio:>10.1f}x{f'{goal}x' if goal else '':>7}  {gaps[name]:.1e}{scaled}"
              + ("" if not goal or ratio >= goal else "  BELOW GOAL"))


# memory -----------------------------------------------------------------------------------------------------------
def peak_mb() -> float:
    """Peak resident memory of this process. VmHWM, because ru_maxrss also remembers the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


class RandomLatents:
    """A sparse autoencoder's encoder with random weights, encoded a block of columns at a time."""

    def __init__(self, width: int, latents: int):
        self.weights = np.random.default_rng(0).standard_normal((width, latents), np.float32)

    def transform(self, values, columns=slice(None)):
        """Return (n_tokens, n_columns) activations."""
        return np.maximum(values @ self.weights[:, columns] - 8.0, 0.0)


def memory_child(kind: str, latents: int, stimuli: int, permutations: int) -> None:
    """Run one memory case in this process and print its peak as JSON."""
    from rsa_contestants import own_items, pooled_values, responses_of, sae_like

    import cogneuro_sae as cn

    design = own_items(stimuli)
    if kind == "pooled":
        data = pooled_values(stimuli, latents, seed=0)
        options = {"variant": "pooled", "score": "categorical"}
    else:
        data = responses_of(sae_like(stimuli, 30, 64, firing=1.0, seed=0))
        options = {"score": "discriminative", "through": RandomLatents(64, latents)}
    small = {**options, "through": None} if kind == "profile" else options
    cn.rsa_map(data if kind == "profile" else data[:, :8], design, **small)  # imports and first calls are not counted
    before, begin = peak_mb(), time.perf_counter()
    found = cn.rsa_map(data, design, permutations=permutations, **options)
    print(json.dumps({"peak_mb": peak_mb(), "before_mb": before, "seconds": time.perf_counter() - begin,
                      "tested": int(found.info["family"])}))


def memory_case(kind: str, latents: int, stimuli: int, permutations: int, limit: float) -> dict | None:
    """One memory case in a process of its own; None when it did not finish in time."""
    command = [sys.executable, __file__, "--memory-case", kind, str(latents), str(stimuli), str(permutations)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        print(f"  {kind}, {latents:,} latents: not finished in {limit:.0f} s")
        return None
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"  {kind}, {latents:,} latents x {stimuli} stimuli, {permutations:,} permutations: "
          f"peak {found['peak_mb']:,.0f} MB ({found['before_mb']:,.0f} MB before the map), {found['seconds']:.1f} s")
    return found


def memory(quick: bool, limit: float) -> None:
    """Print peak memory: profile RSA at two numbers of latents, and pooled RSA of a million latents."""
    print("\nmemory (peak resident, each in its own process)")
    sizes, stimuli, permutations = ((8000, 32_000), 30, 50) if quick else ((20_000, 80_000), 60, 200)
    few, many = (memory_case("profile", size, stimuli, permutations, limit) for size in sizes)
    if few and many:
        growth, weights = many["peak_mb"] - few["peak_mb"], 64 * 4 * (sizes[1] - sizes[0]) / 2**20
        per = (growth - weights) * 2**20 / (sizes[1] - sizes[0])
        print(f"  profile RSA: {growth:+.0f} MB for {sizes[1] - sizes[0]:,} more latents, {weights:.0f} MB of it the encoder's "
              f"weights: {per:,.0f} bytes per latent\n  (one latent's token values are {stimuli * 30 * 4:,} bytes, its pairs "
              f"{stimuli * (stimuli - 1) * 4:,}, its row of the map about 100)")
    case = ("pooled", 20_000, 100, 100) if quick else ("pooled", 1_000_000, 200, 1000)
    found = memory_case(*case, limit)
    if found and not quick:
        print(f"  goal < 4,096 MB: {'met' if found['peak_mb'] < 4096 else 'MISSED'}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, one minute")
    parser.add_argument("--json", type=Path, help="write {task: {contestant: seconds}}")
    parser.add_argument("--tasks", nargs="+", choices=(*TASKS, "memory"), default=(*TASKS, "memory"))
    parser.add_argument("--rounds", type=int, help="default 3, quick 2")
    parser.add_argument("--features", type=int, help="features of every task, instead of its own number")
    parser.add_argument("--firing", type=float, help="1: all latents fire in all texts; below: most are silent; default "
                        "0.3 for profile, whose peers compute silent latents too, and 1 for the others")
    parser.add_argument("--peers", type=Path, help="folder with further peers (pip install --target)")
    parser.add_argument("--limit", type=float, default=1800, help="seconds a memory case may take")
    parser.add_argument("--memory-case", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    if given.memory_case:
        memory_child(given.memory_case[0], *map(int, given.memory_case[1:]))
        return
    if given.peers:
        sys.path.append(str(given.peers))
    if "memory" in given.tasks:
        memory(given.quick, given.limit)
    results = {}
    for task in [task for task in TASKS if task in given.tasks]:
        results[task] = one_task(task, given)
        if given.json:
            given.json.write_text(json.dumps(results, indent=1) + "\n")


def one_task(task: str, given) -> dict[str, float]:
    """Check, race and print one task; return median seconds per contestant."""
    import torch

    from rsa_contestants import task_data

    torch.set_num_threads(1)
    features, permutations = (QUICK if given.quick else FULL)[task]
    firing = FIRING.get(task, 1.0) if given.firing is None else given.firing
    d = task_data(task, given.features or features, permutations, firing=firing)
    racing = present(task)
    gaps = agreement(task, racing)
    times, best = race(task, d, racing, given.rounds or (2 if given.quick else 3))
    table(task, d, times, gaps, best)
    return {name: float(np.median(taken)) for name, taken in times.items()}


if __name__ == "__main__":
    main()
