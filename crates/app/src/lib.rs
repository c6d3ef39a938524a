//! Wires inputs, engine and reporters; one file per use case.
