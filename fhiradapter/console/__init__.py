"""The console: what people see on a terminal."""

from fhiradapter.console.accounts import print_accounts, print_code_counts, print_issues, print_unmapped
from fhiradapter.console.progress import ProgressView, SyncView
from fhiradapter.console.screens import data, talk
from fhiradapter.console.storing import (
    print_explanation,
    print_exports,
    print_quarantine,
    print_rehearsal,
    print_runs,
    print_servers,
    print_status,
    print_sync,
)

__all__ = [
    "ProgressView",
    "SyncView",
    "data",
    "print_accounts",
    "print_code_counts",
    "print_explanation",
    "print_exports",
    "print_issues",
    "print_quarantine",
    "print_rehearsal",
    "print_runs",
    "print_servers",
    "print_status",
    "print_sync",
    "print_unmapped",
    "talk",
]
