"""What each section of a report says; every writer takes the run and returns parts."""

from __future__ import annotations

import pandas as pd
import yaml

from cogneuro_sae.display import plain
from cogneuro_sae.plots.saes import firing_rates, training_curve
from cogneuro_sae.report.comparing import comparison_section
from cogneuro_sae.report.concepts import is_library, stimuli_table
from cogneuro_sae.report.folder import Run, as_text
from cogneuro_sae.report.geometry import rsa_section
from cogneuro_sae.report.mapping import maps_section
from cogneuro_sae.report.methods_text import methods_text
from cogneuro_sae.report.parts import Code, Heading, Table, Text, Verdict, Verdicts, figure, table, verdicts
from cogneuro_sae.report.summary import summary_section

SAE_GOALS = {
    "fvu": ("fraction of variance unexplained", "<= 0.35", lambda v: v <= 0.35),
    "l0": ("mean active latents per token (L0)", "10 to 100", lambda v: 10 <= v <= 100),
    "dead_fraction": ("share of latents that never fired", "<= 0.20", lambda v: v <= 0.2),
    "loss_recovered": ("loss recovered (mean ablation)", ">= 0.85", lambda v: v >= 0.85),
    "loss_recovered_zero": ("loss recovered (zero ablation)", "", None),
    "ce_increase": ("cross-entropy increase (nats per token)", "", None),
    "shrinkage": ("shrinkage gamma (> 1 = shrunk)", "", None),
    "norm_ratio": ("mean norm of reconstruction / input", "", None),
}
HASH_DIGITS = 16
GROUP_WORDS = "|G|: number of relabellings that are equally likely if the concept makes no difference"


def stimuli_section(run: Run) -> list:
    """Return the check's verdicts and example texts of every concept.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list
        Report parts.
    """
    if is_library(run):
        return [stimuli_table(run)]
    parts: list = []
    for name, view in run.views.items():
        record = view.records.get("stimuli", {})
        parts.append(Heading(plain(f"{record.get('concept', name)} ({record.get('name', name)})")))
        if record.get("definition"):
            parts.append(Text(plain(record["definition"])))
        if record:
            parts.append(_design_table(record))
        lines = view.records.get("checks", {}).get("lines")
        parts += [verdicts(lines)] if lines else [Text("No checks were kept for this set.")]
        if record.get("examples"):
            rows = [[plain(each["id"]), plain(each.get("label") or each["condition"]), plain(each["text"])]
                    for each in record["examples"]]
            parts.append(Table(["id", "condition", "text"], rows, [], "Example texts"))
    return parts


def _design_table(record: dict) -> Table:
    labels = record.get("conditions", {})
    counts = ", ".join(f"{count} {name}" + (f" ({labels[name]})" if labels.get(name) else "")
                       for name, count in record.get("texts", {}).items())
    rows = [("items in use", _item_words(record)), ("texts in use", counts),
            ("contrast", f"{record.get('contrast')}: {record.get('expression')}"),
            ("exchange scheme", f"{record['scheme']} ({GROUP_WORDS})" if record.get("scheme") else None),
            ("licence", record.get("licence")),
            ("sha256", str(record.get("sha256", ""))[:HASH_DIGITS])]
    rows += [("note", note) for note in record.get("notes", [])]
    return Table(["", "design"], [[key, plain(as_text(value))] for key, value in rows if as_text(value)], [])


def _item_words(record: dict) -> str:
    used, kept = record.get("n_contrast_items"), record.get("n_confirm")
    return (f"{record.get('n_items')}" + (f", of which {used} enter the contrast" if used else "")
            + (f"; {kept} texts are kept for confirmation and were not read" if kept else ""))


def responses_section(run: Run) -> list:
    """Return what was recorded and how many tokens every condition brought.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list
        Report parts.
    """
    parts: list = []
    for name, view in run.views.items():
        record = view.records.get("responses")
        if not record:
            continue
        shown = {"model": record.get("model"), "model sha256": str(record.get("sha256") or "")[:HASH_DIGITS],
                 "site": record.get("site"), "representation": record.get("representation"),
                 "window": record.get("window"), "pooling": record.get("pooling"),
                 "transform": f"{record.get('transform')}, s = {record.get('scale', 1):.4g}",
                 "stimuli": record.get("n_stimuli"), "content tokens": record.get("n_tokens"),
                 "specials left out": record.get("n_specials"), "features": record.get("n_features"),
                 "features silent on every text": record.get("n_silent")}
        rows = [[key, plain(as_text(value))] for key, value in shown.items() if as_text(value)]
        parts += [Heading(plain(name)), Table(["", "recorded"], rows, [])]
        if record.get("by_condition"):
            parts.append(table(pd.DataFrame(record["by_condition"]), caption="Content tokens per text in the window",
                               digits=1))
        unfilled = record.get("n_unfilled", 0)
        parts.append(Verdicts([Verdict("note" if unfilled else "ok", f"{unfilled} of {record.get('n_stimuli')} texts "
                                                                     f"are "
                                       f"shorter than the window {record.get('window')}; they give the tokens they "
                                       f"have")]))
    return parts


