"""The OpenAPI document: introduction, examples, documented errors, and its page."""
