"""A feature card for the terminal: lines that fit, controls visible, the focus token between >> and <<."""

from __future__ import annotations

import textwrap
import unicodedata

from cogneuro_sae.display import plain
from cogneuro_sae.report.card_parts import GROUPS, MISSING, chosen, number

BLOCKS = " \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


def width_of(text: str) -> int:
    """Return how many columns a terminal needs at most: two for wide characters.

    Parameters
    ----------
    text : str
        Text without controls.
    """
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def cut(text: str, columns: int, *, end: bool = False) -> str:
    """Return text cut to columns, with an ellipsis where something was left out.

    Parameters
    ----------
    text : str
        Text without controls.
    columns : int
        Room.
    end : bool
        Keep the end and not the beginning.
    """
    if width_of(text) <= columns:
        return text
    kept, room = [], columns - 3
    for character in reversed(text) if end else text:
        room -= width_of(character)
        if room < 0:
            break
        kept.append(character)
    return "..." + "".join(reversed(kept)) if end else "".join(kept) + "..."


def window_line(window: dict, columns: int) -> str:
    """Return a window around its focus token, which stands between >> and <<.

    Parameters
    ----------
    window : dict
        A record of `windows.jsonl`.
    columns : int
        Room.
    """
    focus, tokens = window["focus"], window["tokens"]
    before, token, after = (plain("".join(part)) for part in (tokens[:focus], [tokens[focus]], tokens[focus + 1:]))
    space = token[: len(token) - len(token.lstrip(" "))]
    # in a silent window no token is the strongest one
    token = cut(f"{space}>>{token.lstrip(' ')}<<" if window["activations"][focus] else token, columns // 2)
    left = max((columns - width_of(token)) // 2, columns - width_of(token) - width_of(after))
    before = cut(before, left, end=True)
    return before + token + cut(after, columns - width_of(token) - width_of(before))


def card_text(card, *, columns: int, most: int) -> str:
    """Return a card as plain text.

    Parameters
    ----------
    card : FeatureCard
        The card.
    columns : int
        Longest line.
    most : int
        Windows of each kind (of strata: of each bin).

    Returns
    -------
    str
    """
    shown = card.shown({kind: most for kind, _ in GROUPS})
    lines = [f"Judge: {shown['validity']}"] if shown["validity"] else []
    lines += [f"{shown['name']}  concept: {shown['concept'] or MISSING}  arms: {', '.join(shown['arms']) or MISSING}"]
    facts = [f"{title} {value}" for title, value in shown["statistics"]]
    lines += [", ".join(facts[:3]), ", ".join(facts[3:])]
    if shown["link"]:
        lines.append(shown["link"])
    lines += _histogram(shown["histogram"])
    if shown["judged"]:
        lines += [", ".join(f"{name} {value}" for name, value in zip(shown["judged"]["columns"], row, strict=True)
                            if value != MISSING)
                  for row in shown["judged"]["rows"]]
    for title, rows, _ in shown["lists"]:
        lines.append(f"{title}: " + ", ".join(f"{word} ({value})" for word, value, *_ in rows))
    if shown["related"]:
        lines.append("Related features: " + ", ".join(f"{name} ({cosine})" for name, cosine in shown["related"]))
    wrapped = [piece for line in lines for piece in _wrapped(line, columns)]
    return "\n".join([*wrapped, *_stimuli(shown["stimuli"], columns), *_windows(card, shown, columns, most)]) + "\n"


def _wrapped(line: str, columns: int) -> list[str]:
    # textwrap counts characters, so wide ones get the room of two
    extra = width_of(line) - len(line)
    return [cut(piece, columns) for piece in textwrap.wrap(line, columns if not extra else columns // 2,
                                                           subsequent_indent="    ")]


def _histogram(drawn) -> list[str]:
    if drawn is None:
        return []
    tallest = max(bar.height for bar in drawn.bars)
    bars = "".join(BLOCKS[max(1, round(8 * bar.height / tallest)) if bar.height else 0] for bar in drawn.bars)
    scale = ", log counts" * (drawn.scale == "log") + ", log activations" * (drawn.axis == "log")
    return [f"Activations {drawn.low} |{bars}| {drawn.high} ({drawn.total} tokens{scale})"]


def _stimuli(stimuli: list, columns: int) -> list[str]:
    if not stimuli:
        return []
    return ["", "Strongest texts of the concept",
            *(cut(f"{each.value:>9}  {each.id} ({each.condition}, peak {each.token})  {each.text}".rstrip(), columns)
              for each in stimuli)]


def _windows(card, shown: dict, columns: int, most: int) -> list[str]:
    lines = [] if card.windows else ["", "No windows: the feature was never active in this corpus."]
    for group in shown["groups"]:
        lines += ["", group.title]
        for title, members in chosen(card.windows, group.kind, most).items():
            lines += [f"  {title}"] * bool(title)
            lines += [f"{number(window['value']):>9}  {window_line(window, columns - 11)}" for window in members]
    return lines
