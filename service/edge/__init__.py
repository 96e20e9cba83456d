"""What every request passes before the routes, and every answer after them."""
