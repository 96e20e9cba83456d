"""The shapes of what is answered, and what the API description says of them."""
