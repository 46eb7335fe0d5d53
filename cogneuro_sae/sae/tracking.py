"""What a run shows while it goes on: a progress bar or lines, and Weights & Biases when asked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tqdm import tqdm


class Progress:
    """A bar on a terminal, else one line per 10 %, on stderr.

    Parameters
    ----------
    label : str
        What is going on.
    total : int
        Units in all.
    unit : str
        Name of the unit.
    done : int
        Units that were done before.
    quiet : bool
        Show nothing.
    """

    def __init__(self, label: str, total: int, *, unit: str = "tokens", done: int = 0, quiet: bool = False):
        self.label, self.total, self.unit, self.quiet = label, total, unit, quiet
        self.decile = 10 * done // max(total, 1)
        self.bar = None
        if not quiet and sys.stderr.isatty():
            self.bar = tqdm(total=total, initial=done, desc=label, unit=f" {unit}", unit_scale=True, file=sys.stderr)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, done: int, note: str = "") -> None:
        """Show how far it is.

        Parameters
        ----------
        done : int
            Units done so far.
        note : str
            Numbers to show beside.
        """
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(done - self.bar.n)
        elif not self.quiet and 10 * done // self.total > self.decile:
            self.decile = 10 * done // self.total
            print(f"{self.label}: {100 * done // self.total:3d} % of {self.total:,} {self.unit} {note}".rstrip(),
                  file=sys.stderr, flush=True)


class Tracker:
    """Numbers of a run to Weights & Biases; `disabled` does nothing.

    Parameters
    ----------
    mode : str
        "disabled", "offline" or "online"; online without WANDB_API_KEY is offline, said in one line.
    name : str
        Name of the run.
    config : dict
        Recorded beside it.
    folder : Path
        Where the offline files stand.
    run_id : str
        The same for a resumed run.
    """

    def __init__(self, mode: str, *, name: str, config: dict, folder: Path, run_id: str):
        self.run = None
        if mode == "disabled":
            return
        if mode == "online" and not os.environ.get("WANDB_API_KEY"):
            print("wandb: no WANDB_API_KEY in the environment, tracking offline", file=sys.stderr)
            mode = "offline"
        import wandb

        Path(folder).mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True)
        try:
            self.run = wandb.init(project="cogneuro_sae", name=name, id=run_id, resume="allow", config=config,
                                  dir=str(folder), mode=mode, settings=quiet)
        except wandb.errors.Error as error:
            print(f"wandb: {error}; going on without tracking", file=sys.stderr)

    def log(self, numbers: dict, *, step: int) -> None:
        """Record some numbers.

        Parameters
        ----------
        numbers : dict
            Scalars by name.
        step : int
            Optimiser step.
        """
        if self.run is not None:
            self.run.log(numbers, step=step)

    def close(self) -> None:
        """End the run."""
        if self.run is not None:
            self.run.finish()
