"""`cogneuro-sae judge`: raters score what drives features, blind and with controls, and gates say what that is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cogneuro_sae.commands.options import (
    DebugOption,
    DeviceOption,
    DownloadOption,
    DryRunOption,
    OutOption,
    OverwriteOption,
    PluginOption,
    QuietOption,
    SetOption,
    YesOption,
)
from cogneuro_sae.commands.plugins import run_plugin
from cogneuro_sae.display import plain
from cogneuro_sae.errors import CogneuroError, InputError
from cogneuro_sae.terminal import Steps, done, say


def judge(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A judge config: name or file.")],
    set_: SetOption = None,
    out: OutOption = None,
    device: DeviceOption = "cpu",
    dry_run: DryRunOption = False,
    overwrite: OverwriteOption = False,
    yes: YesOption = False,
    allow_download: DownloadOption = False,
    plugin: PluginOption = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Have raters score what drives features; --dry-run says what it would cost, the same command resumes."""
    from cogneuro_sae.judge.config import load_judge_config

    if overwrite and dry_run:
        raise InputError("--overwrite and --dry-run contradict each other", do="give one of them")
    for path in plugin or ():
        run_plugin(path)
    steps = Steps(quiet)
    loaded = load_judge_config(config, tuple(set_ or ()))
    from cogneuro_sae.judge.run import judge_features  # heavy, so after the config has been found sound

    folder = judge_features(loaded, out=out, device=device, dry_run=dry_run, overwrite=overwrite, yes=yes,
                            allow_download=allow_download, progress=steps)
    if dry_run:
        done(folder)
        return
    page = _pages(folder, steps)
    say(f"\nReport: {plain(page)}")
    done(page)


def _pages(folder: Path, steps: Steps) -> Path:
    from cogneuro_sae import files
    from cogneuro_sae.report import build_gallery, build_report

    page = build_report(folder)
    steps("figures and report")
    searched = files.read_json(folder / "provenance.json").get("search_folder")
    if searched and (Path(searched) / "features.jsonl").is_file():
        try:
            steps(f"cards: {build_gallery(searched, out=folder / 'gallery.html', judge=folder)}")
        except CogneuroError as error:  # the search folder's fault; what was asked and paid is whole
            steps(f"no cards: {error}")
    return page
