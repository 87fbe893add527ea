"""What the OpenAPI schema says of each operation of the API: its bodies, parameters, answers, and examples.

The examples are the documents' own. A test asks every route for its entry here, and another asks the API itself whether
it answers as described.
"""

from batches.api.documentation.descriptions import Description, Parameter
from batches.api.documentation.routes import DESCRIPTIONS

__all__ = ["DESCRIPTIONS", "Description", "Parameter"]
