"""HTTP only: the FastAPI application, its routes, schemas, uploads, errors, settings and pages."""
