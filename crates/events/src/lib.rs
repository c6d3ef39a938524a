//! The one event enum that the engine emits and every reporter reads.
