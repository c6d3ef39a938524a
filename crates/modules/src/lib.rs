//! One file per module, and the registry.