def sae_section(run: Run) -> list:
    """Return metrics with goals, firing rates and training curve of each SAE.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list
        Report parts.
    """
    if not run.saes:
        return [Text("This run used raw units only; no sparse autoencoder was involved.")]
    parts: list = []
    for number, sae in enumerate(run.saes):
        metrics = sae.get("metrics") or {}
        parts.append(Heading(plain(f"{sae.get('name')}: {sae.get('n_latents'):,} latents on {sae.get('d_in')} units of "
                                   f"{sae.get('site')}, sha256 {str(sae.get('sha256') or '')[:HASH_DIGITS]}")))
        parts += [_sae_metrics(metrics)] if metrics else [Text("This SAE brings no metrics; its quality is unknown.")]
        rate = sae.get("firing_rate")
        if rate:
            parts.append(figure(
                firing_rates(rate), "Firing rates of all latents",
                save_as=run.path / "figures" / f"sae_{number}_firing.png",
                shown="Histogram of the share of corpus tokens on which each latent is active, log scale.",
                good="one broad hill between 1e-4 and 1e-1, few latents silent.",
                otherwise="many silent latents: lower l1 or train longer; a hill above 0.1: dense latents, raise l1."))
        history = (metrics.get("training") or {}).get("history")
        if history and len(history) > 1:
            parts.append(figure(
                training_curve(pd.DataFrame(history)), "Training curve",
                save_as=run.path / "figures" / f"sae_{number}_training.png",
                shown="Held-out fraction of variance unexplained (left) and mean L0 (right) over training tokens.",
                good="both settle before the end.", otherwise="FVU still falling at the end: give it more tokens."))
    return parts


def _sae_metrics(metrics: dict) -> Table:
    rows = []
    for key, (name, goal, met) in SAE_GOALS.items():
        value = metrics.get(key)
        if value is None:
            continue
        rows.append([name, f"{value:.3g}", goal, ("" if met is None else "yes" if met(value) else "MISSED")])
    tokens = metrics.get("heldout_tokens")
    return Table(["metric", "value", "goal", "met"], rows, ["value"],
                 f"Held-out metrics{f' on {tokens:,} tokens' if tokens else ''}")


def methods_section(run: Run) -> list:
    """Return the Methods paragraphs with numbered references.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list
        Report parts.
    """
    paragraphs, references = methods_text(run)
    parts = [Text(plain(text)) for text in paragraphs]
    return parts + ([Heading("References"), Code(references)] if references else [])


def provenance_section(run: Run) -> list:
    """Return hashes, versions, seeds, the exchange scheme and the resolved configuration.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list
        Report parts.
    """
    record, parts = run.provenance, []
    if record:
        rows = [("seed", record.get("seed")), ("started (UTC)", record.get("started_utc")),
                ("seconds", record.get("seconds")),
                ("command", " ".join(map(str, record.get("command", [])))), ("platform", record.get("platform")),
                ("CPUs", record.get("cpus")), ("planned contrasts sha256", record.get("planned_sha256"))]
        rows += [(f"hash of {key}", value) for key, value in _flat(record.get("hashes") or {})]
        parts.append(Table(["", "run"], [[key, plain(as_text(value))] for key, value in rows if as_text(value)], []))
        versions = record.get("versions") or {}
        parts.append(Table(["package", "version"], [[plain(key), plain(value)] for key, value in versions.items()], []))
    parts += [Text(plain(f"Exchange scheme, {name}: {scheme}")) for name, scheme in _schemes(run)]
    if run.config:
        parts.append(Code(plain_lines(yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)),
                          "resolved configuration"))
    return parts


def plain_lines(text: str) -> str:
    """Return text of several lines with control characters made visible in each.

    Parameters
    ----------
    text : str
        Any text.
    """
    return "\n".join(plain(line) for line in text.split("\n"))


def _flat(record: dict, head: str = "") -> list[tuple[str, object]]:
    flat = []
    for key, value in record.items():
        flat += _flat(value, f"{head}{key} ") if isinstance(value, dict) else [(f"{head}{key}", value)]
    return flat


def _schemes(run: Run) -> list[tuple[str, str]]:
    found = [(name, view.records["stimuli"]["scheme"]) for name, view in run.views.items()
             if view.records.get("stimuli", {}).get("scheme")]
    if not found:
        found = [(name, fmap.info["scheme"]) for name, maps in run.maps.items() for fmap in maps.values()
                 if fmap.info.get("scheme")]
    return list(dict.fromkeys(found))


SECTIONS = {
    "summary": ("Summary", summary_section),
    "stimuli": ("Stimuli", stimuli_section),
    "responses": ("Responses", responses_section),
    "sae": ("SAE", sae_section),
    "maps": ("Contrast maps", maps_section),
    "rsa": ("RSA", rsa_section),
    "comparison": ("Method comparison", comparison_section),
    "methods": ("Methods", methods_section),
    "provenance": ("Provenance", provenance_section),
}
