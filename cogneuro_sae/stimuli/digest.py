"""What a set is in short: the hash of its content, and its table for a notebook."""

from __future__ import annotations

import html

from cogneuro_sae.display import plain
from cogneuro_sae.stimuli.schema import COLUMNS


def summary_html(stimuli) -> str:
    """Return a set as an HTML table: one row per condition with its counts and first text.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    def safe(value) -> str:
        return html.escape(plain(value))

    counts = stimuli.table.groupby("condition", sort=False).agg(items=("item", "nunique"), texts=("id", "size"),
                                                                 example=("text", "first"))
    rows = "".join(f"<tr><td>{safe(name)}</td><td>{safe(stimuli.labels.get(name, name))}</td><td>{row['items']}</td>"
                   f"<td>{row.texts}</td><td>{safe(row.example)}</td></tr>" for name, row in counts.iterrows())
    contrasts = "; ".join(f"<b>{safe(name)}</b>: {safe(text)}" for name, text in stimuli.contrasts.items())
    notes = "".join(f"<li>{safe(note)}</li>" for note in stimuli.notes)
    return (f"<div><b>{safe(stimuli.name)}</b>: {safe(stimuli.concept)}. {safe(stimuli.definition)}<table><thead><tr>"
            "<th>condition</th><th>label</th><th>items</th><th>texts</th><th>first text</th></tr></thead>"
            f"<tbody>{rows}</tbody></table><div>Contrasts: {contrasts}</div><ul>{notes}</ul></div>")


def content_hash(stimuli) -> str:
    """Return the sha256 of the table (by items, conditions, paraphrases) and of all that a design derives from.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    from cogneuro_sae.provenance import hash_of

    items = {item: number for number, item in enumerate(dict.fromkeys(stimuli.table["item"]))}
    order = {name: number for number, name in enumerate(stimuli.conditions)}
    extra = sorted(set(stimuli.table.columns) - set(COLUMNS))
    rows = [[None if isinstance(value, float) and value != value else value for value in row]
            for row in stimuli.table[[*COLUMNS, *extra]].astype(object).itertuples(index=False)]
    column = {name: number for number, name in enumerate(COLUMNS)}
    rows.sort(key=lambda row: (items[row[column["item"]]], order[row[column["condition"]]], row[column["paraphrase"]]))
    rdms = {name: [list(rdm.index), rdm.to_numpy().tolist()] for name, rdm in stimuli.model_rdms.items()}
    layout = stimuli.layout
    return hash_of({"columns": [*COLUMNS, *extra], "rows": rows, "contrasts": list(stimuli.contrasts.items()),
                    "conditions": layout.conditions, "factors": list(layout.factors.items()), "between": layout.between,
                    "strata": stimuli.strata, "graded": stimuli.graded, "independent": stimuli.independent,
                    "model_rdms": rdms})
