//! Hosts, groups, ranges, variable files and host patterns.
