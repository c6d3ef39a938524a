//! Runs plays over hosts: strategies, handlers, blocks, controller-side actions.
