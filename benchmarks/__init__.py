"""What Towpath costs on the machine at hand, each figure beside a bare control of the same run: `make bench`."""
