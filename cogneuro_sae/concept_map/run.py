"""map_concept: from a config to a results folder with maps, descriptions and provenance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cogneuro_sae.concept_map.interactive import require_plotly
from cogneuro_sae.concept_map.map_config import load_map_config
from cogneuro_sae.concept_map.place import check_place
from cogneuro_sae.interrupts import Interrupted


def map_concept(config_or_set, *, out: str | Path | None = None, device: str = "cpu", dry_run: bool = False,
                overwrite: bool = False, allow_download: bool = False,
                progress: Callable[[str], None] | None = None) -> Path:
    """Look at one concept: contrast maps, RSA maps, RDMs, strongest features per text, in one results folder.

    Parameters
    ----------
    config_or_set : MapConfig, StimulusSet, str or Path
        What to look at; a name or path is read by `load_map_config`.
    out : path, optional
        Folder for results; `results` under the working directory when left out.
    device : str
        cpu, cuda, cuda:1 or mps.
    dry_run : bool
        Check everything, say what would be done, write nothing.
    overwrite : bool
        Do finished work again.
    allow_download : bool
        Whether a model may be fetched from the hub.
    progress : callable, optional
        Called with one line per finished step.

    Returns
    -------
    Path
        `results/<name>/<hash10>/`; `build_report` makes its figures and report.

    Raises
    ------
    InputError
        Config, set, model, SAE or responses are not as they should be; a set too small to be tested.
    SetupError
        No such device, a folder in use or not writable; interactive figures asked for without plotly.
    Interrupted
        Ctrl-C; the folder is not marked as finished.
    """
    loaded = load_map_config(config_or_set) if isinstance(config_or_set, (str, Path)) else config_or_set
    if getattr(loaded, "interactive", False):
        require_plotly(load=False)
    root = Path(out or "results") / loaded.name
    try:
        check_place(root, probe=not dry_run)
        from cogneuro_sae.concept_map.making import make  # heavy, so after the place has been found sound

        return make(loaded, root, device=device, dry_run=dry_run, overwrite=overwrite, allow_download=allow_download,
                    say=progress or (lambda line: None))
    except KeyboardInterrupt:
        raise Interrupted("map interrupted before it was finished", where=str(root),
                          do="run the same command again, it starts anew") from None
