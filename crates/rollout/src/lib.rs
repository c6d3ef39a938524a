//! Carries out a patch plan: waves, budgets, gates, windows, the way back.
