"""Writes the OpenAPI document: `python -m service.openapi FILE`.

Conventions: two spaces, keys in the order in which the application states them, a newline at the end, so
that the committed copy changes only where the API does.
"""

import json
import sys
from pathlib import Path

from service.app import create_app
from service.settings import ServiceSettings


def document_text() -> str:
    """The document as it is committed."""
    app = create_app(ServiceSettings())
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Writes the document to the file that is named, or to standard output."""
    text = document_text()
    if arguments:
        Path(arguments[0]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
