"""BNG, the ERP, as `schemas/http/bng.yaml` has it."""
