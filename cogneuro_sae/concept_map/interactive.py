"""Whether figures that answer to the pointer can be made: plotly is an extra."""

from __future__ import annotations

import importlib.util

from cogneuro_sae.errors import SetupError


def require_plotly(*, load: bool = True):
    """Return `plotly.graph_objects`, or only make sure that it is there.

    Parameters
    ----------
    load : bool
        Import it; without, nothing is loaded and None is returned.

    Raises
    ------
    SetupError
        plotly is not installed.
    """
    if importlib.util.find_spec("plotly") is None:
        raise SetupError("interactive figures need plotly", where="interactive: true",
                         do="pip install 'cogneuro_sae[interactive]', or leave interactive out")
    if not load:
        return None
    import plotly.graph_objects as go

    return go
