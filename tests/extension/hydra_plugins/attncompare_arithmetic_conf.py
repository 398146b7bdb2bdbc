"""Shows Hydra the configs of the package; a folder of the name ``hydra_plugins``, without ``__init__.py``, is where it looks."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class ArithmeticConf(SearchPathPlugin):
    """Adds ``attncompare_arithmetic/conf`` behind the folder of attncompare's own configs."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append(provider="attncompare-arithmetic", path="pkg://attncompare_arithmetic.conf")
