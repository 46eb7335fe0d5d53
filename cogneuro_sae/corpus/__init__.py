"""Text corpora: local .txt, .txt.gz, .jsonl and .parquet files and Hugging Face datasets, read into documents.

A document is a block of text between blank lines (one record in the other forms). Whether it is held out is decided by a
hash of its text alone, so the split never depends on order, on file names or on what else is in the corpus.
"""

from cogneuro_sae.corpus.documents import PARTS, Corpus, cut_text
from cogneuro_sae.corpus.reading import READERS, SHIPPED, load_corpus

__all__ = ["PARTS", "READERS", "SHIPPED", "Corpus", "cut_text", "load_corpus"]
