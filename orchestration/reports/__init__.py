"""Reports: what a mart says of a range of time, as a file in the lake, made when its definition says."""

from __future__ import annotations

from orchestration.reports.definition import Report, ReportError, load_reports
from orchestration.reports.make import Made, make_report

__all__ = ["Made", "Report", "ReportError", "load_reports", "make_report"]
