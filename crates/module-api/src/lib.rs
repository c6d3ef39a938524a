//! The contract of a module: observe, plan, report; and the catalog of argument schemas.
