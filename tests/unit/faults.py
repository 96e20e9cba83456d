"""What an error says of the fields that are at fault."""

from typing import cast

from ml.errors import FieldFault, TimbrescopeError


def faults_of(error: TimbrescopeError) -> list[FieldFault]:
    """The faults as the error's document lists them."""
    return [FieldFault(**fault) for fault in cast(list[dict[str, str]], error.extra["errors"])]
