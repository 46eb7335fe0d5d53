"""One self-contained page per results folder, in the order of fMRIPrep's reports; cards and a gallery of features."""

from cogneuro_sae.report.build import build_report, report_problems
from cogneuro_sae.report.cards import FeatureCard, feature_card
from cogneuro_sae.report.gallery import build_gallery

__all__ = ["FeatureCard", "build_gallery", "build_report", "feature_card", "report_problems"]
