"""The benchmark: the service, its ceilings and other servers, measured on one machine."""
