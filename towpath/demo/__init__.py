"""The demonstration: a whole stack in one folder, played with realistic traffic, and proven from the sandbox systems' own stores."""
