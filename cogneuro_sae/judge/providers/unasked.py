"""A vendor's model that is priced and never asked: what a dry run needs, without a key or the vendor's SDK."""

from __future__ import annotations

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.messages import Reply, Request
from cogneuro_sae.judge.providers.openai import notes_of, own_price
from cogneuro_sae.judge.providers.spec import RaterSpec


class Unasked:
    """Name, model and price of a rater behind a network.

    Parameters
    ----------
    spec : RaterSpec
        The rater.
    """

    is_judge = True
    paid = True
    batch = None

    def __init__(self, spec: RaterSpec):
        self.spec, self.name, self.model = spec, spec.name, spec.model_name
        self.price, self.notes, self.max_tokens = own_price(spec), notes_of(spec), spec.limit

    def __repr__(self) -> str:
        return f"Unasked({self.name!r})"

    def answer(self, request: Request) -> Reply:
        """Refuse: a dry run asks nobody.

        Parameters
        ----------
        request : Request
            Anything.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(f"{self.name} was only counted, not asked", do="run without dry_run")
