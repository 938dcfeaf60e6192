"""HTTP in, HTTP out: routes, what they read and what they answer."""
