"""Schemas by id and subject: asked of any registry that speaks Confluent's REST API, or served by the `registry` role."""
