"""Draw the README's picture: the attention maps of several trained runs side by side, on one sentence.

    python docs/pictures.py OUT.png RUN RUN ... [--site cross] [--probe 0]

Give it one run of each variant, in the order in which they shall stand.
"""

import argparse
from pathlib import Path

from attncompare.maps import load_maps, side_by_side
from attncompare.record import Run


def main() -> None:
    """Draw the picture and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of finished runs")
    parser.add_argument("--site", help="attention site (default: cross-attention where there is one)")
    parser.add_argument("--probe", type=int, default=0, help="number of the sentence, from 0")
    given = parser.parse_args()
    series, title = [], ""
    for path in given.runs:
        run = Run.open(path)
        step, probes = load_maps(run.map_files()[-1])
        sites = {site.site: site for site in probes[given.probe].sites}
        site = sites[given.site or ("cross" if "cross" in sites else next(iter(sites)))]
        title = f"{site.title} after {step} steps: rows are queries, columns keys"
        title += "" if site.sure_TS is None else "; outlined is the gold alignment"
        series.append((run.config.attention.name, site))
    picture = side_by_side(series, title=title)
    given.out.write_bytes(picture)
    print(f"{given.out}: {len(picture) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
