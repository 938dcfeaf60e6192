"""Around every request: connection limits, keys, admission, body limits, security headers."""
