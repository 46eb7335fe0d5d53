"""Command-line options that several sub-commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change one value of the config; may be repeated.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder for results (default: results/ under the working directory).")]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 or mps.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Do finished work again.")]
DownloadOption = Annotated[bool, typer.Option("--allow-download", help="Allow fetching a model from the Hugging Face hub.")]
PluginOption = Annotated[list[Path] | None, typer.Option("--plugin", help="A Python file that adds scores; its code is run.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print nothing but the path of what was made.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Agree to the cost of judges that would be asked about.")]
