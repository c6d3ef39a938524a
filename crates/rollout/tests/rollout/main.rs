//! Simulated fleets: the real driver and machine over hosts that exist in time that is not real.

mod fleet;
mod fleet_steps;
mod kill;
mod odd_nights;
mod orders;
mod plans;
mod procedure;
mod properties;
mod reboots;
mod versions;
mod views;
mod waves;
mod windows;
mod world;
