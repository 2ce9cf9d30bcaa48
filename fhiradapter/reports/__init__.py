"""Reports that people read, written from results and from nothing else."""

from fhiradapter.reports.registry import REPORTS, write_report

__all__ = ["REPORTS", "write_report"]
