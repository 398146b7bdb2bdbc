"""The page of a comparison: one self-contained HTML file.

report.py   the file, from page.html.j2, page.css and page.js
answer.py   which variant is better, whether that is real, what it costs
charts.py   training curves, quality against cost, quality by length
maps.py     the attention maps that fit
samples.py  test items with the answers of all variants
record.py   configs, environments, and how to repeat each run
"""

from attncompare.compare.page.charts import Drawn, Style, curve_figures
from attncompare.compare.page.report import page_css, page_js, report_page, write_report

__all__ = ["Drawn", "Style", "curve_figures", "page_css", "page_js", "report_page", "write_report"]
