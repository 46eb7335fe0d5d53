"""`cogneuro-sae search`: the windows of a corpus that drive features or ensembles."""

from __future__ import annotations

from typing import Annotated

import typer

from cogneuro_sae.commands.options import (
    DebugOption,
    DeviceOption,
    DownloadOption,
    DryRunOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    SetOption,
)
from cogneuro_sae.errors import InputError
from cogneuro_sae.terminal import Steps, done


def search(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A search config: name or file.")],
    set_: SetOption = None,
    out: OutOption = None,
    device: DeviceOption = "cpu",
    dry_run: DryRunOption = False,
    overwrite: OverwriteOption = False,
    allow_download: DownloadOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Find the windows of a corpus that drive features or ensembles; the same command resumes."""
    from cogneuro_sae.search import load_search_config

    if overwrite and dry_run:
        raise InputError("--overwrite and --dry-run contradict each other", do="give one of them")
    steps = Steps(quiet)
    loaded = load_search_config(config, tuple(set_ or ()))
    from cogneuro_sae.search import search_corpus  # heavy, so after the config has been found sound

    done(search_corpus(loaded, out=out, device=device, dry_run=dry_run, overwrite=overwrite,
                       allow_download=allow_download, progress=steps))
