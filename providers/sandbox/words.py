"""Words the sandbox knows: those that tell nothing, and those that tell what a text is about."""

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMON_WORDS = _words(
    """
    a about above after all also am an and any are as at be because been before being below between both but by can
    could did do does done during each few for from further get had has have having he her here hers him his how i if
    in into is it its just may me more most my named no nor not now of off on once only or other our out over own per
    please same she should so some such than that the their them then there these they this those through to too
    under until up upon us very was we were what when where which while who whom why will with within without
    would you your aber als auch auf aus bei bin bis das dass dem den der des die durch ein eine einem einen
    einer eines er es für hat haben ich ihr im ist ja kann mit nach nicht noch nur oder ohne sich sie sind um
    und uns von vor war wenn wer wie wir wird zu zum zur
    """
)
"""The commonest words of English and German."""

SUBJECTS: Mapping[str, frozenset[str]] = {
    "finance": _words(
        """
        account amount bank billing budget cost credit debit due eur euro fee invoice paid payment price
        purchase receipt refund rent salary tax total usd vat rechnung betrag steuer
        """
    ),
    "legal": _words(
        """
        agreement clause contract court lawyer legal liability party policy privacy terms vertrag
        """
    ),
    "technology": _words(
        """
        api app bug cloud code computer data database deploy device error network release server software
        system test update user version website
        """
    ),
    "commerce": _words(
        """
        brand cart catalog customer delivery discount listing order product sale shipping shop stock store
        supplier warehouse kunde bestellung
        """
    ),
    "health": _words(
        """
        clinic diagnosis disease doctor dose drug health hospital medical medicine patient symptom therapy
        treatment
        """
    ),
    "people": _words(
        """
        candidate colleague employee family friend hiring interview job manager meeting people person staff
        team training
        """
    ),
    "travel": _words(
        """
        airport booking city flight hotel journey luggage map passport station ticket tour train travel trip
        vacation
        """
    ),
    "science": _words(
        """
        analysis experiment hypothesis laboratory measurement method paper research result sample study
        theory
        """
    ),
}
"""Words that tell what a text is about, by subject."""
