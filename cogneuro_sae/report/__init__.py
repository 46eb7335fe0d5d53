"""One self-contained page per results folder, in the order of fMRIPrep's reports."""

from cogneuro_sae.report.build import build_report, report_problems

__all__ = ["build_report", "report_problems"]
