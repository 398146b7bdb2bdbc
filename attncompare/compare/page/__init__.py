"""The page of a comparison: one self-contained HTML file.

report.py   the file, from page.html.j2, page.css and page.js, and its first screen
charts.py   training curves, quality against cost
record.py   attention maps, sample outputs, configs, and how to repeat each run
"""

from attncompare.compare.page.charts import Drawn, curve_figures, styles_of
from attncompare.compare.page.report import page_css, page_js, report_page, write_report

__all__ = ["Drawn", "curve_figures", "page_css", "page_js", "report_page", "styles_of", "write_report"]
