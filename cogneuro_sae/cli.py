"""The command line: load one config, call one function, print the path of what was made.

Everything but that path goes to stderr. Exit codes: 0 done, 1 internal error, 2 bad input, 3 environment, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cogneuro_sae._version import __version__
from cogneuro_sae.commands.check import check
from cogneuro_sae.commands.importing import import_command
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
from cogneuro_sae.commands.judge import judge
from cogneuro_sae.commands.search import search
from cogneuro_sae.display import plain
from cogneuro_sae.errors import CogneuroError, InputError
from cogneuro_sae.terminal import Steps, done, say

app = typer.Typer(
    name="cogneuro-sae",
    help="Which features of a language model carry a concept, how do we know, and which way of choosing them is best?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

STOPPED = "interrupted; run the same command again to resume"

app.command()(check)
app.command(name="import")(import_command)
app.command()(search)
app.command()(judge)


@app.command(name="map")
def map_command(
    target: Annotated[str, typer.Argument(metavar="SET_OR_CONFIG", help="A stimulus set or a map config: name or file.")],
    set_: SetOption = None,
    out: OutOption = None,
    device: DeviceOption = "cpu",
    dry_run: DryRunOption = False,
    overwrite: OverwriteOption = False,
    allow_download: DownloadOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Look at one concept: contrast maps, RSA maps, RDMs, strongest features per text, one report."""
    from cogneuro_sae.concept_map import load_map_config

    refuse_both(overwrite, dry_run)
    steps = Steps(quiet)
    config = load_map_config(target, overrides=tuple(set_ or ()))
    from cogneuro_sae.concept_map import map_concept  # heavy, so after the config has been found sound

    folder = map_concept(config, out=out, device=device, dry_run=dry_run, overwrite=overwrite,
                         allow_download=allow_download, progress=steps)
    finish(folder, steps, dry_run=dry_run)


@app.command()
def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="An SAE config: name or file.")],
    set_: SetOption = None,
    out: OutOption = None,
    device: DeviceOption = "cpu",
    dry_run: DryRunOption = False,
    overwrite: OverwriteOption = False,
    allow_download: DownloadOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a sparse autoencoder on a corpus; the same command resumes."""
    from cogneuro_sae.sae import load_train_config, train_from_config

    refuse_both(overwrite, dry_run)
    loaded = load_train_config(config, tuple(set_ or ()))
    done(train_from_config(loaded, out=out, device=device, dry_run=dry_run, overwrite=overwrite,
                           allow_download=allow_download, progress=Steps(quiet), quiet=quiet))


@app.command()
def compare(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A comparison config: name or file.")],
    set_: SetOption = None,
    out: OutOption = None,
    device: DeviceOption = "cpu",
    dry_run: DryRunOption = False,
    overwrite: OverwriteOption = False,
    allow_download: DownloadOption = False,
    plugin: PluginOption = None,
    yes: YesOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Let ways of choosing features compete on held-out items; the same command resumes."""
    from cogneuro_sae.compare import load_comparison_config

    refuse_both(overwrite, dry_run)
    for path in plugin or ():
        run_plugin(path)
    steps = Steps(quiet)
    loaded = load_comparison_config(config, tuple(set_ or ()))
    from cogneuro_sae.compare import run_comparison  # heavy, so after the config has been found sound

    comparison = run_comparison(loaded, out=out, device=device, dry_run=dry_run, overwrite=overwrite, yes=yes,
                                allow_download=allow_download, progress=steps)
    if not quiet and not dry_run:
        say(comparison.summary())
    finish(comparison.folder, steps, dry_run=dry_run)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A results folder of map, compare, judge or search.")],
    debug: DebugOption = False,
) -> None:
    """Make a results folder's figures and report again from its tables."""
    from cogneuro_sae.report import build_report, report_problems

    page = build_report(folder)
    for problem in report_problems(folder):
        say(f"warning: {plain(problem)}")
    done(page)


@app.command()
def doctor(debug: DebugOption = False) -> None:
    """Say whether this installation can do its work, and what is missing."""
    from cogneuro_sae.doctor import examine

    findings = examine()
    for finding in findings:
        say(f"{finding.level:<8} {plain(finding.text)}")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(3)


def finish(folder: Path, steps: Steps, *, dry_run: bool) -> None:
    """Build the report of a finished run unless it is there, and print its path.

    Parameters
    ----------
    folder : Path
        The results folder.
    steps : Steps
        Where the step is announced.
    dry_run : bool
        Only print the folder.
    """
    if dry_run:
        done(folder)
        return
    from cogneuro_sae.report import build_report

    page = folder / "report.html"
    if not page.is_file() or page.stat().st_mtime < (folder / "provenance.json").stat().st_mtime:
        page = build_report(folder)
        steps("figures and report")
    say(f"\nReport: {plain(page)}")
    done(page)


def refuse_both(overwrite: bool, dry_run: bool) -> None:
    """Raise an InputError when --overwrite and --dry-run are given together."""
    if overwrite and dry_run:
        raise InputError("--overwrite and --dry-run contradict each other", do="give one of them")


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    """Which features of a language model carry a concept, how do we know, and which way of choosing them is best?"""
    if version:
        print(__version__)
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Command-line words; `sys.argv[1:]` by default.
    """
    _prepare_matplotlib()
    words = sys.argv[1:] if arguments is None else arguments
    sys.exit(_run(words, debug="--debug" in words))


def _prepare_matplotlib() -> None:
    """Draw to files only, and keep the font cache out of a home folder that has none yet."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    own = [Path(os.path.expanduser("~"), place, "matplotlib") for place in (".config", ".cache")]
    if "MPLCONFIGDIR" not in os.environ and not any(path.is_dir() for path in own):
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
        os.environ["MPLCONFIGDIR"] = str(Path(tempfile.gettempdir(), f"cogneuro-sae-{user}", "matplotlib"))


def _run(words: list[str], *, debug: bool) -> int:
    try:
        code = app(args=words, prog_name="cogneuro-sae", standalone_mode=False) or 0
        if code == 130:  # typer swallows Ctrl-C and returns this
            say(STOPPED)
        return code
    except typer.Exit as leaving:
        return leaving.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say(STOPPED)
        return 130
    except CogneuroError as error:
        _trace(debug)
        for number, line in enumerate(str(error).splitlines()):
            say(f"{'error: ' if number == 0 else '       '}{plain(line)}")
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence turns anything else into exit code 1 or 2
        # typer carries its own copy of click, so its usage errors are known by what they offer, not by class.
        if hasattr(error, "format_message"):
            return _usage_error(error)
        _trace(debug)
        say(f"internal error: {plain(type(error).__name__)}: {plain(error)}; please report it with the output of --debug")
        return 1


def _usage_error(error) -> int:
    text = error.format_message()
    say(text if text.startswith("Usage:") else f"error: {plain(text.rstrip('.'))}; see cogneuro-sae --help")
    return 2


def _trace(debug: bool) -> None:
    """Write the traceback to the run's log, when one is open, and to the screen with --debug."""
    with contextlib.suppress(OSError):
        logger = logging.getLogger("cogneuro_sae")
        if logger.handlers:
            logger.exception("stopped by an error")
    if debug:
        import traceback

        say(traceback.format_exc())
