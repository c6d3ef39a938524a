//! Edits, deltas and plans: what would be or was done on a host, as data.
