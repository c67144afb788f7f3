"""BNG as a target."""
