"""What the OpenAPI schema says of each operation of the API: its bodies, parameters, answers, and examples.

The examples are the documents' own. A test asks every route for its entry here, and another asks the API itself whether
it answers as described.
"""

from batches.api.documentation import account, batches, files, messages, operations, photos, providers
from batches.api.documentation.descriptions import Description, Parameter

DESCRIPTIONS: dict[str, Description] = {
    **photos.ROUTES,
    **messages.ROUTES,
    **operations.ROUTES,
    **batches.ROUTES,
    **files.ROUTES,
    **account.ROUTES,
    **providers.ROUTES,
}
"""By method and path; the memory service's are in :mod:`batches.api.documentation.memories`."""

__all__ = ["DESCRIPTIONS", "Description", "Parameter"]
