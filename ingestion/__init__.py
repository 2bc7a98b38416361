"""Sources to validated batches in the lake: contracts, readers, loader, quarantine, simulator."""
