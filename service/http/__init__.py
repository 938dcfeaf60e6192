"""HTTP around the routes: connection limits, TLS, API keys, body limits, request ids, security headers."""
