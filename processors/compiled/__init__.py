"""Decision models as Python: what zen-engine answers, for models of paths, literals and simple functions, without crossing into the engine."""
