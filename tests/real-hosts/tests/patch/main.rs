//! Patch nights on booted Debian hosts: real apt, real services, real reboots, and a look at the hosts afterwards.
//! `docs/testing.md` says how to run these alone, and what the made packages do.

mod daemon;
mod debian;
mod night;
mod three_waves;
mod trouble;
mod web;
