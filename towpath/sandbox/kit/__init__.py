"""What every sandbox system is built from: store, journal, faults, limits, webhooks and the server around them."""
