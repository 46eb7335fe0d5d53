"""Every number that a verdict of check() turns on, in one place (docs/stimuli.md)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


def _limit(value: float, meaning: str):
    return field(default=value, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of check(); each field's meaning is in its metadata, and `describe()` lists all.

    Parameters
    ----------
    telling, over_tuned, turned, length_low, length_high : float
        AUROCs.
    nuisance : float
        Absolute standardised difference.
    near_duplicate, same_frame, shared_frames, alike_paraphrases, stray, most_strays : float
        Shares of words or of items, or differences of cosines.
    frame_words, few_items, unbalanced, most_compared : int
        Counts, and a ratio of counts.
    """

    telling: float = _limit(0.65, "AUROC of a surface baseline from which on surface form tells the two sides apart")
    over_tuned: float = _limit(0.35, "bag-of-words AUROC, target against near, below which words were tuned against "
                                     "the classifier")
    turned: float = _limit(0.40, "AUROC of a surface baseline on matched items below which its line says that it "
                                 "counts as .5")
    length_low: float = _limit(0.40, "lowest AUROC of the number of words, all texts of the two sides")
    length_high: float = _limit(0.60, "highest AUROC of the number of words, all texts of the two sides")
    nuisance: float = _limit(0.5, "absolute d of a nuisance measure above which it is flagged")
    near_duplicate: float = _limit(0.8, "Jaccard overlap of word sets from which on two texts are near-duplicates")
    same_frame: float = _limit(0.5, "share of the longer text's words that stand in the other one in the same order, "
                                    "from which on two items share a sentence frame")
    shared_frames: float = _limit(0.1, "share of items with a word sequence of another item, above which it is told")
    frame_words: int = _limit(5, "words in such a sequence")
    stray: float = _limit(0.15, "how much more a text resembles another item than its own (TF-IDF cosine) when it "
                                "belongs there")
    most_strays: float = _limit(0.1, "share of such texts above which words do not tell the set's items apart, and "
                                     "none is named")
    alike_paraphrases: float = _limit(0.8, "mean Jaccard overlap of a cell's paraphrases above which they say the same "
                                           "words")
    few_items: int = _limit(10, "items on a side below which five folds are too many")
    unbalanced: int = _limit(4, "how many times as many items one condition may have as another")
    most_compared: int = _limit(20_000, "texts above which no pairs of texts are compared")

    def describe(self) -> list[tuple[str, float, str]]:
        """Return name, value and meaning of every threshold."""
        return [(each.name, getattr(self, each.name), each.metadata["meaning"]) for each in fields(self)]


THRESHOLDS = Thresholds()
