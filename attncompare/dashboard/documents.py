"""Pages that are built from records, reports and maps: built when asked for, kept until a record changes."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from attncompare.dashboard.look import Look
from attncompare.dashboard.watch import Group
from attncompare.errors import Refused
from attncompare.maps.page import MapSeries, maps_page

_MOST = 12  # pages that are kept


@dataclass
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    version: str | None = None
    page: str = ""


class NotAlike(Refused):
    """Runs that a page cannot compare as they are; in a terminal ``command`` does."""

    def __init__(self, message: str, command: str) -> None:
        super().__init__(message)
        self.command = command


class Documents:
    """Builds each page once for each state of its records, however many ask for it at once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def report(self, group: Group) -> str:
        """Return the page of a comparison of the finished runs of ``group``, as ``attncompare compare`` writes it.

        Raises:
            Refused: if there is nothing to compare, or it cannot be compared.
            NotAlike: if runs differ in more than attention and seed.
        """
        return self._page(("report", group.id), group.version, lambda: _report(group))

    def maps(self, look: Look) -> str:
        """Return the page of the attention maps of a run, drawn anew: the one in a record could hold anything.

        Raises:
            Refused: if there are none, or they are damaged.
        """
        return self._page(("maps", look.id), look.version, lambda: _maps(look))

    def _page(self, key: tuple[str, str], version: str, build: Callable[[], str]) -> str:
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        with kept.lock:
            if kept.version != version:
                kept.page, kept.version = build(), version
            return kept.page


def _report(group: Group) -> str:
    from attncompare.compare.gathering import gather
    from attncompare.compare.groups import compare_groups
    from attncompare.compare.report import report_page
    from attncompare.dashboard.terminal import how_to_compare

    if not group.compared:
        raise Refused("no run has finished yet")
    gathered = gather(group.compared)
    try:
        comparisons = compare_groups(gathered.runs, left_out=gathered.left_out)
    except Refused as error:  # without options, nothing else about finished runs is refused
        raise NotAlike(str(error), how_to_compare(group.compared, gathered)) from None
    return report_page(comparisons)


def _maps(look: Look) -> str:
    if look.run is None:
        raise Refused(f"{look.name}: {look.message}")
    maps = maps_of(look.run)
    if not maps:
        raise Refused(f"{look.name}: no attention maps yet; the first ones come with the first validation")
    return maps_page(look.name, [MapSeries(look.variant, maps)])
